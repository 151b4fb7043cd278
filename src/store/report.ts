/** Reports the transitions of runs: to the log, and to counters. */
import type { Logger } from '../log.ts';
import type { RunEvent } from '../runs/event.ts';
import type { RunState } from '../runs/run.ts';
import type { Run, RunError, Usage } from '../runs/thread.ts';
import type { RunRef } from './keys.ts';

/** The events by which a run goes from one state to the next; the others fill its messages and steps. */
type TransitionEvent = Extract<RunEvent, { readonly type: `run.${string}` }>;

/** A transition of a run that is committed, and what the run is after the commit, which may hold further transitions. */
export interface CommittedTransition {
  readonly project: string;
  readonly run_id: string;
  readonly thread_id: string;
  readonly assistant_id: string;
  readonly model: string;
  /** The upstream that the run names; null for that of its model. */
  readonly backend: string | null;
  readonly type: TransitionEvent['type'];
  readonly status: Run['status'];
  /** The place in the run's log after the commit: of two transitions of a run, the later one has the larger or the same. */
  readonly seq: number;
  /** When the run was created, in unix seconds. */
  readonly created_at: number;
  readonly started_at: number | null;
  readonly completed_at: number | null;
  readonly failed_at: number | null;
  readonly cancelled_at: number | null;
  readonly last_error: RunError | null;
  /** The tokens of the whole run; null until it has ended. */
  readonly usage: Usage | null;
  /** Unix seconds. */
  readonly at: number;
}

export interface RunObserver {
  readonly log: Logger;
  /**
   * Hears of every transition that this process has committed: at most once of each, and in no other process. A commit that is
   * sent again after a reconnect has one reply, and this follows the reply. Nobody hears of a transition whose reply is
   * lost, because the process died or gave Redis up in between. The run waits for the call, so it must be short and not throw.
   */
  readonly onTransition?: ((transition: CommittedTransition) => void) | undefined;
  /** Hears of every transition this process makes, by its event, and of commits of a worker that were refused. */
  readonly count?: ((what: string) => void) | undefined;
  /** Hears of every run this process ends as failed; `upstream` is null where none had a part in it. */
  readonly countFailure?: ((code: RunError['code'], upstream: string | null) => void) | undefined;
}

/** A run as it is after a commit. */
interface ReportedRun {
  readonly ref: RunRef;
  readonly state: RunState;
  readonly seq: number;
}

/** One line per transition. Ids, codes and our own words only: a run's texts are its users' business. */
export function report(
  { ref, state, seq }: ReportedRun,
  events: readonly RunEvent[],
  { log, count, countFailure, onTransition }: RunObserver,
): void {
  for (const event of events) {
    if (!isTransition(event)) continue;
    count?.(event.type);
    onTransition?.({ ...transitionOf(ref, state, event), seq });
    const fields = { event: event.type, ...logFields(ref, state) };
    if (event.type === 'run.failed') {
      const { error, facts } = event;
      countFailure?.(error.code, facts?.upstream ?? null);
      const why = facts?.reason ?? error.code;
      log.warn({ ...fields, error_code: error.code, ...facts }, `a run failed: ${why}`);
    } else log.info(fields, 'transition');
  }
}

function isTransition(event: RunEvent): event is TransitionEvent {
  return event.type.startsWith('run.');
}

function transitionOf(
  { project, runId, threadId }: RunRef,
  { run, origin }: RunState,
  { type, at }: TransitionEvent,
): Omit<CommittedTransition, 'seq'> {
  return {
    project,
    run_id: runId,
    thread_id: threadId,
    assistant_id: run.assistant_id,
    model: run.model,
    backend: origin.backend_id,
    type,
    status: run.status,
    created_at: run.created_at,
    started_at: run.started_at,
    completed_at: run.completed_at,
    failed_at: run.failed_at,
    cancelled_at: run.cancelled_at,
    last_error: run.last_error,
    usage: run.usage,
    at,
  };
}

/** What every log line about a run carries. */
export function logFields(ref: RunRef, state: RunState): Record<string, string> {
  return { run_id: ref.runId, thread_id: ref.threadId, request_id: state.origin.request_id };
}
