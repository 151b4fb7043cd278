/**
 * One job of the queue: take the run, execute it, commit its events. The job only wakes the worker up; what to do is
 * said by the run itself: as the job shows it, where it was never changed since, else as it is read. So a job that comes
 * twice, late, or for a run whose worker died does the right thing.
 *
 * Invariants:
 *   W1  the model is asked only after `run.started` is committed: two workers never both execute a turn
 *   W2  what a commit refused never happened: the worker reads the run again and closes it from its log
 *   W3  every way out leaves the run ended, blocked, queued with a job, or with another worker; a run of a newer format
 *       is left as it is
 *   W4  this process executes a turn once at a time: a second job for the turn waits for the execution under way
 *   W5  a run is taken over only from a worker that is dead, as far as its lease shows (lease.ts)
 *   W6  a run that finds no slot is not started: it stays queued, and no attempt is counted
 */
import { holderOf, lossesOf, startersOf } from '../runs/attempts.ts';
import { failedBy, type Ending } from '../runs/ending.ts';
import { NewerFormat } from '../runs/format.ts';
import { isBlocked, isCancelling, isExecuting, isOverdue, isTerminal, type RunState } from '../runs/run.ts';
import type { RunRef } from '../store/keys.ts';
import type { LogHub } from '../store/follow.ts';
import { Unreadable } from '../store/json.ts';
import type { Lease } from '../store/lease.ts';
import type { GoesFirst, JobOutcome } from '../store/queue.ts';
import { runOf, type RunJob } from '../store/run-jobs.ts';
import { logFields } from '../store/report.ts';
import { Refused, type CommittedRun, type StoredRun } from '../store/runs.ts';
import { Driver, Stop, type DriveOptions } from './drive.ts';
import type { RunTraces } from './run-traces.ts';
import type { Slot, Slots } from './slots.ts';

export interface RunWorkerOptions extends DriveOptions {
  readonly hub: LogHub;
  /** Names this worker, and tells whether other workers are alive. */
  readonly lease: Pick<Lease, 'id' | 'lives' | 'confirm' | 'survived'>;
  readonly slots: Slots;
  readonly traces: Pick<RunTraces, 'begin' | 'end' | 'call'>;
  /** The name of the upstream that will answer a run; null when there is none. */
  readonly upstreamOf: (state: RunState) => string | null;
  /** How many workers a turn may lose before its run fails. */
  readonly maxAttempts: number;
}

/** A job under way, and what stops it. */
interface Work {
  readonly job: RunJob;
  readonly controller: AbortController;
  /** The number of the attempt, once the run is started. */
  attempt: number | null;
  /** Resolves when the job is over, however it ends. */
  readonly ended: PromiseWithResolvers<void>;
  readonly goesFirst: GoesFirst;
  /** When the job was added to the queue; null where that is not known. */
  readonly addedMs: number | null;
}

/** A key for one turn of one run. */
const turnOf = ({ runId, turn }: RunJob): string => `${runId}-${turn}`;

/** How often a job looks at its run again after losing a race; then it leaves the run to the sweeper. */
const MAX_LOOKS = 10;

/** How often the log says that an upstream has no slot left. */
const FULL_TOLD_MS = 60_000;

/** Executes the runs of this process. */
export class RunWorker {
  readonly #options: RunWorkerOptions;
  readonly #driver: Driver;
  /** The jobs at hand, by turn. */
  readonly #working = new Map<string, Work>();
  /** The upstreams that were recently logged as having no slot left. */
  readonly #full = new Set<string>();
  #stopListening: (() => void) | null = null;
  #leaving = false;

  constructor(options: RunWorkerOptions) {
    this.#options = options;
    this.#driver = new Driver(options);
  }

  /** Listens for changes that other processes make to the runs it executes. */
  async start(): Promise<void> {
    this.#stopListening = await this.#options.hub.onChange((runId) => {
      for (const work of this.#working.values())
        if (runId === null || work.job.runId === runId) void this.#lookAfter(work);
    });
  }

  /**
   * Another process may have changed one of our runs. Most notices are about the commit that gave us the run, so the
   * run itself is read.
   */
  async #lookAfter({ job, attempt, controller }: Work): Promise<void> {
    try {
      const state = (await this.#options.runs.get(job))?.stored.state;
      if (state === undefined || isTerminal(state.run) || isCancelling(state.run) || !isStill(state, attempt))
        controller.abort(new Stop('changed'));
    } catch (err) {
      // The next commit notices as well.
      this.#options.log.warn({ err, run_id: job.runId }, 'could not look at a changed run');
    }
  }

  /** Gives every run it executes back to the queue. */
  handOver(): void {
    this.#leaving = true;
    for (const { controller } of this.#working.values()) controller.abort(new Stop('shutdown'));
  }

  stop(): void {
    this.#stopListening?.();
  }

  /** The runs that are under way, at most so many of them. */
  running(most: number): readonly RunRef[] {
    const refs: RunRef[] = [];
    for (const { job } of this.#working.values()) {
      if (refs.length === most) break;
      refs.push({ project: job.project, threadId: job.threadId, runId: job.runId });
    }
    return refs;
  }

  /** How many jobs are under way. */
  get busy(): number {
    return this.#working.size;
  }

  /**
   * Does one job. The queue may meanwhile have given the job to another worker, because Redis or this process stood
   * still. That is no reason to stop: a worker that takes the run over changes it, and then our next commit is refused.
   * The queue may also give the job to this process once more; the work under way is not lost then (W4).
   */
  async work(
    job: RunJob,
    goesFirst: GoesFirst = () => {},
    addedMs: number | null = null,
  ): Promise<JobOutcome> {
    const startedMs = performance.now();
    const fields = { run_id: job.runId, thread_id: job.threadId, request_id: job.requestId };
    const turn = turnOf(job);
    for (let before = this.#working.get(turn); before !== undefined; before = this.#working.get(turn)) {
      this.#options.log.info(fields, 'a job has come again while it is being done');
      await this.#lookAfter(before);
      await before.ended.promise;
    }
    // A job may still come in while the queue is told to stop.
    if (this.#leaving) return 'handed over';
    const work: Work = {
      job,
      controller: new AbortController(),
      attempt: null,
      ended: Promise.withResolvers<void>(),
      goesFirst,
      addedMs,
    };
    this.#working.set(turn, work);
    try {
      const outcome = await this.#look(work);
      const ms = Math.round(performance.now() - startedMs);
      // At debug while an upstream hangs, because its jobs come back again and again.
      this.#options.log[outcome === 'no slot' ? 'debug' : 'info']({ ...fields, outcome, ms }, 'job');
      if (outcome !== 'no slot') this.#options.slots.forget(job.runId);
      return outcome;
    } catch (err) {
      if (err instanceof NewerFormat) {
        this.#options.log.warn({ ...fields, err }, 'leaving a run to a newer worker');
        return 'too new';
      }
      if (err instanceof Stop) return err.why === 'shutdown' ? 'handed over' : 'done';
      // The sweeper deals with it.
      if (err instanceof Unreadable) return 'done';
      if (!(err instanceof Refused)) throw err;
      // W2: the run has moved on without us. The process that moved it does the rest.
      this.#options.log.info({ ...fields, outcome: err.why }, 'job');
      return 'done';
    } finally {
      this.#working.delete(turn);
      work.ended.resolve();
    }
  }

  /** Looks at the run until it is ours to execute, or needs nothing more. */
  async #look(work: Work): Promise<JobOutcome> {
    const { job, controller, goesFirst } = work;
    const { runs, slots, now, traces } = this.#options;
    for (let looks = 0; looks < MAX_LOOKS; looks++) {
      if (this.#leaving) return 'handed over';
      // What found no slot before has waited, and a wait is long enough for changes.
      const shown = looks === 0 && !slots.knows(job.runId) ? runOf(job) : null;
      const stored = shown ?? (await runs.get(job))?.stored;
      if (stored === undefined || stored.state.turn !== job.turn) return 'done';
      const { run } = stored.state;
      if (isTerminal(run) || isBlocked(run)) return 'done';
      if (isOverdue(run, now())) await runs.close(job, { type: 'expired' });
      else if (isCancelling(run)) await runs.close(job, { type: 'cancelled' });
      else if (isExecuting(run)) {
        // If that worker dies, the sweeper adds the job again.
        if (await this.#isInOtherHands(stored, controller.signal)) return 'done';
        // If that worker is alive after all, its commits are refused from here on.
        await runs.giveBack(job, 'lost');
      } else if (await this.#isLostTooOften(stored.state, controller.signal))
        await runs.close(job, this.#tooOften());
      else {
        const slot = this.#take(job, stored);
        if (slot === null) return 'no slot';
        try {
          const starting = this.#begin(stored);
          // Sent behind the claim, in the same tick: once that holds, nobody else changes what is read here.
          const history = this.#driver.openHistory(job);
          goesFirst(starting);
          const started = await starting;
          if (started === null) continue;
          work.attempt = started.state.attempts;
          this.#noteWait(stored.state, work);
          traces.begin(started, work.addedMs);
          return await this.#driver.drive(started, history, controller);
        } finally {
          traces.end(job.runId);
          slot();
        }
      }
    }
    return 'done';
  }

  /** How long the run waited, unless a worker has begun with this turn before: then it was not waiting all the time. */
  #noteWait({ run, turn, attempts }: RunState, { addedMs }: Work): void {
    const { measures, nowMs } = this.#options;
    const isFirst = attempts === 0 && (turn > 1 || run.started_at === null);
    if (isFirst && addedMs !== null)
      measures.note('run_queue_seconds', Math.max(0, nowMs() - addedMs) / 1_000);
  }

  /** W6 */
  #take(job: RunJob, { ref, state }: StoredRun): Slot | null {
    const { slots, upstreamOf, log } = this.#options;
    const upstream = upstreamOf(state);
    const slot = slots.take(upstream, job);
    if (slot === null && upstream !== null && !this.#full.has(upstream)) {
      log.warn(
        { upstream, held: slots.held(upstream), ...logFields(ref, state) },
        'an upstream has all the slots that it may have; its further runs wait',
      );
      this.#full.add(upstream);
      setTimeout(() => this.#full.delete(upstream), FULL_TOLD_MS).unref();
    }
    return slot;
  }

  /** W5 */
  async #isInOtherHands({ ref, state }: StoredRun, signal: AbortSignal): Promise<boolean> {
    const { lease, log } = this.#options;
    const holder = holderOf(state);
    if (holder === null || holder === lease.id || !(await lease.lives(holder, signal))) return false;
    log.info({ ...logFields(ref, state), holder }, 'leaving a run to the worker that has it');
    return true;
  }

  /** A worker that is still alive has only stood still or lost Redis; the run is not to blame for that. */
  async #isLostTooOften(state: RunState, signal: AbortSignal): Promise<boolean> {
    const { lease, maxAttempts } = this.#options;
    if (state.attempts < maxAttempts) return false;
    const isTooMany = (living: ReadonlySet<string>): boolean => lossesOf(state, living) >= maxAttempts;
    return lease.confirm(startersOf(state), state.run.id, isTooMany, signal);
  }

  #tooOften(): Ending {
    const message = `The run lost its worker ${this.#options.maxAttempts} times and was given up. Ask the operator for the logs.`;
    return failedBy({ code: 'server_error', message });
  }

  /** W1. @returns null when another process was faster. */
  async #begin(stored: StoredRun): Promise<CommittedRun | null> {
    try {
      const { runs, now, lease } = this.#options;
      return await runs.commit(stored, [{ type: 'run.started', at: now(), worker: lease.id }]);
    } catch (error) {
      if (error instanceof Refused && error.why === 'conflict') return null;
      throw error;
    }
  }
}

/** Whether the run is still in that attempt. An attempt that has not begun (null) always counts. */
function isStill({ run, attempts }: RunState, attempt: number | null): boolean {
  return attempt === null || (attempts === attempt && isExecuting(run));
}
