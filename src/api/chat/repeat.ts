/**
 * A chat request that is sent again, with the same `Idempotency-Key` or as an SDK's own retry of an identical request, is
 * answered by the run that its first sending began: listened to while it goes on, and from its log afterwards.
 */
import { unconfirmed } from '../../errors.ts';
import { isCancelling } from '../../runs/run.ts';
import type { RunRef } from '../../store/keys.ts';
import type { RunStore } from '../../store/runs.ts';
import type { Call } from '../endpoint.ts';
import { changedNothing, digestOf, idempotencyKey, RETRY, stillPending } from '../idempotency.ts';
import type { Services } from '../services.ts';

/** A run, and where in its log a turn begins. */
export interface Found {
  readonly ref: RunRef;
  readonly after: number;
  /** False for a run just begun that could still be lost with its server; see {@link unconfirmed}. */
  readonly confirmed?: boolean;
}

/** Not longer than the log of an ended run, which is what the answer is told from. */
const KEY_KEPT_MS = 600_000;

/**
 * The run of the first sending; where there is none, what `begin` finds, remembered for repetitions.
 * @throws {ApiError} 409 while the first sending has not come as far as its run.
 */
export async function firstSending(
  { answers, audience, runs }: Pick<Services, 'answers' | 'audience' | 'runs'>,
  call: Call,
  begin: () => Promise<Found>,
): Promise<Found> {
  const key = idempotencyKey(call);
  const retries = call.header('x-stainless-retry-count');
  // Clients that never repeat by themselves need nothing kept.
  if (key === null && retries === undefined) return safe(await begin());
  const digest = key === null ? digestOf(call, 'body', call.text) : digestOf(call, 'key', key);
  const isFirst = key === null ? Number(retries) === 0 : (await answers.claim(call.project, digest)) !== null;
  const first = isFirst ? null : await answers.find(call.project, digest);
  if (first === 'pending') throw stillPending();
  if (first?.type === 'stream' && (await isWhole(runs, first.ref)) && (await audience.join(first.ref)))
    return first;
  const found = await begin().catch(async (error: unknown) => {
    if (key !== null && changedNothing(error)) await answers.release(call.project, digest);
    throw error;
  });
  const { ref, after } = found;
  const keep = (keptMs: number): void => {
    // Not waited for: the answer is right either way, and a repetition comes later than this is written.
    answers
      .keep(call.project, digest, { type: 'stream', ref, after, withThread: false }, keptMs)
      .catch((err: unknown) => call.log.warn({ err }, 'could not keep a run for repetitions'));
  };
  if (key !== null) keep(KEY_KEPT_MS);
  else if (found.confirmed === false) keep(RETRY.keptMs);
  // An answer that arrived is not asked for again: whoever sends the same body then means it anew.
  else call.onUndelivered(() => keep(RETRY.keptMs));
  return safe(found);
}

/** @throws {ApiError} 503 for a run that is not safe yet; a repetition gets it. */
function safe(found: Found): Found {
  if (found.confirmed === false) throw unconfirmed(found.ref.runId);
  return found;
}

/** Whether the run has an answer, or will have: one that failed, or whose caller hung up, is done anew. */
async function isWhole(runs: RunStore, ref: RunRef): Promise<boolean> {
  const run = (await runs.get(ref))?.stored.state.run;
  return run !== undefined && !isCancelling(run) && run.cancelled_at === null && run.failed_at === null;
}
