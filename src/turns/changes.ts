/** The changes that clients make to runs, as events: cancel a run, answer its calls. Endpoints and chats both use them. */
import { notCancellable, outputsNotWanted } from '../errors.ts';
import { ending } from '../runs/ending.ts';
import type { RunEvent } from '../runs/event.ts';
import { isBlocked, isCancelling, isQueued, isTerminal, type RunState } from '../runs/run.ts';
import type { RunRef } from '../store/keys.ts';
import type { Means } from './means.ts';

/**
 * Accepts a cancel. No worker executes a queued or waiting run, so it is closed at once; any other run is closed by its
 * worker.
 * @throws {ApiError} 400 for a run that has ended or is being cancelled.
 */
export function cancelEvents(state: RunState, at: number): readonly RunEvent[] {
  const { run } = state;
  if (isTerminal(run) || isCancelling(run)) throw notCancellable(run.status);
  const accepted: RunEvent = { type: 'run.cancelling', at };
  return isQueued(run) || isBlocked(run)
    ? [accepted, ...ending(state, { type: 'cancelled' }, at)]
    : [accepted];
}

/** Cancels a run that is no longer wanted; leaves it alone if it has ended meanwhile. */
export async function cancelRun({ runs, now }: Means, ref: RunRef): Promise<void> {
  await runs.change(ref, ({ state }) =>
    isTerminal(state.run) || isCancelling(state.run) ? null : cancelEvents(state, now()),
  );
}

/**
 * Answers the client's calls: the step completes, and the run is queued again.
 * @param outputs by call id, one for each pending call
 * @throws {ApiError} 400 for a run that does not wait for outputs.
 */
export function answerCalls(
  state: RunState,
  outputs: Readonly<Record<string, string>>,
  at: number,
): readonly RunEvent[] {
  if (!isBlocked(state.run)) throw outputsNotWanted(state.run.status);
  return [
    { type: 'step.completed', at, usage: state.owed, outputs },
    { type: 'run.resumed', at, calm_until_ms: 0 },
  ];
}
