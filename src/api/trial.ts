/** What callers may store whose key nobody has checked yet: asked before anything of theirs is written. */
import { keyOnTrial } from '../errors.ts';
import type { Call } from './endpoint.ts';
import type { Services } from './services.ts';

/**
 * Lets the request store what its body says. Costs nothing where keys are the operator's, or a model has answered them.
 * @param makes the thread or assistant that it makes, or `answer:` and a digest; '' where it adds to something
 * @param more what is stored besides the body, twice: as it is, and in the log of a run
 * @throws {ApiError} 403 when a key that no model has answered yet has no room left.
 */
export async function admitWrite(
  { trial }: Pick<Services, 'trial'>,
  { project, requestId, upstreamKey, text }: Call,
  makes: string,
  more: object = {},
): Promise<void> {
  if (upstreamKey === null || trial.knows(project)) return;
  // A kept answer belongs to a key that its client may send with many requests.
  const id = makes.startsWith('answer:') ? '' : requestId;
  const bytes = Buffer.byteLength(text) + 2 * Buffer.byteLength(JSON.stringify(more));
  const room = await trial.admit(project, { id, makes, bytes });
  if (room !== 'admitted') throw keyOnTrial(room);
}
