/** What a caller may store before any model has answered its key. Asked before anything of the caller's is written. */
import { keyOnTrial } from '../errors.ts';
import type { TrialWrite } from '../store/trial.ts';
import type { Caller } from './caller.ts';
import type { Means } from './means.ts';

/** The part of a request that is stored. */
interface Write {
  /** The object that it makes; '' where it adds to an existing one. */
  readonly makes?: TrialWrite['makes'];
  /** What is stored besides the body; it counts twice, because it is stored by itself and in the log of a run. */
  readonly more?: object;
  /** How much of the body is stored, or made of it; by default all of it. Asked for only where it counts. */
  readonly textBytes?: number | (() => number);
}

/**
 * Admits the write of a request's body. Costs nothing where keys are the operator's, or where a model has answered the key.
 * @throws {ApiError} 403 when a key that no model has answered yet has no room left.
 */
export async function admitWrite(
  { trial }: Pick<Means, 'trial'>,
  caller: Caller,
  { makes = '', more = {}, textBytes }: Write,
): Promise<void> {
  const { project, requestId, upstreamKey } = caller;
  if (upstreamKey === null || trial.knows(project)) return;
  // A kept answer belongs to an Idempotency-Key, which its client may send with many requests.
  const id = makes.startsWith('answer:') ? '' : requestId;
  const stored = typeof textBytes === 'function' ? textBytes() : textBytes;
  const bytes = (stored ?? Buffer.byteLength(caller.text)) + 2 * Buffer.byteLength(JSON.stringify(more));
  const room = await trial.admit(project, { id, makes, bytes });
  if (room !== 'admitted') throw keyOnTrial(room);
}
