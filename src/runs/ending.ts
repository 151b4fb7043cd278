/**
 * The events that end a run early, or give it back to the queue. Open parts close first, the message before its step. Pure.
 */
import type { RunEvent } from './event.ts';
import type { RunState } from './run.ts';
import type { FailureFacts, RunError, Usage } from './thread.ts';

/** How a run ends without completing; the type and the error also go into its open parts. */
export type Ending =
  | { readonly type: 'cancelled' }
  | { readonly type: 'expired' }
  | {
      readonly type: 'failed';
      readonly error: RunError;
      readonly facts: FailureFacts;
      readonly retryAfterMs?: number | null;
    };

/** A failure whose message quotes no upstream and no user, so the operator's log gets the same words as the client. */
export function failedBy(error: RunError): Extract<Ending, { type: 'failed' }> {
  return { type: 'failed', error, facts: { reason: error.message } };
}

/** A prompt that must not be cut does not fit into the context of its model. @param sizes in tokens, as we estimate them */
export function tooLong(sizes: {
  readonly estimatedTokens: number;
  readonly roomTokens: number;
}): Extract<Ending, { type: 'failed' }> {
  const message = `The input and what it goes on from have about ${sizes.estimatedTokens} tokens, and the context of this model has room for about ${sizes.roomTokens}. Send less, compact what was said before, or set 'truncation' to 'auto'.`;
  const code = 'context_length_exceeded';
  return { type: 'failed', error: { code, message }, facts: { reason: message, param: 'input', code } };
}

/**
 * The events that end a run in whatever state it is: its message closes, then its step, then the run itself (R3). To
 * cancel a run that no worker executes, commit `run.cancelling` followed by these.
 * @param usage of the completion that ends in the open step
 */
export function ending(
  state: RunState,
  how: Ending,
  at: number,
  usage: Usage | null = state.owed,
): readonly RunEvent[] {
  const events: RunEvent[] = [];
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
 * The events that give a started run back to the queue. An unfinished message is dropped. An unfinished step of calls
 * fails, and so do the words before its calls: the next attempt produces them again under new ids. Finished steps stay
 * and are never asked for again.
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

/** Why the run and its message are incomplete when the model stopped before its end. */
export const INCOMPLETE = {
  length: { run: 'max_completion_tokens', message: 'max_tokens' },
  content_filter: { run: 'content_filter', message: 'content_filter' },
} as const;
