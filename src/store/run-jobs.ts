/**
 * Jobs of runs: "this run has work to do", and nothing else. A job names a run; all truth is in the run. It may be
 * delivered twice or late, so a worker looks at the run first.
 */
import type { JobKind } from './job-kind.ts';
import type { RunRef } from './keys.ts';

/** What a job says: which run, and the request it came from, for the log. */
export interface RunJob extends RunRef {
  readonly requestId: string;
  /** The turn of the run it was added for; a job of an earlier turn is too late. */
  readonly turn: number;
}

export const RUN_JOBS: JobKind<RunJob> = {
  queue: 'runs',
  name: 'run',
  idOf: ({ runId, turn }) => `${runId}-${turn}`,
  fieldsOf: ({ runId, threadId }) => ({ run_id: runId, thread_id: threadId }),
};
