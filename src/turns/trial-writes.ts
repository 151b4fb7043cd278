/** What callers may store whose key nobody has checked yet: asked before anything of theirs is written. */
import { keyOnTrial } from '../errors.ts';
import type { TrialWrite } from '../store/trial.ts';
import type { Caller } from './caller.ts';
import type { Means } from './means.ts';

/** What is stored of a request. */
interface Write {
  /** What it makes; '' where it adds to something. */
  readonly makes?: TrialWrite['makes'];
  /** What is stored besides the body, twice: as it is, and in the log of a run. */
  readonly more?: object;
  /** How much of the body is stored; all of it where this is not said. */
  readonly textBytes?: number;
}

/**
 * Lets the request store what its body says. Costs nothing where keys are the operator's, or a model has answered them.
 * @throws {ApiError} 403 when a key that no model has answered yet has no room left.
 */
export async function admitWrite(
  { trial }: Pick<Means, 'trial'>,
  { project, requestId, upstreamKey, text }: Caller,
  { makes = '', more = {}, textBytes = Buffer.byteLength(text) }: Write,
): Promise<void> {
  if (upstreamKey === null || trial.knows(project)) return;
  // A kept answer belongs to a key that its client may send with many requests.
  const id = makes.startsWith('answer:') ? '' : requestId;
  const bytes = textBytes + 2 * Buffer.byteLength(JSON.stringify(more));
  const room = await trial.admit(project, { id, makes, bytes });
  if (room !== 'admitted') throw keyOnTrial(room);
}
