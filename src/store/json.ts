/**
 * Documents out of Redis. They are what this store wrote there, so of their shape only as much is checked as tells a
 * document from what a faulty disk or a stray hand has left in its place.
 */

import { requireKnown } from '../runs/format.ts';
import type { RunState } from '../runs/run.ts';
import type { ThreadItem } from '../runs/thread.ts';
import { wholePart, wholeRun, type RunContent, type StoredState } from './compact.ts';
import type { RunRef } from './keys.ts';
import { withOldCamera } from './old-photos.ts';

/** What is stored is not what it should be. Never says what is there instead: that may be what a user wrote. */
export class Unreadable extends Error {
  /** For example `message msg_1`. */
  readonly what: string;
  /** Of a run: whether its thread no longer waits for it (damage.ts). */
  readonly isGivenUp: boolean;

  constructor(what: string, isGivenUp = false) {
    super(`${what} is damaged: what is stored of it cannot be read`);
    this.name = 'Unreadable';
    this.what = what;
    this.isGivenUp = isGivenUp;
  }
}

/**
 * What {@link JSON.stringify} of a `T` gave; null where there is none.
 * @throws {Unreadable} when it is no JSON.
 */
export function decode<T>(text: string, what?: string): T;
export function decode<T>(text: string | null, what?: string): T | null;
export function decode(text: string | null, what = 'a document'): unknown {
  if (text === null) return null;
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch {
    throw new Unreadable(what);
  }
}

/** An object of the wire. @throws {Unreadable} when it is none. */
export function decodeObject<T>(doc: string, what: string): T;
export function decodeObject<T>(doc: string | null, what: string): T | null;
export function decodeObject(doc: string | null, what: string): unknown {
  if (doc === null) return null;
  const value: unknown = decode(doc, what);
  if (!isWireObject(value)) throw new Unreadable(what);
  return value;
}

/** What {@link encodePart} stored of a message, step or item of that thread. @throws {Unreadable} when it is none. */
export function decodePart<T extends ThreadItem>(doc: string, what: string, threadId: string): T {
  return wholePart(decodeObject<T>(doc, what), threadId);
}

/**
 * What {@link encodeRun} stored.
 * @param content the one that it names (contents.ts); null where it names none, or that cannot be read
 * @throws {NewerFormat} when a newer version of this service wrote it; {Unreadable} when it is damaged.
 */
export function decodeRun(doc: string, ref: Omit<RunRef, 'project'>, content: RunContent | null): RunState {
  return readRun(decode<RunState | null>(doc, `run ${ref.runId}`), ref, content);
}

/** As {@link decodeRun}, of a document that is no longer JSON. */
export function readRun(
  state: StoredState | null,
  { runId, threadId }: Omit<RunRef, 'project'>,
  content: RunContent | null,
): RunState {
  const what = `run ${runId}`;
  if (!isObject(state)) throw new Unreadable(what);
  requireKnown(state);
  const { run, origin, step, message, turn, attempts, spent } = state;
  const isWhole =
    isWireObject(run) &&
    isObject(origin) &&
    (step === null || isWireObject(step)) &&
    (message === null || isWireObject(message)) &&
    Number.isInteger(turn) &&
    Number.isInteger(attempts) &&
    isObject(spent);
  if (!isWhole || (content === null && state.content !== undefined)) throw new Unreadable(what);
  return withOldCamera(wholeRun(state, threadId, content));
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;

/** Every object of the wire has an id and says what it is; these parts of messages and steps are read without a look. */
function isWireObject(value: unknown): value is object {
  if (!isObject(value)) return false;
  const field = (name: string): unknown => Reflect.get(value, name);
  if (typeof field('id') !== 'string') return false;
  switch (field('object')) {
    case 'thread.message':
      return Array.isArray(field('content'));
    case 'thread.run.step':
      return isObject(field('step_details'));
    case 'thread.item':
      return isObject(field('item'));
    case 'thread.run':
      return typeof field('status') === 'string';
    default:
      return typeof field('object') === 'string';
  }
}
