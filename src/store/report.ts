/** Reports the transitions of runs: to the log, and to counters. */
import type { Logger } from '../log.ts';
import type { RunEvent } from '../runs/event.ts';
import type { RunState } from '../runs/run.ts';
import type { RunError } from '../runs/thread.ts';
import type { RunRef } from './keys.ts';

export interface RunObserver {
  readonly log: Logger;
  /** Hears of every transition this process makes, by its event, and of commits of a worker that were refused. */
  readonly count?: ((what: string) => void) | undefined;
  /** Hears of every run this process ends as failed; `upstream` is null where none had a part in it. */
  readonly countFailure?: ((code: RunError['code'], upstream: string | null) => void) | undefined;
}

/** One line per transition. Ids, codes and our own words only: a run's texts are its users' business. */
export function report(
  ref: RunRef,
  state: RunState,
  events: readonly RunEvent[],
  { log, count, countFailure }: RunObserver,
): void {
  for (const event of events) {
    if (!event.type.startsWith('run.')) continue;
    count?.(event.type);
    const fields = { event: event.type, ...logFields(ref, state) };
    if (event.type === 'run.failed') {
      const { error, facts } = event;
      countFailure?.(error.code, facts?.upstream ?? null);
      const why = facts?.reason ?? error.code;
      log.warn({ ...fields, error_code: error.code, ...facts }, `a run failed: ${why}`);
    } else log.info(fields, 'transition');
  }
}

/** What every log line about a run carries. */
export function logFields(ref: RunRef, state: RunState): Record<string, string> {
  return { run_id: ref.runId, thread_id: ref.threadId, request_id: state.origin.request_id };
}
