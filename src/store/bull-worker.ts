/**
 * One BullMQ worker, which takes jobs and keeps their locks while they are done. Owns its connection, and rests when Redis
 * answers nothing but errors. What a job means is said by its kind, and queue.ts decides which worker takes jobs.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { DelayedError, ErrorCode, WaitingError, Worker, type Job, type JobJson } from 'bullmq';
import { throttled, type Logger } from '../log.ts';
import type { JobKind, JobTracing } from './job-kind.ts';
import { JobLocks } from './job-locks.ts';
import type { RedisKeys } from './keys.ts';
import { connect } from './redis.ts';

/** Our own attempt limit decides when a run has been lost too often, not BullMQ's. */
const MAX_STALLS = 1_000_000;
const RETRY_AFTER_ERROR_MS = 500;
/** BullMQ asks again at once after an error, thousands of times a second while Redis refuses: then it rests a moment. */
const STORM_ERRORS = 5;
const STORM_MS = 1_000;
const REST_MS = 1_000;

export interface BullWorkerOptions<T> {
  readonly redisUrl: string;
  readonly keys: RedisKeys;
  readonly log: Logger;
  /** Unix milliseconds, the same for every process. */
  readonly nowMs: () => number;
  readonly concurrency: number;
  /** The worker's id; its jobs' locks begin with it ({@link isLockOf}). */
  readonly holder: string;
  /**
   * A job's lock is renewed every half of this; a dead worker's job is found within one and a half of it. No lower than
   * the longest event loop stall one accepts without a wasted model call.
   */
  readonly lockMs: number;
  readonly process: (job: Job<T, void>, token: string | undefined, goesFirst: GoesFirst) => Promise<void>;
  /** Hears of each job that another worker had lost. */
  readonly onStalled: () => void;
  readonly tracing?: JobTracing | null;
}

/** Told by a job, in the tick in which it begins, of the first question that it has sent. */
export type GoesFirst = (question: Promise<unknown>) => void;

/** A job that has waited longer than this was not alone. */
const ALONE_MS = 10;

/**
 * A worker that begins a job as soon as it has it. BullMQ asks for another one first, and waits for the answer. But all that
 * waits in the queue has left a mark there, so it is enough to wait for that. There is one after each job that was taken, so that
 * wait ends at once and leads to a question: both come when the job has begun, in whose way they would be. Where jobs come faster
 * than that, which shows in how long they have waited, it asks at once, as BullMQ does. Leans on private parts of BullMQ, which a
 * test watches.
 */
class PromptWorker<T extends object> extends Worker<T, void> {
  readonly #nowMs: () => number;
  #underWay = 0;
  /** Jobs wait for this worker. */
  #isBehind = false;
  /** The first question of the job that was taken last. */
  #first: Promise<unknown> | null = null;
  #takenMs = -Infinity;
  /** A while has passed between the last two jobs, so that another one need not be taken at once. */
  #isCalm = false;

  constructor(
    { nowMs, holder }: Pick<BullWorkerOptions<T>, 'nowMs' | 'holder'>,
    ...args: ConstructorParameters<typeof Worker<T, void>>
  ) {
    super(...args);
    this.#nowMs = nowMs;
    // The locks of its jobs begin with this. Its own part remains, because a process may have several.
    Reflect.set(this, 'id', `${holder}${LOCK_DIVIDER}${this.id}`);
    const wait: unknown = Reflect.get(this, 'waitForJob');
    if (typeof wait !== 'function') throw new TypeError('BullMQ waits for jobs in another way');
    Reflect.set(this, 'waitForJob', async (...until: unknown[]): Promise<unknown> => {
      await this.#calm();
      const markMs: unknown = await Reflect.apply(wait, this, until);
      return markMs;
    });
  }

  protected override async nextJobFromJobData(
    data?: JobJson,
    jobId?: string,
    token?: string,
  ): Promise<Job<T, void>> {
    const job = await super.nextJobFromJobData(data, jobId, token);
    const nowMs = this.#nowMs();
    this.#isBehind = job !== undefined && nowMs - job.timestamp > ALONE_MS;
    if (!this.#isBehind) Reflect.set(this, 'drained', true);
    if (job === undefined) return job;
    this.#isCalm = nowMs - this.#takenMs > ALONE_MS;
    this.#takenMs = nowMs;
    return job;
  }

  /** A job has sent its first question; nothing of the queue's should come between that and what follows. */
  goesFirst(question: Promise<unknown>): void {
    this.#first = question.then(
      () => {},
      () => {},
    );
  }

  /** Ends when the job that was taken last has begun: when its first question is answered, and what follows from that is sent. */
  async #calm(): Promise<void> {
    if (!this.#isCalm) return;
    await nextTurn();
    await this.#first;
    this.#first = null;
    // Commands gather for a turn.
    await nextTurn();
    await nextTurn();
  }

  /** Takes another job with the end of this one only where there is reason to; else one is being waited for already. */
  override async processJob(
    job: Job<T, void>,
    token: string,
    mayTake = (): boolean => true,
  ): Promise<void | Job<T, void>> {
    this.#underWay += 1;
    const isNeeded = (): boolean => this.#isBehind || this.#underWay >= this.concurrency;
    try {
      return await super.processJob(job, token, () => isNeeded() && mayTake());
    } finally {
      this.#underWay -= 1;
    }
  }
}

export class BullWorker<T extends object> {
  /** How many jobs it has now. */
  jobs = 0;
  readonly #worker: PromptWorker<T>;
  readonly #locks: JobLocks;
  readonly #connection: ReturnType<typeof connect>;
  /** When the last few errors came, oldest first. */
  #errorsMs: readonly number[] = [];
  #rest: NodeJS.Timeout | null = null;
  #isLeaving = false;

  constructor(
    kind: JobKind<T>,
    {
      redisUrl,
      keys,
      log,
      nowMs,
      concurrency,
      holder,
      lockMs,
      process,
      onStalled,
      tracing,
    }: BullWorkerOptions<T>,
  ) {
    this.#connection = connect(redisUrl, { use: 'queue', whenAway: 'wait' });
    this.#worker = new PromptWorker<T>(
      { nowMs, holder },
      kind.queue,
      async (job: Job<T, void>, token?: string) => {
        this.jobs += 1;
        try {
          await this.#whileHeld(job, token, async () =>
            process(job, token, (question) => this.#worker.goesFirst(question)),
          );
        } finally {
          this.jobs -= 1;
        }
      },
      {
        prefix: keys.queue,
        concurrency,
        connection: this.#connection,
        lockDuration: lockMs,
        // By job-locks.ts instead.
        skipLockRenewal: true,
        stalledInterval: lockMs / 2,
        maxStalledCount: MAX_STALLS,
        drainDelay: 2,
        runRetryDelay: RETRY_AFTER_ERROR_MS,
        ...(tracing && { telemetry: tracing.telemetry }),
        removeOnComplete: { count: 0 },
        removeOnFail: { count: 0 },
      },
    );
    const report = queueErrors(log);
    this.#locks = new JobLocks({
      lockMs,
      extend: async (jobIds, tokens) => this.#worker.extendJobLocks(jobIds, tokens, lockMs),
      // Their work goes on; a worker that takes a run over changes its fence.
      onLost: throttled((jobs: number) => log.warn({ jobs }, 'lost hold of jobs')),
      onError: report,
    });
    this.#worker.on('stalled', onStalled);
    this.#worker.on('failed', (job: Job<T, void> | undefined, err: Error) => {
      if (!(err instanceof WaitingError) && !(err instanceof DelayedError)) {
        log.error({ err, ...(job !== undefined && kind.fieldsOf(job.data)) }, 'job failed');
      }
    });
    this.#worker.on('error', (err: Error) => {
      if (isLockLost(err)) return;
      report(err);
      this.#restWhenStorming();
    });
  }

  /**
   * Does a job and renews its lock meanwhile. A job whose lock is lost is another delivery's business by now, in this process
   * or elsewhere: then BullMQ is told that it waits, and touches it no more.
   */
  async #whileHeld({ id = '' }: Job<T, void>, token = '', work: () => Promise<void>): Promise<void> {
    this.#locks.hold(id, token);
    let isHeld = false;
    try {
      await work();
    } catch (error) {
      if (!isLockLost(error)) throw error;
      this.#locks.release(id, token);
    } finally {
      isHeld = this.#locks.release(id, token);
    }
    if (!isHeld) throw new WaitingError();
  }

  async ready(): Promise<void> {
    await this.#worker.waitUntilReady();
  }

  /** Takes no more jobs, but perhaps one that comes to it while it already waits; those it has go on. */
  async stopTaking(): Promise<void> {
    this.#leave();
    await this.#worker.pause(true);
  }

  /** Takes no more jobs, waits for those it has, then closes. */
  async close(): Promise<void> {
    this.#leave();
    await this.#reconnected();
    await this.#worker.close();
    this.#locks.close();
    this.#connection.disconnect();
  }

  /** BullMQ would wait for ever for the end of a connection that is about to be made again. */
  async #reconnected(): Promise<void> {
    const client = await this.#worker.getBackend().blockingClient?.catch(() => null);
    if (client?.status === 'reconnecting')
      await new Promise<void>((resolve) => void client.once('ready', () => resolve()));
  }

  #leave(): void {
    this.#isLeaving = true;
    if (this.#rest !== null) clearTimeout(this.#rest);
  }

  /** One more error. When they come as a storm, no jobs are taken for a moment; those at hand go on. */
  #restWhenStorming(): void {
    const nowMs = performance.now();
    this.#errorsMs = [...this.#errorsMs, nowMs].slice(-STORM_ERRORS);
    const isStorm = this.#errorsMs.length === STORM_ERRORS && nowMs - (this.#errorsMs[0] ?? 0) < STORM_MS;
    if (!isStorm || this.#rest !== null || this.#isLeaving) return;
    this.#rest = setTimeout(() => {
      this.#rest = null;
      void this.#worker.resume();
    }, REST_MS);
    void this.#worker.pause(true);
  }
}

const LOCK_DIVIDER = '|';

/** Whether the lock of a job is that of one of the workers `holders`. */
export const isLockOf = (lock: string, holders: readonly string[]): boolean =>
  holders.some((holder) => lock.startsWith(`${holder}${LOCK_DIVIDER}`));

/** How BullMQ refuses to end a job that another worker has, or that is gone. */
const LOST: readonly unknown[] = [
  ErrorCode.JobNotExist,
  ErrorCode.JobLockNotExist,
  ErrorCode.JobNotInState,
  ErrorCode.JobLockMismatch,
];

export const isLockLost = (error: unknown): boolean =>
  error instanceof Error && LOST.includes(Reflect.get(error, 'code'));

/** Says errors of a queue or worker, which come by the thousand while Redis is away. */
export const queueErrors = (log: Logger): ((err: Error) => void) =>
  throttled((err: Error) => log.error({ err }, 'queue error'));
