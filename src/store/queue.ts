/**
 * The queue: BullMQ says "this run has work to do", and nothing else. A job names a run; all truth is in the run. It may
 * be delivered twice or late, so whoever receives it looks at the run first.
 */
import { DelayedError, Queue, WaitingError, Worker, type Job } from 'bullmq';
import type { Logger } from '../log.ts';
import type { Keys, RunRef } from './keys.ts';
import { connectionOptions } from './redis.ts';

const QUEUE_NAME = 'runs';

/**
 * A job's lock is renewed every half of this; a dead worker's job is found within lock plus stall interval. No lower
 * than the longest event loop stall one accepts without a wasted model call.
 */
const LOCK_MS = 10_000;
const STALL_CHECK_MS = 5_000;
/** Our own attempt limit decides when a run has been lost too often, not BullMQ's. */
const MAX_STALLS = 1_000_000;
const RETRY_AFTER_ERROR_MS = 500;

/** What a job says: which run, and the request it came from, for the log. */
export interface RunJob extends RunRef {
  readonly requestId: string;
  /** The turn of the run it was added for; a job of an earlier turn is too late. */
  readonly turn: number;
}

export class RunQueue {
  private readonly queue: Queue<RunJob, void, 'run'>;

  constructor(redisUrl: string, keys: Keys, log: Logger) {
    this.queue = new Queue<RunJob, void, 'run'>(QUEUE_NAME, {
      prefix: keys.queue,
      connection: {
        ...connectionOptions(redisUrl),
        // With Redis away an enqueue fails at once instead of hanging; the sweeper makes up for it.
        enableOfflineQueue: false,
        maxRetriesPerRequest: 1,
      },
      // A retained job would silently swallow a later one with the same id.
      defaultJobOptions: { removeOnComplete: true, removeOnFail: true },
    });
    quiet(this.queue, log);
  }

  /** Resolves when jobs can be added. */
  async ready(): Promise<void> {
    await this.queue.waitUntilReady();
  }

  /** Adds the job of a run's turn. Adding it again while it exists changes nothing. */
  async add(job: RunJob): Promise<void> {
    await this.queue.add('run', job, { jobId: `${job.runId}-${job.turn}` });
  }

  /** The id of the job that is to be taken next, or null when none waits. One read. */
  async next(): Promise<string | null> {
    const [id] = await this.queue.getRanges(['waiting'], 0, 0, true);
    return id ?? null;
  }

  /** How many jobs wait for a worker, and when the one to be taken next was added (unix ms). */
  async backlog(): Promise<Backlog> {
    const [waiting, [next]] = await Promise.all([this.queue.getWaitingCount(), this.queue.getWaiting(0, 0)]);
    return { waiting, oldestMs: next?.timestamp ?? null };
  }

  async close(): Promise<void> {
    await this.queue.close().catch(() => {
      // With Redis away there is nobody to say goodbye to, nor anybody who confirms it.
      this.queue.disconnect().catch(() => {});
    });
  }
}

/** What waits for a worker. */
export interface Backlog {
  readonly waiting: number;
  readonly oldestMs: number | null;
}

/**
 * What became of a job: `done`; `handed over`, which gives it back for another worker at once; or `too new`, which gives
 * it back for a newer worker, later and later, because it may come to this one again.
 */
export type JobOutcome = 'done' | 'handed over' | 'too new';

const TOO_NEW_FIRST_MS = 1_000;
const TOO_NEW_MAX_MS = 15_000;

/** A BullMQ worker, and how many jobs it has now. */
interface Taker {
  readonly worker: Worker<RunJob, void, 'run'>;
  jobs: number;
}

export interface RunConsumerOptions {
  readonly redisUrl: string;
  readonly keys: Keys;
  readonly log: Logger;
  /** How many jobs it does at a time. */
  readonly concurrency: number;
  /** Does one job; `lost` is aborted when this process no longer holds the job's lock. */
  readonly work: (job: RunJob, lost: AbortSignal) => Promise<JobOutcome>;
}

/** Takes jobs and runs them. */
export class RunConsumer {
  /** How many jobs this process found that another had lost. */
  stalls = 0;
  private readonly options: RunConsumerOptions;
  private taker: Taker;
  /** Those that were replaced and still have jobs, each with its closing. */
  private readonly retired = new Map<Taker, Promise<void>>();
  private isTaking = true;

  constructor(options: RunConsumerOptions) {
    this.options = options;
    this.taker = this.open();
  }

  async ready(): Promise<void> {
    await this.taker.worker.waitUntilReady();
  }

  /** Whether it should take a job that waits. */
  get hasRoom(): boolean {
    return this.isTaking && this.taker.jobs < this.options.concurrency;
  }

  /**
   * Takes jobs through a new BullMQ worker with connections of its own. The old one takes none any more, goes on with
   * those it has, renewing their locks, and then closes by itself: until then there may be more jobs than `concurrency`.
   */
  rebuild(): void {
    if (!this.isTaking) return;
    const old = this.taker;
    const closing = old.worker
      .close()
      .catch((err: unknown) => this.options.log.warn({ err }, 'could not close a worker that was replaced'))
      .then(() => void this.retired.delete(old));
    this.retired.set(old, closing);
    this.taker = this.open();
  }

  /** Takes no more jobs, but perhaps one that comes to it while it already waits; those it has go on. */
  async stopTaking(): Promise<void> {
    this.isTaking = false;
    await this.taker.worker.pause(true);
  }

  /** Waits for the jobs it has, then closes. */
  async close(): Promise<void> {
    this.isTaking = false;
    await Promise.all([this.taker.worker.close(), ...this.retired.values()]);
  }

  private open(): Taker {
    const { redisUrl, keys, log, concurrency } = this.options;
    const worker = new Worker<RunJob, void, 'run'>(
      QUEUE_NAME,
      // BullMQ hands the signal only to functions that name three parameters.
      async (job: Job<RunJob, void, 'run'>, token?: string, signal?: AbortSignal) => {
        taker.jobs += 1;
        try {
          await this.process(job, token, signal);
        } finally {
          taker.jobs -= 1;
        }
      },
      {
        prefix: keys.queue,
        concurrency,
        connection: { ...connectionOptions(redisUrl), maxRetriesPerRequest: null },
        lockDuration: LOCK_MS,
        stalledInterval: STALL_CHECK_MS,
        maxStalledCount: MAX_STALLS,
        drainDelay: 2,
        runRetryDelay: RETRY_AFTER_ERROR_MS,
        removeOnComplete: { count: 0 },
        removeOnFail: { count: 0 },
      },
    );
    const taker: Taker = { worker, jobs: 0 };
    worker.on('lockRenewalFailed', (jobIds: string[]) => {
      for (const jobId of jobIds) worker.cancelJob(jobId, 'lock lost');
    });
    worker.on('stalled', () => {
      this.stalls += 1;
    });
    worker.on('failed', (job: Job<RunJob> | undefined, err: Error) => {
      if (!(err instanceof WaitingError) && !(err instanceof DelayedError)) {
        log.error({ err, run_id: job?.data.runId, thread_id: job?.data.threadId }, 'job failed');
      }
    });
    quiet(worker, log);
    return taker;
  }

  private async process(job: Job<RunJob, void, 'run'>, token?: string, signal?: AbortSignal): Promise<void> {
    const outcome = await this.options.work(job.data, signal ?? new AbortController().signal);
    switch (outcome) {
      case 'done':
        return;
      case 'handed over':
        await job.moveToWait(token);
        throw new WaitingError();
      case 'too new': {
        const delayMs = Math.min(TOO_NEW_FIRST_MS * 2 ** (job.attemptsStarted - 1), TOO_NEW_MAX_MS);
        await job.moveToDelayed(Date.now() + delayMs, token);
        throw new DelayedError();
      }
    }
  }
}

/** Connection errors come by the thousand while Redis is away: one line each ten seconds is enough. */
const ERROR_LOG_INTERVAL_MS = 10_000;

function quiet(source: { on(event: 'error', listener: (err: Error) => void): unknown }, log: Logger): void {
  let lastMs = 0;
  source.on('error', (err: Error) => {
    const nowMs = Date.now();
    if (nowMs - lastMs < ERROR_LOG_INTERVAL_MS) return;
    lastMs = nowMs;
    log.error({ err }, 'queue error');
  });
}
