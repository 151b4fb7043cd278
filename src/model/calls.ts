/**
 * The tool calls of one turn, put together from the fragments in which upstreams send them. Decides which fragment
 * belongs to which call; never looks at text, usage or the end of the turn.
 *
 *   C1  a call is announced once, before its arguments, with an id that no other call has and with its whole name
 *   C2  indices count 0, 1, 2 … in the order of the announcements
 *   C3  a call whose name is still missing is held back; a call without name and arguments is dropped
 */
import type { ModelPart } from '../runs/model.ts';
import type { NewId } from '../runs/ids.ts';
import { callAsides, type AsideFields } from '../runs/asides.ts';
import { joinFields, type AsideRoom } from './aside-fields.ts';
import { isRecord } from '../runs/record.ts';
import { jsonOf, parseJson, stringOr } from './json.ts';
import { Surrogates } from './surrogates.ts';

/** More calls than any model makes in one turn; a server in a loop stops here. */
const MAX_CALLS = 128;
/** The arguments of one call; even a whole file written by a model is shorter. */
const MAX_ARGUMENT_CHARS = 1024 * 1024;
/** A longer name is refused, because model servers take 64 characters; a longer id is replaced. */
const MAX_NAME_CHARS = 256;
/** The slot of a legacy `function_call`; no upstream index is negative. */
const LEGACY_SLOT = -1;

interface StreamedCall {
  /** The upstream's id, or empty. */
  upstreamId: string;
  name: string;
  /** Everything said so far, announced or not. */
  text: string;
  /** Our index, or null until the call is announced. */
  index: number | null;
  readonly surrogates: Surrogates;
  readonly extent: Extent;
  /** What its fragments said beside id, name and arguments. */
  asides: AsideFields | null;
  /** Its text closed all brackets and still was not JSON, so it never will be. */
  isBroken: boolean;
  /** It is a call of a custom tool, whose input may be any text, or none. */
  isCustom: boolean;
}

/** Whether a text has closed all the brackets it opened. It comes in fragments, and each is scanned once. */
class Extent {
  #depth = 0;
  #inString = false;
  #escaped = false;
  #last = 0;

  push(text: string): void {
    for (let index = 0; index < text.length; index++) this.#last = this.#unit(text.charCodeAt(index));
  }

  get isClosed(): boolean {
    return this.#depth === 0 && !this.#inString && this.#last === CLOSE_BRACE;
  }

  #unit(unit: number): number {
    if (this.#escaped) this.#escaped = false;
    else if (this.#inString && unit === BACKSLASH) this.#escaped = true;
    else if (unit === QUOTE) this.#inString = !this.#inString;
    else if (!this.#inString && (unit === OPEN_BRACE || unit === OPEN_BRACKET)) this.#depth += 1;
    else if (!this.#inString && (unit === CLOSE_BRACE || unit === CLOSE_BRACKET)) this.#depth -= 1;
    return unit;
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** The result for most fragments, shared so that nothing is allocated. */
const NONE: readonly ModelPart[] = [];

/** A fragment that belongs to no call. */
export class CallError extends Error {
  override readonly name = 'CallError';
}

export class Calls {
  readonly #newId: NewId;
  readonly #room: AsideRoom;
  readonly #calls: StreamedCall[] = [];
  /** The call that fragments of an upstream's index continue. */
  readonly #slots = new Map<number, StreamedCall>();
  readonly #ids = new Set<string>();
  #announced = 0;

  /** @param room for the asides of the turn */
  constructor(newId: NewId, room: AsideRoom) {
    this.#newId = newId;
    this.#room = room;
  }

  /** The parts that the `tool_calls` of a delta or a whole message make. */
  push(fragments: readonly unknown[]): readonly ModelPart[] {
    const named = new Map<number, string>();
    return fragments.flatMap((fragment, position) => {
      if (!isRecord(fragment)) return NONE;
      const id = stringOr(fragment['id']);
      const index = fragment['index'];
      const body = bodyOf(fragment);
      const name = isRecord(body) ? stringOr(body['name']) : '';
      let slot = typeof index === 'number' ? index : this.#slotWithoutIndex(id, position, fragments.length);
      // Another name beside it in one list is no further piece of the name.
      if (typeof index !== 'number' && name !== '' && (named.get(slot) ?? name) !== name)
        slot = this.#calls.length;
      named.set(slot, name);
      const parts = this.#add(slot, id, body, callAsides(fragment));
      const call = this.#slots.get(slot);
      if (call !== undefined && isRecord(fragment['custom'])) call.isCustom = true;
      return parts;
    });
  }

  /** The parts of `function_call`, the predecessor of `tool_calls`: one call, without an id. */
  pushLegacy(fragment: unknown): readonly ModelPart[] {
    return this.#add(LEGACY_SLOT, '', fragment, callAsides({ function: fragment }));
  }

  /** The turn is over: returns what was held back, and gives calls without arguments an empty object. */
  end(): readonly ModelPart[] {
    return this.#calls.flatMap((call) => {
      if (call.name === '' && call.text !== '') throw new CallError('a tool call with a name');
      if (call.name === '') return NONE;
      const announced = call.index === null ? this.#announce(call) : NONE;
      return call.text === '' && !call.isCustom ? [...announced, ...said(call, '{}')] : announced;
    });
  }

  /** The asides of the calls that were announced and have any, by their indices. */
  asides(): Readonly<Record<string, AsideFields>> {
    const said: Record<string, AsideFields> = {};
    for (const { index, asides } of this.#calls) if (index !== null && asides !== null) said[index] = asides;
    return said;
  }

  #add(slot: number, id: string, body: unknown, asides: AsideFields | null): readonly ModelPart[] {
    const name = isRecord(body) ? stringOr(body['name']) : '';
    const text = isRecord(body) ? argumentsText(body['arguments']) : '';
    let call = this.#slots.get(slot);
    // Some servers send a call in fragments and then again as a whole.
    if (call !== undefined && id !== '' && id === call.upstreamId && text !== '' && isRepeat(call, text))
      return this.#keep(call, asides);
    if (call === undefined || startsAnother(call, id, name, text)) {
      if (this.#calls.length === MAX_CALLS) throw new CallError(`at most ${MAX_CALLS} tool calls`);
      call = newCall(id);
      this.#calls.push(call);
      this.#slots.set(slot, call);
    }
    this.#keep(call, asides);
    if (call.text.length + text.length > MAX_ARGUMENT_CHARS)
      throw new CallError(`a tool call with at most ${MAX_ARGUMENT_CHARS} characters of arguments`);
    if (call.upstreamId === '') call.upstreamId = id;
    call.extent.push(text);
    if (call.index === null) {
      // A name comes whole, in pieces, or again with every fragment, perhaps longer each time.
      call.name = name.startsWith(call.name) ? name || call.name : call.name + name;
      if (call.name.length > MAX_NAME_CHARS)
        throw new CallError(`a tool call with a name of at most ${MAX_NAME_CHARS} characters`);
      call.text += text;
      // The first fragment of the arguments shows that the name is complete.
      return call.name !== '' && call.text !== '' ? this.#announce(call) : NONE;
    }
    call.text += text;
    return said(call, text);
  }

  #keep(call: StreamedCall, asides: AsideFields | null): readonly ModelPart[] {
    if (asides !== null && this.#room.take(asides)) call.asides = joinFields(call.asides, asides);
    return NONE;
  }

  /** Announces the call, after earlier calls that have a name. */
  #announce(call: StreamedCall): readonly ModelPart[] {
    const parts: ModelPart[] = [];
    for (const earlier of this.#calls) {
      if (earlier.name === '' || earlier.index !== null) continue;
      const { upstreamId } = earlier;
      const fresh = upstreamId !== '' && upstreamId.length <= MAX_NAME_CHARS && !this.#ids.has(upstreamId);
      const id = fresh ? upstreamId : this.#newId('call');
      this.#ids.add(id);
      earlier.index = this.#announced;
      this.#announced += 1;
      parts.push({ type: 'call', index: earlier.index, id, name: earlier.name });
      parts.push(...said(earlier, earlier.text));
      if (earlier === call) break;
    }
    return parts;
  }

  /** Without an index, the id tells the call; without both, it is the place in the list, or the last call. */
  #slotWithoutIndex(id: string, position: number, count: number): number {
    const last = this.#calls.at(-1);
    for (const [slot, call] of this.#slots) {
      if (id === '' ? count === 1 && call === last : call.upstreamId === id) return slot;
    }
    return id === '' ? position : this.#calls.length;
  }
}

/** A fragment of the arguments of a call that has been announced. */
function said(call: StreamedCall, text: string): readonly ModelPart[] {
  const whole = call.surrogates.join(text);
  return whole === '' || call.index === null ? NONE : [{ type: 'arguments', index: call.index, text: whole }];
}

function newCall(upstreamId: string): StreamedCall {
  const extent = new Extent();
  return {
    upstreamId,
    name: '',
    text: '',
    index: null,
    surrogates: new Surrogates(),
    extent,
    asides: null,
    isBroken: false,
    isCustom: false,
  };
}

/** Whether a fragment for this slot begins a new call: another id, or without an id, another whole call. */
function startsAnother(call: StreamedCall, id: string, name: string, text: string): boolean {
  if (id !== '' && call.upstreamId !== '' && id !== call.upstreamId) return !goesOn(call, name, text);
  if (name === '' || !text.startsWith('{') || !call.extent.isClosed || call.isBroken) return false;
  const isWhole = parseJson(call.text) !== undefined;
  call.isBroken = !isWhole;
  return isWhole;
}

/** Whether a fragment under another id is of the same call all the same: some servers make an id for each fragment. */
function goesOn(call: StreamedCall, name: string, text: string): boolean {
  if (call.name === '' || text === '' || call.extent.isClosed) return false;
  return name === '' || (name === call.name && call.text !== '' && !text.startsWith('{'));
}

function isRepeat(call: StreamedCall, text: string): boolean {
  return call.text === text && text.endsWith('}');
}

/** What a fragment says of its call. The input of a custom tool is free text in place of arguments. */
function bodyOf({ function: called, custom }: Readonly<Record<string, unknown>>): unknown {
  return isRecord(custom) ? { name: custom['name'], arguments: custom['input'] } : called;
}

function argumentsText(value: unknown): string {
  if (typeof value === 'string') return value;
  if (!isRecord(value)) return '';
  const text = jsonOf(value);
  if (text === null) throw new CallError('a tool call with arguments of fewer levels');
  return text;
}
