/** How many bytes of a request may be stored. Larger requests are refused, and the refusal says what to do about it. */
import { ApiError } from '../errors.ts';
import { callAsides, messageAsides } from '../runs/asides.ts';
import { calledFunction } from '../runs/calls/kinds.ts';
import { isMedia, type ChatMessage, type ChatPart } from '../runs/model.ts';
import { thoughtText } from '../runs/thoughts.ts';
import type { ContentPart, Run } from '../runs/thread.ts';

/** The size of a message's text, with its annotations, and of its pictures, in bytes. */
export function contentBytes(content: readonly ContentPart[]): number {
  return sum(content, (part) => {
    if (part.type === 'image_url') return textBytes(part.image_url.url);
    if (part.type === 'image_file') return textBytes(part.image_file.file_id);
    const { value, annotations } = part.text;
    return textBytes(value) + (annotations.length === 0 ? 0 : jsonBytes(annotations));
  });
}

/**
 * @param paramOf the place of a message's content in the request
 * @param limitBytes for the content of each
 * @throws {ApiError} 400 for the first message that is too large.
 */
export function checkMessages(
  messages: readonly { readonly content: readonly ContentPart[] }[],
  paramOf: (index: number) => string,
  limitBytes: number,
): void {
  for (const [index, { content }] of messages.entries()) {
    const bytes = contentBytes(content);
    if (bytes <= limitBytes) continue;
    const param = paramOf(index);
    const text = `Invalid '${param}': message too large. A message may have ${limitBytes} bytes on this server, but this one has ${bytes}. Send fewer or smaller pictures, or ask its operator to raise MESSAGE_LIMIT_BYTES.`;
    throw new ApiError(400, text, { param, code: 'message_too_large' });
  }
}

/**
 * Checks the outputs of one submission, which are stored and shown together.
 * @throws {ApiError} 400 when they are too large.
 */
export function checkOutputs(outputs: readonly string[], param: string, limitBytes: number): void {
  const bytes = sum(outputs, textBytes);
  if (bytes <= limitBytes) return;
  const text = `Invalid '${param}': outputs too large. The outputs of one submission may have ${limitBytes} bytes together on this server, but these have ${bytes}. Send less, or ask its operator to raise MESSAGE_LIMIT_BYTES.`;
  throw new ApiError(400, text, { param, code: 'outputs_too_large' });
}

/**
 * Checks the messages of a request without a thread, which go into its prompt as they are.
 * @throws {ApiError} 400 when they are too large.
 */
export function checkConversation(messages: readonly ChatMessage[], limitBytes: number): void {
  const bytes = sum(messages, chatBytes);
  if (bytes <= limitBytes) return;
  const text = `Invalid 'messages': conversation too large. A request may bring ${limitBytes} bytes of messages to this server, but this one brings ${bytes}. Leave out old pictures, or ask its operator to raise PROMPT_LIMIT_BYTES.`;
  throw new ApiError(400, text, { param: 'messages', code: 'messages_too_large' });
}

function chatBytes(message: ChatMessage): number {
  const named = message.role === 'tool' ? 0 : textBytes(message.name ?? '');
  const called = named + (message.role === 'assistant' ? calledBytes(message) : 0);
  const { content } = message;
  if (content === null) return called;
  return called + (typeof content === 'string' ? textBytes(content) : sum(content, partBytes));
}

/** The calls of a model, the thoughts before them, and what was said beside both. */
function calledBytes(message: Extract<ChatMessage, { role: 'assistant' }>): number {
  const calls = message.tool_calls ?? [];
  const called = sum(calls, (call) => {
    const { name, arguments: text } = calledFunction(call);
    const asides = callAsides({ ...call });
    return textBytes(name) + textBytes(text) + (asides === null ? 0 : jsonBytes(asides));
  });
  return called + textBytes(thoughtText(message)) + asideBytes(messageAsides(message));
}

function asideBytes(asides: object): number {
  return Object.keys(asides).length === 0 ? 0 : jsonBytes(asides);
}

function partBytes(part: ChatPart): number {
  if (isMedia(part)) return jsonBytes(part);
  return textBytes(part.type === 'text' ? part.text : part.image_url.url);
}

/** The parts of a new run that may be large: its instructions and its tools. */
export function runBytes({ instructions, tools }: Pick<Run, 'instructions' | 'tools'>): number {
  return textBytes(instructions) + (tools.length === 0 ? 0 : jsonBytes(tools));
}

/** The size of a value as JSON. */
export function jsonBytes(value: unknown): number {
  return textBytes(JSON.stringify(value) ?? '');
}

export const textBytes = (text: string): number => Buffer.byteLength(text);

function sum<T>(items: readonly T[], sizeOf: (item: T) => number): number {
  return items.reduce((bytes, item) => bytes + sizeOf(item), 0);
}
