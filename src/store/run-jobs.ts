/**
 * Jobs of runs: "this run has work to do". A job names a run; all truth is in the run. It may be delivered twice or late, so a
 * worker looks at the run first, or claims it as the job shows it: where the run has changed since, the fence refuses that.
 */
import { isQueued, type RunState } from '../runs/run.ts';
import type { JobKind } from './job-kind.ts';
import { readRun } from './json.ts';
import type { RunRef } from './keys.ts';
import type { JobQueue } from './queue.ts';
import type { StoredRun } from './runs.ts';

/** What a job says: which run, and the request it came from, for the log. */
export interface RunJob extends RunRef {
  readonly requestId: string;
  /** The turn of the run it was added for; a job of an earlier turn is too late. */
  readonly turn: number;
  /** The span that its run belongs to; missing where nothing is exported. */
  readonly traceparent?: string;
  /** The run as it was queued; missing where it is large or was not queued, and in jobs of older versions. */
  readonly run?: QueuedRun;
}

/** A run as it was queued. What is secret of it is sealed here as it is there. */
interface QueuedRun {
  readonly state: RunState;
  readonly version: string;
  readonly seq: number;
}

/** Jobs lie in memory while they wait; a larger run is read by the worker that takes its job. */
const MAX_RUN_LENGTH = 16_384;

/** The job of a run. @param length of the state as JSON */
export function jobOf(
  { ref, state, version, seq }: StoredRun,
  length: number = JSON.stringify(state).length,
): RunJob {
  const { project, threadId, runId } = ref;
  const { request_id: requestId, traceparent } = state.origin;
  const traced = traceparent === undefined ? {} : { traceparent };
  const job = { project, threadId, runId, requestId, turn: state.turn, ...traced };
  if (!isQueued(state.run) || length > MAX_RUN_LENGTH) return job;
  return { ...job, run: { state, version, seq } };
}

/** The job of a run that is being written. */
export class BegunJob {
  readonly #queue: JobQueue<RunJob>;
  readonly #job: RunJob;
  readonly #sent: Promise<unknown> | null;

  /** @param isOrdered whether commands keep their order, so that the job can be sent behind the run at once */
  constructor(queue: JobQueue<RunJob>, job: RunJob, isOrdered: boolean) {
    this.#queue = queue;
    this.#job = job;
    this.#sent = isOrdered ? this.#add() : null;
  }

  /** The run is written, and its job is needed. @returns why that could not be added; undefined when it was. */
  async committed(): Promise<unknown> {
    return this.#sent ?? this.#add();
  }

  /** The run is not written, but may be soon. */
  async refused(): Promise<void> {
    if (this.#sent !== null) await this.#queue.withdraw(this.#job);
  }

  async #add(): Promise<unknown> {
    return this.#queue.add(this.#job).catch((err: unknown) => err);
  }
}

/** The run as a job shows it, or null. @throws {NewerFormat} as everything does that reads a run. */
export function runOf({ project, threadId, runId, run }: RunJob): StoredRun | null {
  if (run === undefined) return null;
  return { ...run, ref: { project, threadId, runId }, state: readRun(run.state, { runId, threadId }, null) };
}

export const RUN_JOBS: JobKind<RunJob> = {
  queue: 'runs',
  name: 'run',
  idOf: ({ runId, turn }) => `${runId}-${turn}`,
  fieldsOf: ({ runId, threadId }) => ({ run_id: runId, thread_id: threadId }),
  spanOf: ({ traceparent }) => traceparent,
};
