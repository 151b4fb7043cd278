/**
 * A chat request that is sent again, with the same `Idempotency-Key` or as an SDK's own retry of an identical request, is
 * answered by the run that its first sending began: listened to while it goes on, and from its log afterwards. Who may
 * have it is decided as for every other request (../idempotency.ts); here is only what becomes of a run.
 */
import { isOnTrial, unconfirmed } from '../errors.ts';
import { isCancelling } from '../runs/run.ts';
import type { FirstAnswer } from '../store/idempotency-records.ts';
import type { RunRef } from '../store/keys.ts';
import type { Call } from '../api/http/endpoint.ts';
import {
  idempotencyKey,
  namesOf,
  retriesOf,
  retryDigest,
  RETRY,
  unawaited,
  underKey,
} from '../api/http/idempotency.ts';
import { cancelRun } from './changes.ts';
import type { Services } from './means.ts';
import type { ChatTurn } from './turn.ts';

/** A run, and where in its log a turn begins. */
export interface Found {
  readonly ref: RunRef;
  readonly after: number;
  /** False for a run just begun that could still be lost with its server; see {@link unconfirmed}. */
  readonly confirmed?: boolean;
  /** The run was begun by an earlier sending of this very request, whose process has not lived to say so. */
  readonly isEarlier?: boolean;
}

/** Not longer than the log of an ended run, which is what the answer is told from. */
const KEY_KEPT_MS = 600_000;

/**
 * The run of the first sending; where there is none, what `begin` finds, remembered for repetitions.
 * @throws {ApiError} 409 while the first sending has not come as far as its run; 422 for a key of another request.
 */
export async function firstSending(
  services: Services,
  call: Call,
  turn: ChatTurn,
  begin: () => Promise<Found>,
): Promise<Found> {
  const key = idempotencyKey(call);
  const found = await (key === null
    ? retried(services, call, turn, begin)
    : keyed(services, call, turn, key, begin).catch((error: unknown) => {
        // The chat that would prove the key must get through, if need be without a record of it.
        if (turn.thread === null && isOnTrial(error)) return begin();
        throw error;
      }));
  if (found.confirmed === false) throw unconfirmed(found.ref.runId);
  return found;
}

async function keyed(
  services: Services,
  call: Call,
  turn: ChatTurn,
  key: string,
  begin: () => Promise<Found>,
): Promise<Found> {
  /** What can be listened to; a run that has no answer to give is done anew, under names that come from its own. */
  const heardOrAnew = async (first: Found): Promise<Found> => {
    if (await canBeHeard(services, first.ref)) return first;
    call.newId = namesOf(first.ref.runId);
    return begin();
  };
  return underKey(
    services,
    call,
    key,
    {
      again: async (first) => (first.type === 'stream' ? heardOrAnew(first) : begin()),
      work: async ({ settle }) => {
        const begun = await begin();
        const found = begun.isEarlier === true ? await heardOrAnew(begun) : begun;
        settle(runOf(found), KEY_KEPT_MS);
        return found;
      },
    },
    // Where the run is, not what it says.
    { madeUp: turn.madeUp, keptBytes: 0 },
  );
}

/** I2: the request is in a thread, or says whose it is. */
async function retried(
  services: Services,
  call: Call,
  turn: ChatTurn,
  begin: () => Promise<Found>,
): Promise<Found> {
  const retries = retriesOf(call);
  if (turn.thread === null && turn.caller === null) {
    const found = await begin();
    // Nobody can come back for it.
    if (found.confirmed === false) await cancelRun(services, found.ref);
    return found;
  }
  // Clients that never repeat by themselves need nothing kept.
  if (retries === null) return begin();
  const digest = retryDigest(call);
  const first = retries > 0 ? await services.answers.take(call.project, digest) : null;
  const isHeard = first?.type === 'stream' && (await canBeHeard(services, first.ref));
  const found: Found = isHeard ? first : await begin();
  const keep = (): void =>
    unawaited(call, services.answers.keep(call.project, digest, runOf(found), RETRY.keptMs));
  if (found.confirmed === false) keep();
  // An answer that arrived is not asked for again: whoever sends the same body then means it anew.
  else call.onUndelivered(keep);
  return found;
}

const runOf = ({ ref, after }: Found): FirstAnswer => ({ type: 'stream', ref, after, withThread: false });

/** Whether the run has an answer, or will have: one that failed, or whose caller hung up, has none. Then one more listens. */
async function canBeHeard({ runs, listeners }: Services, ref: RunRef): Promise<boolean> {
  const run = (await runs.get(ref))?.stored.state.run;
  if (run === undefined || isCancelling(run)) return false;
  return run.cancelled_at === null && run.failed_at === null && listeners.join(ref);
}
