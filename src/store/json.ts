/** Documents out of Redis. They are what this store wrote there, so their shape is known and not checked again, its format aside. */

import { requireKnown } from '../runs/format.ts';
import type { RunState } from '../runs/run.ts';

/** What {@link JSON.stringify} of a `T` gave; null where there is none. */
export function decode<T>(text: string): T;
export function decode<T>(text: string | null): T | null;
export function decode(text: string | null): unknown {
  const value: unknown = text === null ? null : JSON.parse(text);
  return value;
}

/** The document of a run. @throws {NewerFormat} when a newer version of this service wrote it. */
export function decodeRun(doc: string): RunState {
  const state = decode<RunState>(doc);
  requireKnown(state);
  return state;
}
