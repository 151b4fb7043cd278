/** What is told first about a request in a thread: that there is no such thread. */
import { ApiError, notFound } from '../../errors.ts';
import type { ThreadRef } from '../../store/keys.ts';
import type { Services } from '../http/services.ts';

/**
 * Does the work of a request that writes to a thread. A missing thread is told before anything else that is wrong, so it is
 * looked for first; but not where this process has lately written there. Then the write finds out by itself, and only a
 * refusal has to be second: the trip to Redis is a good part of what such a request takes.
 * @throws {ApiError} 404 when there is no such thread, else what the work throws.
 */
export async function threadFirst<T>(
  { objects: { threads } }: Pick<Services, 'objects'>,
  ref: ThreadRef,
  work: () => Promise<T>,
): Promise<T> {
  const look = async (): Promise<void> => {
    if (!(await threads.activeRun(ref)).exists) throw notFound('thread', ref.threadId);
  };
  const isKnown = threads.isKnown(ref);
  if (!isKnown) await look();
  try {
    return await work();
  } catch (error) {
    if (isKnown && error instanceof ApiError) await look();
    throw error;
  }
}
