/**
 * Items: what clients of the Responses API put into a thread that is neither a message of a user or an assistant nor a step
 * of a run. They are kept as they came, in the words of that API, and prompts are made of what they say. Pure.
 */
import { deniedText, type Decision } from './calls/approval.ts';
import type { CalledFunction } from './calls/kind.ts';
import { isRecord } from './record.ts';
import { MEDIA_TYPES, type ChatCall, type ChatMessage, type ChatPart, type MediaPart } from './model.ts';
import { safeName } from './tool-names.ts';

/** An item in the words of the Responses API. Of most types the model is told something; those of newer clients are kept only. */
export interface WireItem {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** An item as a thread keeps it. */
export interface StoredItem {
  readonly id: string;
  readonly object: 'thread.item';
  readonly created_at: number;
  readonly thread_id: string;
  readonly run_id: null;
  readonly status: 'completed';
  readonly item: WireItem;
  /** What a sealed item says: a thought, or the summary of what came before. */
  readonly text?: string;
  /** What an approval decides: the call, by the name that the model of this run is offered. */
  readonly approves?: DecidedCall & { readonly run_id: string };
}

/** A call that somebody has decided about. */
export interface DecidedCall extends CalledFunction, Decision {
  /** The id of what asked for the decision. */
  readonly approval: string;
}

/** What a prompt is told by an item; null for nothing. */
export type ItemWords =
  | { readonly type: 'message'; readonly message: ChatMessage }
  | { readonly type: 'call'; readonly call: ChatCall }
  | { readonly type: 'output'; readonly callId: string; readonly output: string }
  /** A call that was over when it came. */
  | { readonly type: 'answered'; readonly call: ChatCall; readonly output: string }
  | { readonly type: 'thought'; readonly text: string }
  /** Stands for all that came before it. */
  | { readonly type: 'summary'; readonly message: ChatMessage }
  | null;

/** What an item says. Its fields were checked when it came. */
export function saidBy({ item, text, approves }: Pick<StoredItem, 'item' | 'text' | 'approves'>): ItemWords {
  switch (item.type) {
    case 'message':
      return messageSaid(item);
    case 'function_call': {
      const name = textOf(item['name']);
      const call = { name, arguments: textOf(item['arguments']) };
      return { type: 'call', call: { id: textOf(item['call_id']), type: 'function', function: call } };
    }
    case 'custom_tool_call': {
      const call = { name: textOf(item['name']), input: textOf(item['input']) };
      return { type: 'call', call: { id: textOf(item['call_id']), type: 'custom', custom: call } };
    }
    case 'function_call_output':
    case 'custom_tool_call_output':
      return { type: 'output', callId: textOf(item['call_id']), output: outputText(item['output']) };
    case 'mcp_call':
      return { type: 'answered', call: madeCall(item), output: madeOutput(item) };
    case 'mcp_approval_response':
      return approves?.approve === false ? denied(approves) : null;
    case 'reasoning': {
      const thought = text ?? reasoningText(item);
      return thought === '' ? null : { type: 'thought', text: thought };
    }
    case 'compaction':
      return text === undefined ? null : { type: 'summary', message: summaryMessage(text) };
    default:
      return null;
  }
}

/** A call that another server has made, as if it had been a function's: the model is not offered its tool any more. */
function madeCall(item: WireItem): ChatCall {
  const call = { name: safeName(textOf(item['name'])), arguments: textOf(item['arguments']) };
  return { id: textOf(item['id']), type: 'function', function: call };
}

function madeOutput({ output, error }: WireItem): string {
  if (typeof output === 'string') return output;
  return JSON.stringify({ error: error ?? 'The call was not made.' });
}

function denied({ approval, name, arguments: text, reason }: DecidedCall): ItemWords {
  const call: ChatCall = { id: approval, type: 'function', function: { name, arguments: text } };
  return { type: 'answered', call, output: deniedText(reason) };
}

/** The words of a reasoning item, or else of its summary. */
function reasoningText(item: WireItem): string {
  const words = partsText(item['content']);
  return words === '' ? partsText(item['summary']) : words;
}

/** The texts of parts, one below the other. */
function partsText(parts: unknown): string {
  if (!Array.isArray(parts)) return '';
  return parts
    .flatMap((part: unknown) => (isRecord(part) && typeof part['text'] === 'string' ? [part['text']] : []))
    .join('\n');
}

function summaryMessage(text: string): ChatMessage {
  return { role: 'system', content: `Summary of the conversation so far:\n${text}` };
}

function messageSaid(item: WireItem): ItemWords {
  const role = item['role'];
  const { content } = item;
  if (role === 'user') {
    const parts = typeof content === 'string' ? [{ type: 'input_text', text: content }] : listOf(content);
    return { type: 'message', message: { role: 'user', content: userContent(parts.filter(isRecord)) } };
  }
  const text = typeof content === 'string' ? content : partsText(content) || refusalIn(content);
  if (text === '') return null;
  return {
    type: 'message',
    message: { role: role === 'assistant' ? 'assistant' : 'system', content: text },
  };
}

function refusalIn(content: unknown): string {
  const found = listOf(content).find((part) => isRecord(part) && typeof part['refusal'] === 'string');
  return isRecord(found) ? textOf(found['refusal']) : '';
}

/** Parts of a user's message, as the model is given them. */
function userContent(parts: readonly Readonly<Record<string, unknown>>[]): string | readonly ChatPart[] {
  const told = parts.flatMap(partTold);
  const only = told.length === 1 ? told[0] : undefined;
  return only?.type === 'text' ? only.text : told;
}

function partTold(part: Readonly<Record<string, unknown>>): readonly ChatPart[] {
  switch (part['type']) {
    case 'input_text':
    case 'text':
    case 'output_text':
      return part['text'] === '' ? [] : [{ type: 'text', text: textOf(part['text']) }];
    case 'input_image':
      return [
        {
          type: 'image_url',
          image_url: { url: textOf(part['image_url']), detail: textOf(part['detail']) || 'auto' },
        },
      ];
    case 'input_file':
      return [{ type: 'file', file: fileFields(part) }];
    default:
      return isMediaPart(part) ? [part] : [];
  }
}

function fileFields(part: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const known = ['file_data', 'filename'];
  return Object.fromEntries(
    Object.entries(part).filter(([name, value]) => known.includes(name) && value != null),
  );
}

function isMediaPart(part: Readonly<Record<string, unknown>>): part is MediaPart & typeof part {
  return MEDIA_TYPES.some((type) => type === part['type']);
}

/** An output as text; of parts, in the form in which tools answer with pictures (pictures.ts). */
function outputText(output: unknown): string {
  if (typeof output === 'string') return output;
  const parts = listOf(output).filter(isRecord);
  const told = parts.flatMap(partTold);
  if (told.every((part) => part.type === 'text')) return partsText(parts);
  return JSON.stringify(told);
}

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

/** The outputs among what was said, by the ids of their calls. The first answer to a call counts. */
export function outputsIn(said: readonly ItemWords[]): ReadonlyMap<string, string> {
  const outputs = new Map<string, string>();
  for (const each of said)
    if (each?.type === 'output' && !outputs.has(each.callId)) outputs.set(each.callId, each.output);
  return outputs;
}

/** Gathers the thoughts and calls of one completion. */
export class Gathered {
  readonly #outputs: Map<string, string>;
  #calls: ChatCall[] = [];
  #thoughts: string[] = [];

  /** @param outputs by the ids of their calls */
  constructor(outputs: ReadonlyMap<string, string>) {
    this.#outputs = new Map(outputs);
  }

  /** Whether it belongs to what is gathered, or says nothing by itself. */
  take(said: ItemWords): boolean {
    if (said === null || said.type === 'output') return true;
    if (said.type === 'call') this.#calls.push(said.call);
    else if (said.type === 'answered') {
      this.#calls.push(said.call);
      this.#outputs.set(said.call.id, said.output);
    } else if (said.type === 'thought') {
      // Thoughts come before the calls of their completion.
      if (this.#calls.length > 0) return false;
      this.#thoughts.push(said.text);
    } else return false;
    return true;
  }

  /**
   * The calls so far and their outputs, as messages; none where there are none.
   * @param before where the completion's words stand last: the calls join them
   */
  release(before: ChatMessage[]): readonly ChatMessage[] {
    const calls = this.#calls.filter(({ id }) => this.#outputs.has(id));
    const thoughts = this.#thoughts.join('\n');
    this.#calls = [];
    this.#thoughts = [];
    if (calls.length === 0) return [];
    const last = before.at(-1);
    const isSaid = last?.role === 'assistant' && last.tool_calls === undefined;
    if (isSaid) before.pop();
    const asked: ChatMessage = {
      role: 'assistant',
      content: isSaid ? last.content : null,
      tool_calls: calls,
      ...(thoughts !== '' && { reasoning_content: thoughts }),
    };
    const answers = calls.map(({ id }): ChatMessage => ({
      role: 'tool',
      tool_call_id: id,
      content: this.#outputs.get(id) ?? '',
    }));
    return [asked, ...answers];
  }
}
