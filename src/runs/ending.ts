/** The events that end a run early, or give it back: what is open closes first, the message before its step. Pure. */
import type { RunEvent } from './event.ts';
import type { RunState } from './run.ts';
import type { FailureFacts, RunError } from './thread.ts';

/** How a run ends, short of completing: what closes its open parts, and with which words. */
export type Ending =
  | { readonly type: 'cancelled' }
  | { readonly type: 'expired' }
  | {
      readonly type: 'failed';
      readonly error: RunError;
      readonly facts: FailureFacts;
      readonly retryAfterMs?: number | null;
    };

/** A failure that is told in nobody's words but ours, so that the operator may read the same as the client. */
export function failedBy(error: RunError): Extract<Ending, { type: 'failed' }> {
  return { type: 'failed', error, facts: { reason: error.message } };
}

/**
 * The events that end a run in whatever state it is: its message closes, then its step, then the run itself (R3).
 * A cancel of a run nobody executes is `run.cancelling` followed by these.
 */
export function ending(state: RunState, how: Ending, at: number): readonly RunEvent[] {
  const events: RunEvent[] = [];
  const usage = state.owed;
  if (state.message !== null) {
    events.push({ type: 'message.incomplete', at, reason: `run_${how.type}`, dropped: false });
  }
  if (state.step !== null) {
    if (how.type === 'failed') events.push({ type: 'step.failed', at, usage, error: how.error });
    else events.push({ type: `step.${how.type}`, at, usage });
  }
  if (how.type === 'failed') {
    const { error, facts, retryAfterMs = null } = how;
    const after = retryAfterMs === null ? {} : { retry_after_ms: retryAfterMs };
    events.push({ type: 'run.failed', at, error, ...after, facts });
  } else events.push({ type: `run.${how.type}`, at });
  return events;
}

const LOST: RunError = {
  code: 'server_error',
  message: 'The worker stopped in the middle of this step; the run says it again in another one.',
};

/**
 * The events that give a started run back to the queue. A half-said message is dropped and a half-called step failed,
 * with the words before its calls: the next attempt says them anew under new ids. Steps that were finished stay and are
 * never asked again.
 */
export function release(state: RunState, reason: 'shutdown' | 'lost', at: number): readonly RunEvent[] {
  const events: RunEvent[] = [];
  if (state.message !== null)
    events.push({ type: 'message.incomplete', at, reason: 'run_failed', dropped: true });
  if (state.preface !== null) events.push({ type: 'step.dropped', at, error: LOST });
  if (state.step !== null) events.push({ type: 'step.failed', at, usage: null, error: LOST });
  events.push({ type: 'run.released', at, reason });
  return events;
}
