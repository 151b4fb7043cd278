/**
 * Queues of jobs, and consumers that take jobs from them. They know BullMQ and nothing of what a job is about, which its kind
 * says (job-kind.ts). A job may be delivered twice or late.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { DelayedError, Queue, WaitingError, type Job } from 'bullmq';
import type { Logger } from '../log.ts';
import { insist } from './away.ts';
import { BullWorker, isLockLost, isLockOf, queueErrors, type GoesFirst } from './bull-worker.ts';
import type { JobKind, JobTracing } from './job-kind.ts';
import type { RedisKeys } from './keys.ts';
import type { Client } from './scripts.ts';

/** A worker is done with a job for which there is nothing to do within a few milliseconds. */
const WITHDRAW_AGAIN_MS = 5;
const WITHDRAW_TRIES = 20;
/** Jobs of dead workers that are dealt with together, so that their commands leave together. */
const RECLAIM_BATCH = 100;

export interface QueueOptions {
  /** The connection that carries the state, so that a job that is added arrives behind what was written before it. */
  readonly redis: Client;
  readonly keys: RedisKeys;
  readonly log: Logger;
  /** Unix milliseconds, the same for every process. */
  readonly nowMs: () => number;
  /** Null or missing where no traces are collected. */
  readonly tracing?: JobTracing | null;
}

/** Adds jobs of one kind to their queue, and tells how many wait. */
export class JobQueue<T extends object> {
  readonly #kind: JobKind<T>;
  readonly #options: QueueOptions;
  #queue: Queue<Job<T, void>>;

  constructor(kind: JobKind<T>, options: QueueOptions) {
    this.#kind = kind;
    this.#options = options;
    this.#queue = this.#open();
  }

  /** Resolves when jobs can be added. */
  async ready(): Promise<void> {
    let tries = 0;
    await insist(async () => {
      // BullMQ asks for the version once, and holds a lost connection against it for good.
      if ((tries += 1) > 1) this.#queue = this.#open();
      await this.#queue.waitUntilReady();
      // BullMQ has just sent what it notes of the queue, and does not wait for the answer.
      await this.#options.redis.exists(this.#queue.toKey('meta'));
    });
  }

  #open(): Queue<Job<T, void>> {
    const queue = new Queue<Job<T, void>>(this.#kind.queue, {
      prefix: this.#options.keys.queue,
      connection: this.#options.redis,
      // BullMQ tells what becomes of jobs in a stream, which nobody reads here.
      streams: { events: { maxLen: 0 } },
      ...(this.#options.tracing && { telemetry: this.#options.tracing.telemetry }),
      // A retained job would silently swallow a later one with the same id.
      defaultJobOptions: { removeOnComplete: true, removeOnFail: true },
    });
    queue.on('error', queueErrors(this.#options.log));
    return queue;
  }

  /** Adds a job; it is sent in the tick of the call. Adding it again while it exists changes nothing. */
  async add(job: T): Promise<void> {
    const timestamp = this.#options.nowMs();
    const add = async (): Promise<unknown> =>
      this.#queue.add(this.#kind.name, job, { jobId: this.#kind.idOf(job), timestamp });
    const { tracing } = this.#options;
    await (tracing ? tracing.within(this.#kind.spanOf?.(job), add) : add());
  }

  /**
   * Takes back a job that should not have been added, so that it can be added again. A worker that has it by now is given
   * the time to find that there is nothing to do.
   */
  async withdraw(job: T): Promise<void> {
    for (let tries = 0; tries < WITHDRAW_TRIES; tries++) {
      if ((await this.#queue.remove(this.#kind.idOf(job))) === 1) return;
      await delay(WITHDRAW_AGAIN_MS);
    }
  }

  /**
   * Has a job taken now that was to be taken later. @returns whether there was one; it may have been taken, or be gone.
   */
  async wake(job: T): Promise<boolean> {
    const found = await this.#queue.getJob(this.#kind.idOf(job));
    if (found === undefined || !(await found.isDelayed())) return false;
    // Another process may wake it in between, which is as good.
    return found.promote().then(
      () => true,
      () => false,
    );
  }

  /**
   * Has the jobs taken anew, before those that wait, that the workers `holders` have: these are dead, and will not end them. A
   * job that comes to another worker meanwhile, because its lock has lapsed, stays with that one.
   * @param prepare is done with each job first
   * @returns how many there were
   */
  async reclaim(holders: readonly string[], prepare: (job: T) => Promise<void>): Promise<number> {
    const ids = await this.#queue.getRanges(['active']);
    let count = 0;
    for (let from = 0; from < ids.length; from += RECLAIM_BATCH) {
      const batch = ids.slice(from, from + RECLAIM_BATCH);
      const found = await Promise.all(batch.map(async (id) => this.#reclaimOne(id, holders, prepare)));
      count += found.filter(Boolean).length;
    }
    return count;
  }

  async #reclaimOne(
    id: string,
    holders: readonly string[],
    prepare: (job: T) => Promise<void>,
  ): Promise<boolean> {
    const lock = await this.#options.redis.get(`${this.#queue.toKey(id)}:lock`);
    if (lock === null || !isLockOf(lock, holders)) return false;
    const job = await this.#queue.getJob(id);
    if (job === undefined) return false;
    await prepare(job.data);
    try {
      // As the dead worker would give it back: refused where the lock is no longer that.
      await job.moveToWait(lock);
      return true;
    } catch (error) {
      if (isLockLost(error)) return false;
      throw error;
    }
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

  /** How many jobs there are, by their state. */
  async counts(): Promise<JobCounts> {
    const {
      waiting = 0,
      active = 0,
      delayed = 0,
    } = await this.#queue.getJobCounts('waiting', 'active', 'delayed');
    return { waiting, active, delayed };
  }

  async close(): Promise<void> {
    await this.#queue.close().catch(() => {
      // Closing cannot be confirmed while Redis is away.
    });
  }
}

export type { GoesFirst };

/** Jobs that wait for a worker, that workers have, and that were laid aside for later. */
export interface JobCounts {
  readonly waiting: number;
  readonly active: number;
  readonly delayed: number;
}

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
/** Another worker may have a slot, so at first it is soon. A slot that becomes free here wakes the job before that. */
const NO_SLOT_FIRST_MS = 250;

export interface ConsumerOptions<T> {
  readonly redisUrl: string;
  readonly keys: RedisKeys;
  readonly log: Logger;
  /** Unix milliseconds, the same for every process. */
  readonly nowMs: () => number;
  /** How many jobs it does at a time. */
  readonly concurrency: number;
  /** Names this worker; see {@link JobQueue.reclaim}. */
  readonly holder: string;
  /** How long a worker's hold on a job lasts; see {@link BullWorker}. */
  readonly lockMs: number;
  /**
   * Does one job. It may have been given to another worker as well, when its lock could not be renewed in time. May tell
   * of its first question, so that what the queue asks next is not in its way. `addedMs`: when the job was added.
   */
  readonly work: (job: T, goesFirst: GoesFirst, addedMs: number) => Promise<JobOutcome>;
  /** Hears of a job that found no slot when it can be woken. */
  readonly onLaidAside?: (job: T) => void;
  /** Null or missing where no traces are collected. */
  readonly tracing?: JobTracing | null;
}

/** Takes jobs of one kind and does them. */
export class JobConsumer<T extends object> {
  /** How many jobs this process found that another had lost. */
  stalls = 0;
  readonly #kind: JobKind<T>;
  readonly #options: ConsumerOptions<T>;
  #worker: BullWorker<T>;
  /** Those that were replaced and still have jobs, each with its closing. */
  readonly #retired = new Map<BullWorker<T>, Promise<void>>();
  #isTaking = true;

  constructor(kind: JobKind<T>, options: ConsumerOptions<T>) {
    this.#kind = kind;
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

  #open(): BullWorker<T> {
    const process = this.#process.bind(this);
    const onStalled = (): void => void (this.stalls += 1);
    return new BullWorker(this.#kind, { ...this.#options, process, onStalled });
  }

  async #process(job: Job<T, void>, token: string | undefined, goesFirst: GoesFirst): Promise<void> {
    const outcome = await this.#options.work(job.data, goesFirst, job.timestamp);
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
async function layAside<T>(job: Job<T, void>, firstMs: number, token?: string): Promise<void> {
  const delayMs = Math.min(firstMs * 2 ** (job.attemptsStarted - 1), ASIDE_MAX_MS);
  await job.moveToDelayed(Date.now() + delayMs, token);
}
