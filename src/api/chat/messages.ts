/** The messages of chat requests: their shape on the wire, and what they say. */
import { z } from 'zod';
import { ApiError, unsupported } from '../../errors.ts';
import { callAsides, messageAsides, withAsides } from '../../runs/asides.ts';
import { isMedia, MEDIA_TYPES, type ChatCall, type ChatMessage, type ChatPart } from '../../runs/model.ts';
import { sentThoughts, thoughtInPart } from '../../runs/thoughts.ts';
import * as shapes from '../http/shapes.ts';
import { calledBefore, type OldCall } from './functions.ts';
import { withoutHoles } from './history.ts';
import { pictureOutputOf } from './sent-pictures.ts';
import { transcriptIn } from './speech/asked.ts';

const MAX_KEY_LENGTH = 256;
/** A name that a client gives to a conversation, a turn or a device. */
export const key = z.union([z.string().min(1).max(MAX_KEY_LENGTH), z.int()]).nullish();

const textPart = z.looseObject({ type: z.literal('text'), text: z.string() });
/** OpenAI's shape; the URL as a plain string; and an engine's `image` part. */
const imagePart = z.looseObject({
  type: z.enum(['image_url', 'image']),
  image_url: z.union([z.looseObject({ url: shapes.imageUrl, detail: shapes.imageDetail }), shapes.imageUrl]),
});
/** A part of an assistant's message that a client sends back. */
const refusalPart = z.looseObject({ type: z.literal('refusal'), refusal: z.string() });
/** A thought in the answer of another server, which a client sends back. */
const thoughtPart = z.looseObject({ type: z.enum(['thinking', 'redacted_thinking', 'reasoning']) });
/** What only some model servers take; they check it themselves. */
const mediaPart = z.looseObject({ type: z.enum(MEDIA_TYPES) });
const part = z.union([textPart, imagePart, refusalPart, thoughtPart, mediaPart]);
const content = z.union([z.string(), z.array(part).max(1_000)]);

const callArguments = z.union([z.string(), z.record(z.string(), z.unknown())]).nullish();
/** Glasses name the arguments `parameters`. */
const functionCall = z.looseObject({
  // Some servers send calls without ids, and clients send them back so.
  id: z.string().nullish(),
  function: z.looseObject({
    name: z.string().min(1),
    arguments: callArguments,
    parameters: callArguments,
  }),
});

const customCall = z.looseObject({
  id: z.string().min(1),
  type: z.literal('custom'),
  custom: z.looseObject({ name: z.string().min(1), input: z.string().nullish() }),
});
const toolCall = z.union([customCall, functionCall]);

/** A message as clients send it. */
export const message = z.looseObject({
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool', 'function']),
  content: content.nullish(),
  refusal: z.string().nullish(),
  tool_calls: z.array(toolCall).max(128).nullish(),
  tool_call_id: z.string().nullish(),
  function_call: z.looseObject({ name: z.string().min(1), arguments: callArguments }).nullish(),
  // Any value is accepted, but only a text goes to the model.
  name: z.unknown().optional(),
  reasoning_content: z.unknown().optional(),
  reasoning: z.unknown().optional(),
  audio: z.unknown().optional(),
  turn_id: key,
});

type SentMessage = z.infer<typeof message>;
type Content = z.infer<typeof content> | null | undefined;

/** What the messages of a request say. */
export interface ReadMessages {
  readonly messages: readonly ChatMessage[];
  /** The answers to calls at the end of the request that name only their function: the old form, which has no ids. */
  readonly namedAnswers: Readonly<Record<string, string>>;
  /** The first answer to a function that was not called in this request, as its place in it; null where there is none. */
  readonly uncalled: string | null;
}

/**
 * Reads messages.
 * @param isDevice whether the caller is a device, which sends back nothing that model servers say beside words and calls
 * @throws {ApiError} 400 for what makes no sense.
 */
export function toMessages(given: readonly SentMessage[], isDevice: boolean): ReadMessages {
  const open: OldCall[] = [];
  const answers: [string, string][] = [];
  let uncalled: string | null = null;
  const messages = withoutHoles(given).map((one, index): ChatMessage => {
    const param = `messages[${index}]`;
    if (one.role !== 'function') {
      answers.length = 0;
      const isBegun = !isDevice && index === given.length - 1;
      const read = { ...toMessage(one, param, isDevice), ...(isBegun && begunMarks(one)) };
      const called = read.role === 'assistant' ? oldCall(one, index) : null;
      if (called === null || read.role !== 'assistant') return read;
      open.push(called);
      return { ...read, content: read.content || null, tool_calls: [called.call] };
    }
    const name = nameIn(one) ?? '';
    if (name === '') throw missing(`${param}.name`);
    const output = toolText(one.content ?? '', isDevice);
    answers.push([name, output]);
    const id = calledBefore(open, name);
    if (id === null) uncalled ??= `${param}.name`;
    return { role: 'tool', tool_call_id: id ?? `call_function_${index}`, content: output };
  });
  return { messages, namedAnswers: Object.fromEntries(answers), uncalled };
}

function toMessage(given: SentMessage, param: string, isDevice: boolean): ChatMessage {
  switch (given.role) {
    case 'system':
    case 'developer':
      if (given.content == null) throw missing(`${param}.content`);
      return { role: 'system', content: plainText(given.content, `${param}.content`), ...named(given) };
    case 'user':
      return { role: 'user', content: userContent(given.content, `${param}.content`), ...named(given) };
    case 'assistant': {
      const calls = (given.tool_calls ?? []).map((call) =>
        isDevice ? toCall(call) : withAsides(toCall(call), callAsides(call)),
      );
      const asides = isDevice ? {} : messageAsides(given);
      // Clients send answers back as they got them. A refusal is an answer as well, and has no content.
      const answer = contentOf(given, param) ?? given.refusal;
      if (answer == null && calls.length === 0 && given.function_call == null)
        throw missing(`${param}.content`);
      const said = plainText(answer ?? '', `${param}.content`);
      const message = { ...asides, role: 'assistant', ...named(given) } as const;
      if (calls.length === 0) return { ...message, content: said };
      // Model servers want thoughts back while tools are at work. Beside words they ignore or refuse them.
      const thought = Array.isArray(given.content) ? given.content.map(thoughtInPart).join('') : '';
      const thoughts = { ...(thought !== '' && { reasoning_content: thought }), ...sentThoughts(given) };
      return { ...message, content: said === '' ? null : said, tool_calls: calls, ...thoughts };
    }
    case 'tool':
    case 'function': {
      if (given.tool_call_id == null) throw missing(`${param}.tool_call_id`);
      return {
        role: 'tool',
        tool_call_id: given.tool_call_id,
        content: toolText(given.content ?? '', isDevice),
      };
    }
  }
}

/** An answer with sound has no content of its own: its words are its transcript. */
function contentOf({ content, audio }: SentMessage, param: string): Content {
  const isSilent = content == null || content.length === 0;
  return isSilent && audio != null ? transcriptIn(audio, `${param}.audio`) : content;
}

/** How programs mark an answer that the server is to continue: in the words of Mistral and DeepSeek, and of Kimi and Qwen. */
function begunMarks({ role, prefix, partial }: SentMessage): Readonly<Record<string, true>> {
  if (role !== 'assistant') return {};
  return { ...(prefix === true && { prefix }), ...(partial === true && { partial }) };
}

/** Programs with several speakers tell them apart by their names. */
function named(given: SentMessage): { readonly name?: string } {
  const name = nameIn(given);
  return name === null ? {} : { name };
}

function nameIn({ name }: SentMessage): string | null {
  return typeof name === 'string' && name.trim() !== '' ? name : null;
}

function userContent(given: Content, param: string): string | readonly ChatPart[] {
  if (typeof given === 'string') return given;
  if (given == null || given.length === 0) throw missing(param);
  const parts = given.flatMap(toPart);
  return parts.some((part) => part.type !== 'text') ? parts : parts.map(partText).join('\n');
}

function toPart(part: Exclude<Content, string | null | undefined>[number]): readonly ChatPart[] {
  switch (part.type) {
    case 'text':
      // Devices put an empty text beside a photo, and several upstreams refuse it.
      return part.text === '' ? [] : [{ type: 'text', text: part.text }];
    case 'refusal':
      return [{ type: 'text', text: part.refusal }];
    case 'image_url':
    case 'image': {
      const { image_url: image } = part;
      const url = typeof image === 'string' ? image : image.url;
      const detail = typeof image === 'string' ? 'auto' : (image.detail ?? 'auto');
      return [{ type: 'image_url', image_url: { url, detail } }];
    }
    case 'thinking':
    case 'redacted_thinking':
    case 'reasoning':
      return [];
    case 'input_audio':
    case 'audio':
    case 'audio_url':
    case 'file':
    case 'video_url':
    case 'video':
      return [part];
  }
}

const partText = (part: ChatPart): string => (part.type === 'text' ? part.text : '');

/** The text of a message that can hold nothing else; pictures in it are left out. */
function plainText(given: Exclude<Content, null | undefined>, param: string): string {
  return typeof given === 'string' ? given : textParts(given, param).map(partText).join('\n');
}

/** A tool's answer may hold pictures as image parts. It is then stored as its parts, which prompts can show. */
function toolText(given: Exclude<Content, null | undefined>, isDevice: boolean): string {
  if (typeof given === 'string') return isDevice ? pictureOutputOf(given) : given;
  const parts = textParts(given, 'messages');
  const hasPicture = parts.some((part) => part.type === 'image_url');
  if (!hasPicture) return parts.map(partText).join('\n');
  // Workers of earlier versions can read a single picture, but not a list.
  return JSON.stringify(parts.length === 1 ? parts[0] : parts);
}

function textParts(given: Exclude<Content, string | null | undefined>, param: string): readonly ChatPart[] {
  const parts = given.flatMap(toPart);
  const media = parts.find(isMedia);
  if (media !== undefined) throw unsupported(`Content of type '${media.type}' in this place is`, param);
  return parts;
}

function toCall(given: z.infer<typeof toolCall>): ChatCall {
  const id = given.id ?? '';
  if (isCustom(given))
    return { id, type: 'custom', custom: { name: given.custom.name, input: given.custom.input ?? '' } };
  const { name, arguments: args, parameters } = given.function;
  return { id, type: 'function', function: { name, arguments: argumentsText(args || parameters) } };
}

function isCustom(given: z.infer<typeof toolCall>): given is z.infer<typeof customCall> {
  return given['type'] === 'custom';
}

/** The call of an assistant's message of the old form, or null. A message of the new form may repeat its first call in it. */
function oldCall({ function_call: called, tool_calls: calls }: SentMessage, index: number): OldCall | null {
  if (called == null || (calls != null && calls.length > 0)) return null;
  const id = `call_function_${index}`;
  const { name } = called;
  return {
    name,
    call: { id, type: 'function', function: { name, arguments: argumentsText(called.arguments) } },
  };
}

function argumentsText(given: z.infer<typeof callArguments>): string {
  const text = typeof given === 'string' ? given : JSON.stringify(given ?? {});
  return text === '' ? '{}' : text;
}

function missing(param: string): ApiError {
  return new ApiError(400, `Missing required parameter: '${param}'.`, {
    param,
    code: 'missing_required_parameter',
  });
}
