/**
 * A chat request that is sent again, with the same `Idempotency-Key` or as an SDK's own retry of an identical request, is
 * answered by the run that its first sending began: listened to while it goes on, and from its log afterwards.
 */
import { createHash } from 'node:crypto';
import { ApiError } from '../../errors.ts';
import { isCancelling } from '../../runs/run.ts';
import type { RunRef } from '../../store/keys.ts';
import type { RunStore } from '../../store/runs.ts';
import type { Call } from '../endpoint.ts';
import type { Services } from '../services.ts';

/** A run, and where in its log a turn begins. */
export interface Found {
  readonly ref: RunRef;
  readonly after: number;
}

/** A retry comes within seconds. Longer, and somebody may really mean to say the same again. */
const RETRY_KEPT_MS = 60_000;
/** Not longer than the log of an ended run, which is what the answer is told from. */
const KEY_KEPT_MS = 600_000;
const MAX_KEY_LENGTH = 255;

/**
 * The run of the first sending; where there is none, what `begin` finds, remembered for repetitions.
 * @throws {ApiError} 409 while the first sending has not come as far as its run.
 */
export async function firstSending(
  { answers, audience, runs }: Pick<Services, 'answers' | 'audience' | 'runs'>,
  call: Call,
  begin: () => Promise<Found>,
): Promise<Found> {
  const key = call.header('idempotency-key');
  const retries = call.header('x-stainless-retry-count');
  if (key !== undefined && key.length > MAX_KEY_LENGTH) {
    const text = `The Idempotency-Key is longer than ${MAX_KEY_LENGTH} characters.`;
    throw new ApiError(400, text, { code: 'invalid_value' });
  }
  // Clients that never repeat by themselves need nothing kept.
  if (key === undefined && retries === undefined) return begin();
  const digest = createHash('sha256')
    .update(key === undefined ? `chat body\n${call.url}\n${call.text}` : `chat key\n${call.url}\n${key}`)
    .digest('base64url');
  const isFirst = key === undefined ? Number(retries) === 0 : await answers.claim(call.project, digest);
  const first = isFirst ? null : await answers.find(call.project, digest);
  if (first === 'pending') throw tooEarly();
  if (first?.type === 'stream' && (await isWhole(runs, first.ref)) && (await audience.join(first.ref)))
    return first;
  const found = await begin().catch(async (error: unknown) => {
    if (key !== undefined) await answers.release(call.project, digest);
    throw error;
  });
  const keep = (keptMs: number): void => {
    // Not waited for: the answer is right either way, and a repetition comes later than this is written.
    answers
      .keep(call.project, digest, { type: 'stream', ...found, withThread: false }, keptMs)
      .catch((err: unknown) => call.log.warn({ err }, 'could not keep a run for repetitions'));
  };
  if (key !== undefined) keep(KEY_KEPT_MS);
  // An answer that arrived is not asked for again: whoever sends the same body then means it anew.
  else call.onUndelivered(() => keep(RETRY_KEPT_MS));
  return found;
}

/** Whether the run has an answer, or will have: one that failed, or whose caller hung up, is done anew. */
async function isWhole(runs: RunStore, ref: RunRef): Promise<boolean> {
  const run = (await runs.get(ref))?.stored.state.run;
  return run !== undefined && !isCancelling(run) && run.cancelled_at === null && run.failed_at === null;
}

function tooEarly(): ApiError {
  const text = 'A request with this Idempotency-Key is just being begun. Try again in a moment.';
  return new ApiError(409, text, { code: 'idempotency_pending', headers: { 'retry-after-ms': '250' } });
}
