/**
 * Asides: what a model server says beside text, thoughts and calls, such as the signature of a thought, encrypted thoughts,
 * or a provider's own fields. Nothing here understands them. Some servers refuse the next request unless they get them back
 * as they were, with the message or the call they came with; another server may refuse the fields. Pure.
 */
import { isRecord } from './record.ts';

/** Fields of a message or call, by name, each with any JSON value. */
export type AsideFields = Readonly<Record<string, unknown>>;

/** The asides of one completion. */
export interface Asides {
  /** Fields of the message. */
  readonly message: AsideFields;
  /** Fields of the calls that have any, by the calls' indices; those of a call's function are in `function`. */
  readonly calls: Readonly<Record<string, AsideFields>>;
}

/** As they are kept beside a step of calls. */
export interface KeptAsides extends Asides {
  /** The `thinker` (thoughts.ts) that said them. */
  readonly by: string;
}

/** The asides of a message as the wire carries them: beside its other fields, under any names that {@link isAside} knows. */
export interface MessageAsides {
  readonly reasoning_details?: unknown;
  readonly extra_content?: unknown;
}

/** The asides of a call as the wire carries them: any field that the protocol does not define. */
export interface CallAsides {
  readonly extra_content?: unknown;
}

/** Fields that have a meaning of their own. Nearly every fragment has only these, so they are told apart first. */
const KNOWN = new Set([
  'role',
  'content',
  'tool_calls',
  'reasoning_content',
  'reasoning',
  'refusal',
  'function_call',
  'name',
  'tool_call_id',
]);

/** OpenRouter's `reasoning_details`, LiteLLM's `thinking_blocks`, `encrypted_content`, `thought_signature` … */
const OF_THOUGHTS = /reasoning|thinking|thought|signature|encrypt/i;

/**
 * Whether a field of a message is an aside. Servers put much into their messages that no server takes back, so only what
 * concerns thoughts is, and the two fields that are made for a provider's own.
 */
export function isAside(name: string): boolean {
  if (KNOWN.has(name)) return false;
  return name === 'extra_content' || name === 'provider_specific_fields' || OF_THOUGHTS.test(name);
}

/** Whether a value says anything: null and what is empty need not go back. */
export function saysSomething(value: unknown): boolean {
  if (value === null || value === undefined || value === '') return false;
  if (typeof value !== 'object') return true;
  return Object.values(value).some(saysSomething);
}

/** The asides among a message's fields. */
export function messageAsides(message: object): MessageAsides {
  return Object.fromEntries(
    Object.entries(message).filter(([name, value]) => isAside(name) && saysSomething(value)),
  );
}

/** The asides among a call's fields, those of its function in `function`; null, and nothing allocated, where there are none. */
export function callAsides(call: AsideFields): AsideFields | null {
  const own = unknownFields(call, isOfCall);
  const called = call['function'];
  const inside = isRecord(called) ? unknownFields(called, isOfFunction) : null;
  return inside === null ? own : { ...own, function: inside };
}

/** A call with its asides. */
export function withAsides<Call extends { readonly id: string; readonly function?: object }>(
  call: Call,
  asides: AsideFields | null | undefined,
): Call & CallAsides {
  if (asides === null || asides === undefined) return call;
  const { function: inside, ...beside } = asides;
  const whole = { ...beside, ...call };
  return isRecord(inside) && call.function !== undefined
    ? { ...whole, function: { ...inside, ...call.function } }
    : whole;
}

/** For most fragments this must cost nothing, because it is asked for each. */
function unknownFields(fields: AsideFields, isOurs: (name: string) => boolean): AsideFields | null {
  let unknown: Record<string, unknown> | null = null;
  for (const name in fields) {
    if (isOurs(name) || name === '__proto__' || !saysSomething(fields[name])) continue;
    unknown ??= {};
    unknown[name] = fields[name];
  }
  return unknown;
}

const OF_CALL = new Set(['index', 'function', 'custom', 'id', 'type']);

function isOfCall(name: string): boolean {
  return OF_CALL.has(name);
}

/** `parameters` are the arguments once more, as glasses read them. */
function isOfFunction(name: string): boolean {
  return name === 'arguments' || name === 'name' || name === 'parameters';
}
