/**
 * Steers a run: what is said to a busy thread is taken in by the run that has the thread, before its model is asked next. A run
 * that has ended meanwhile takes nothing in; then the request goes its ordinary way.
 */
import { ApiError } from '../errors.ts';
import { apply, isBlocked, type RunState } from '../runs/run.ts';
import { LogGone } from '../store/follow.ts';
import type { RunRef } from '../store/keys.ts';
import type { StoredRun } from '../store/runs.ts';
import { MOST_WAITING, type Joining } from '../store/steering.ts';
import type { Caller } from './caller.ts';
import type { Means } from './means.ts';
import { Unconfirmed } from './repeat.ts';
import { waiting } from './settle.ts';

/** How a caller is answered whose messages a run takes in. */
export interface SteerAnswer<T> {
  /** Whether the answer begins where the messages came in, and waits for that. */
  readonly fromThere: boolean;
  /** @param after the sequence number of the event before the place where the answer begins; 0 where it does not wait */
  readonly answer: (run: StoredRun, after: number) => T;
}

/**
 * Has the run that holds a thread take messages in.
 * @returns the answer; null when the run has ended, or is about to
 * @throws {ApiError} 400 where too much waits already; {@link Unconfirmed} for what could still be lost with its Redis server.
 */
export async function steer<T>(
  means: Means,
  caller: Caller,
  holder: RunRef,
  messages: readonly Joining[],
  { fromThere, answer }: SteerAnswer<T>,
): Promise<T | null> {
  const work = async (): Promise<T | null> => {
    const taken = await means.runs.steer(holder, messages);
    if (taken === 'over') return null;
    if (taken === 'full') throw tooManySteers(holder);
    const after = fromThere ? await cameIn(means, caller, holder, messages.at(-1)?.id ?? '') : 0;
    const given = answer(taken.stored, after);
    if (!taken.confirmed) throw new Unconfirmed(holder.runId, given);
    return given;
  };
  return fromThere ? waiting(means, caller, holder, work) : work();
}

/**
 * Waits until a run has taken a message in. @returns the sequence number of the event before that; of a run that waits for its
 * client, of the event before it came to wait, so that whoever reads on from there hears what the run waits for
 */
async function cameIn(
  { hub }: Pick<Means, 'hub'>,
  { gone }: Pick<Caller, 'gone'>,
  ref: RunRef,
  id: string,
): Promise<number> {
  let state: RunState | null = null;
  let blockedAt = 0;
  try {
    for await (const entries of hub.follow(ref, gone)) {
      for (const { seq, event } of entries) {
        state = apply(state, event).state;
        if (event.type === 'run.blocked') blockedAt = seq;
        if (event.type === 'run.steered' && event.messages.includes(id))
          return (isBlocked(state.run) ? blockedAt : seq) - 1;
      }
    }
  } catch (error) {
    // Whoever reads the log then says what became of it.
    if (!(error instanceof LogGone)) throw error;
  }
  return 0;
}

function tooManySteers({ threadId, runId }: RunRef): ApiError {
  const text = `At most ${MOST_WAITING} messages may wait for the run ${runId} of ${threadId} to take them in. Wait until its model has answered.`;
  return new ApiError(400, text, { code: 'thread_busy' });
}
