/** Calls as strict servers take them back: their ids, their arguments, and what was thought before them. Pure. */
import { hash } from 'node:crypto';
import type { ChatCall } from '../runs/model.ts';
import { THOUGHT_FIELDS } from '../runs/thoughts.ts';
import { safeName } from '../runs/tool-names.ts';
import { isBlank } from './fit-texts.ts';
import type { AssistantMessage } from './fit-types.ts';
import { isRecord } from '../runs/record.ts';
import { parseJson } from './json.ts';

/** The answer to a call that nobody answered, as after an interruption. */
export const NO_ANSWER = JSON.stringify({ error: 'This call was not answered.' });
/** The answer of a tool that said nothing. */
export const NO_OUTPUT = '(no output)';

const NINE = /^[A-Za-z0-9]{9}$/;
/** Google's stand-in for the signature of a call that another model made. */
const STAND_IN = 'skip_thought_signature_validator';

/** Gives each call of a request its id on the wire. The same history gets the same ids, however it goes on. */
export class WireIds {
  readonly #form: 'nine' | 'own';
  readonly #taken = new Set<string>();
  /** How often each id has been made into another. */
  readonly #made = new Map<string, number>();

  constructor(form: 'nine' | 'own') {
    this.#form = form;
  }

  next(id: string): string {
    const stays = this.#form === 'own' ? id !== '' : NINE.test(id) && !this.#taken.has(id);
    if (stays) {
      this.#taken.add(id);
      return id;
    }
    for (let count = this.#made.get(id) ?? 0; ; count += 1) {
      const made = nineOf(`${id}\n${count}`);
      if (this.#taken.has(made)) continue;
      this.#taken.add(made);
      this.#made.set(id, count + 1);
      return made;
    }
  }
}

function nineOf(text: string): string {
  return hash('sha256', text, 'hex').slice(0, 9);
}

/** The call as it goes to the server; the same object where nothing has to change. */
export function fittedCall(call: ChatCall, ids: WireIds): ChatCall {
  const id = ids.next(call.id);
  if (call.type === 'custom') {
    const input = call.custom.input.toWellFormed();
    if (id === call.id && input === call.custom.input) return call;
    return { ...call, id, custom: { ...call.custom, input } };
  }
  const { function: called } = call;
  // Other servers' histories have names with dots and blanks.
  const name = safeName(called.name);
  const text = fittedArguments(called.arguments.toWellFormed());
  const isSame = name === called.name && text === called.arguments;
  if (isSame && id === call.id) return call;
  return { ...call, id, function: isSame ? called : { ...called, name, arguments: text } };
}

/** Arguments that are no JSON object would be refused by servers that read them for their template. */
function fittedArguments(text: string): string {
  if (isBlank(text)) return '{}';
  // Looking first is far cheaper than an error of the parser.
  if (/^\s*\{/.test(text) && isRecord(parseJson(text))) return text;
  return JSON.stringify({ arguments: text });
}

/** The message with empty thoughts, or without any, where the server wants that. */
export function withThoughts(
  message: AssistantMessage,
  thoughts: 'keep' | 'fill' | 'drop',
): AssistantMessage {
  if (thoughts === 'keep') return message;
  if (thoughts === 'drop') {
    if (!DROPPED.some((field) => field in message)) return message;
    const kept = Object.entries(message).filter(([field]) => !DROPPED.includes(field));
    const { role, content } = message;
    return { ...Object.fromEntries(kept), role, content };
  }
  if (message.tool_calls === undefined || message.reasoning_content !== undefined) return message;
  return { ...message, reasoning_content: message.reasoning ?? '' };
}

const DROPPED: readonly string[] = [...THOUGHT_FIELDS, 'reasoning_details'];

/** The message with a signature on its first call, which is the one that Google's servers look at. */
export function withSignature(message: AssistantMessage): AssistantMessage {
  const [first, ...rest] = message.tool_calls ?? [];
  if (first === undefined || isSigned(first)) return message;
  const extra = fieldOf(first, 'extra_content');
  const google = fieldOf(extra, 'google');
  const signed = {
    ...first,
    extra_content: {
      ...(isRecord(extra) && extra),
      google: { ...(isRecord(google) && google), thought_signature: STAND_IN },
    },
  };
  return { ...message, tool_calls: [signed, ...rest] };
}

/** AI Studio and Vertex keep signatures under different names. */
function isSigned(call: ChatCall): boolean {
  const extra = fieldOf(call, 'extra_content');
  return ['google', 'vertex'].some((place) => {
    const signature = fieldOf(fieldOf(extra, place), 'thought_signature');
    return typeof signature === 'string' && signature !== '';
  });
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}
