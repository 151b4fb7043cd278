/**
 * The queue: BullMQ says "this run has work to do", and nothing else. A job names a run; all truth is in the run. It may
 * be delivered twice or late, so whoever receives it looks at the run first.
 */
import { DelayedError, Queue, WaitingError, type Job } from 'bullmq';
import type { Logger } from '../log.ts';
import type { RedisKeys, RunRef } from './keys.ts';
import { insist } from './away.ts';
import { connect } from './redis.ts';
import { queueErrors, BullWorker } from './bull-worker.ts';

const QUEUE_NAME = 'runs';

/** What a job says: which run, and the request it came from, for the log. */
export interface RunJob extends RunRef {
  readonly requestId: string;
  /** The turn of the run it was added for; a job of an earlier turn is too late. */
  readonly turn: number;
}

/** A job as BullMQ has it. */
export type RunsJob = Job<RunJob, void, 'run'>;

export class RunQueue {
  readonly #connection: ReturnType<typeof connect>;
  readonly #options: { readonly keys: RedisKeys; readonly log: Logger; readonly nowMs: () => number };
  #queue: Queue<RunJob, void, 'run'>;

  /** @param nowMs unix milliseconds, the same for every process */
  constructor(redisUrl: string, keys: RedisKeys, log: Logger, nowMs: () => number) {
    // With Redis away an enqueue fails at once instead of hanging; the sweeper makes up for it.
    this.#connection = connect(redisUrl, { use: 'queue', whenAway: 'fail' });
    this.#options = { keys, log, nowMs };
    this.#queue = this.#open();
  }

  /** Resolves when jobs can be added. */
  async ready(): Promise<void> {
    let tries = 0;
    await insist(async () => {
      // BullMQ asks for the version once, and holds a lost connection against it for good.
      if ((tries += 1) > 1) this.#queue = this.#open();
      await this.#queue.waitUntilReady();
    });
  }

  #open(): Queue<RunJob, void, 'run'> {
    const queue = new Queue<RunJob, void, 'run'>(QUEUE_NAME, {
      prefix: this.#options.keys.queue,
      connection: this.#connection,
      // A retained job would silently swallow a later one with the same id.
      defaultJobOptions: { removeOnComplete: true, removeOnFail: true },
    });
    queue.on('error', queueErrors(this.#options.log));
    return queue;
  }

  /** Adds the job of a run's turn. Adding it again while it exists changes nothing. */
  async add(job: RunJob): Promise<void> {
    const timestamp = this.#options.nowMs();
    await this.#queue.add('run', job, { jobId: idOf(job), timestamp });
  }

  /**
   * Has a job taken now that was to be taken later. @returns whether there was one; it may have been taken, or be gone.
   */
  async wake(job: RunJob): Promise<boolean> {
    const found = await this.#queue.getJob(idOf(job));
    if (found === undefined || !(await found.isDelayed())) return false;
    // Somebody else may wake it in between, which is as good.
    return found.promote().then(
      () => true,
      () => false,
    );
  }

  /** The id of the job that is to be taken next, or null when none waits. One read. */
  async next(): Promise<string | null> {
    const [id] = await this.#queue.getRanges(['waiting'], 0, 0, true);
    return id ?? null;
  }

  /**
   * How many jobs wait for a worker, those included that found no slot there, and for how long the one to be taken next has.
   */
  async backlog(): Promise<Backlog> {
    const [waiting, [next]] = await Promise.all([
      this.#queue.getJobCountByTypes('waiting', 'delayed'),
      this.#queue.getWaiting(0, 0),
    ]);
    return {
      waiting,
      oldestMs: next === undefined ? 0 : Math.max(0, this.#options.nowMs() - next.timestamp),
    };
  }

  async close(): Promise<void> {
    await this.#queue.close().catch(() => {
      // With Redis away there is nobody to say goodbye to, nor anybody who confirms it.
    });
    this.#connection.disconnect();
  }
}

/** Job ids have no colon. */
const idOf = ({ runId, turn }: RunJob): string => `${runId}-${turn}`;

/** What waits for a worker. */
export interface Backlog {
  readonly waiting: number;
  /** How long the job that is to be taken next has waited. */
  readonly oldestMs: number;
}

/**
 * What became of a job: `done`; `handed over`, which gives it back for another worker at once; `too new`, which gives it
 * back for a newer worker, and `no slot`, which lays it aside until there is one, both later and later, because it may come
 * to this one again.
 */
export type JobOutcome = 'done' | 'handed over' | 'too new' | 'no slot';

/** The longest that a job is laid aside. */
const ASIDE_MAX_MS = 15_000;
const TOO_NEW_FIRST_MS = 1_000;
/** Another worker may have a slot, so at first it is soon; who wakes it when one becomes free does not wait for this. */
const NO_SLOT_FIRST_MS = 250;

export interface RunConsumerOptions {
  readonly redisUrl: string;
  readonly keys: RedisKeys;
  readonly log: Logger;
  /** How many jobs it does at a time. */
  readonly concurrency: number;
  /** How long a worker's hold on a job lasts; see {@link BullWorker}. */
  readonly lockMs: number;
  /** Does one job. It may have been given to another worker as well, when its lock could not be renewed in time. */
  readonly work: (job: RunJob) => Promise<JobOutcome>;
  /** Hears of a job that found no slot when it can be woken. */
  readonly onLaidAside?: (job: RunJob) => void;
}

/** Takes jobs and runs them. */
export class RunConsumer {
  /** How many jobs this process found that another had lost. */
  stalls = 0;
  readonly #options: RunConsumerOptions;
  #worker: BullWorker;
  /** Those that were replaced and still have jobs, each with its closing. */
  readonly #retired = new Map<BullWorker, Promise<void>>();
  #isTaking = true;

  constructor(options: RunConsumerOptions) {
    this.#options = options;
    this.#worker = this.#open();
  }

  async ready(): Promise<void> {
    await this.#worker.ready();
  }

  /** Whether it should take a job that waits. */
  get hasRoom(): boolean {
    return this.#isTaking && this.#worker.jobs < this.#options.concurrency;
  }

  /**
   * Takes jobs through a new BullMQ worker with connections of its own. The old one takes none any more, goes on with
   * those it has, renewing their locks, and then closes by itself: until then there may be more jobs than `concurrency`.
   */
  rebuild(): void {
    if (!this.#isTaking) return;
    const old = this.#worker;
    const closing = old
      .close()
      .catch((err: unknown) => this.#options.log.warn({ err }, 'could not close a worker that was replaced'))
      .then(() => void this.#retired.delete(old));
    this.#retired.set(old, closing);
    this.#worker = this.#open();
  }

  /** Takes no more jobs, but perhaps one that comes to it while it already waits; those it has go on. */
  async stopTaking(): Promise<void> {
    this.#isTaking = false;
    await this.#worker.stopTaking();
  }

  /** Waits for the jobs it has, then closes. */
  async close(): Promise<void> {
    this.#isTaking = false;
    await Promise.all([this.#worker.close(), ...this.#retired.values()]);
  }

  #open(): BullWorker {
    const process = this.#process.bind(this);
    const onStalled = (): void => void (this.stalls += 1);
    return new BullWorker(QUEUE_NAME, { ...this.#options, process, onStalled });
  }

  async #process(job: RunsJob, token?: string): Promise<void> {
    const outcome = await this.#options.work(job.data);
    switch (outcome) {
      case 'done':
        return;
      case 'handed over':
        await job.moveToWait(token);
        throw new WaitingError();
      case 'too new':
        await layAside(job, TOO_NEW_FIRST_MS, token);
        throw new DelayedError();
      case 'no slot':
        await layAside(job, NO_SLOT_FIRST_MS, token);
        this.#options.onLaidAside?.(job.data);
        throw new DelayedError();
    }
  }
}

/** Gives a job back for later, each time for longer. */
async function layAside(job: RunsJob, firstMs: number, token?: string): Promise<void> {
  const delayMs = Math.min(firstMs * 2 ** (job.attemptsStarted - 1), ASIDE_MAX_MS);
  await job.moveToDelayed(Date.now() + delayMs, token);
}
