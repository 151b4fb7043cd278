/**
 * How much this process and the queue behind it can still take, and the refusals when they can take no more. Refusals
 * are cheap: they come before Redis is written to or asked. Measures once a second; owns that timer.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { ApiError, queueFull, retryAfter, streamsFull, threadCrowded, tooManyOpenRuns } from '../errors.ts';
import { givenBytes } from '../memory.ts';
import type { ThreadRef } from '../store/keys.ts';
import type { Backlog } from '../store/queue.ts';

const LOOK_EVERY_MS = 1_000;
/** The event loop's delay is measured over at least this many looks: one long moment is not overload. */
const LOOKS_REMEMBERED = 10;
/** With a longer delay, heartbeats, locks and health checks come too late as well. */
const MAX_LOOP_DELAY_MS = 1_000;
/** The rest is for work under way and for the garbage collector. */
const MEMORY_SHARE = 0.85;
const MEGABYTE = 1024 * 1024;
/**
 * Requests that may wait for the run of one thread. Its end wakes all of them, and lets one in: a thousand would be at it for
 * half a minute, and in vain, because none tries more than twenty times.
 */
const MAX_WAITING_PER_THREAD = 32;

/** Why this process should get no further requests. */
export type Problem = 'queue' | 'streams' | 'memory' | 'event_loop';

export interface AdmissionLimits {
  /** Runs that may wait for a worker, over the whole deployment. */
  readonly maxWaitingRuns: number;
  /** Runs that one project may have open: queued, executing, or waiting for their client. 0 means no limit. */
  readonly maxOpenRunsPerProject: number;
  /** Event streams this process may have open. */
  readonly maxStreams: number;
  /** Requests that this process may pass on to model servers at a time. */
  readonly maxForwarded: number;
  /** Memory that this process may occupy; by default, a share of what the machine, the container and V8 give it. */
  readonly maxMemoryMb?: number | undefined;
}

/** Counts over the whole deployment, taken from Redis. */
export interface Counts {
  readonly backlog: () => Promise<Backlog>;
  /** How many runs are open, by project. */
  readonly openRuns: () => Promise<ReadonlyMap<string, number>>;
}

const NONE: ReadonlyMap<string, number> = new Map();

function tooManyForwarded(): ApiError {
  const message =
    'Too many requests are being passed on to the model servers of this server. Try again in a few seconds.';
  const headers = retryAfter(1_000);
  return new ApiError(503, message, { type: 'server_error', code: 'too_many_forwarded', headers });
}

export class Admission {
  /** How many event streams are open. */
  streams = 0;
  /** How many requests are being passed on to model servers. */
  forwarded = 0;
  readonly #limits: AdmissionLimits;
  readonly #counts: Counts;
  readonly #maxMemoryBytes: number;
  readonly #loopDelay = monitorEventLoopDelay({ resolution: 20 });
  readonly #timer: NodeJS.Timeout;
  #backlog: Backlog = { waiting: 0, oldestMs: 0 };
  #openRuns = NONE;
  /** Runs admitted since the last look, by project; the counts in Redis include them only at the next look. */
  readonly #admitted = new Map<string, number>();
  /** Requests that wait for the run of their thread, by project and thread. */
  readonly #waiting = new Map<string, number>();
  #isReading = false;
  #looks = 0;
  /** The event loop's delay before the period that #loopDelay measures. */
  #earlierDelayMs = 0;

  constructor(limits: AdmissionLimits, counts: Counts) {
    this.#limits = limits;
    this.#counts = counts;
    const { maxMemoryMb } = limits;
    this.#maxMemoryBytes = maxMemoryMb === undefined ? MEMORY_SHARE * givenBytes() : maxMemoryMb * MEGABYTE;
    this.#loopDelay.enable();
    this.#timer = setInterval(() => void this.look(), LOOK_EVERY_MS);
    this.#timer.unref();
    void this.look();
  }

  /**
   * Counts a run that `project` is about to create. Does not ask Redis, so several processes together may admit more
   * than there is room for, until they look again.
   * @throws {ApiError} 429 when too many runs wait for a worker already, or the project has too many open.
   */
  admitRun(project: string): void {
    if (this.#isQueueFull) throw queueFull();
    const { maxOpenRunsPerProject } = this.#limits;
    const admitted = this.#admitted.get(project) ?? 0;
    const open = (this.#openRuns.get(project) ?? 0) + admitted;
    if (maxOpenRunsPerProject > 0 && open >= maxOpenRunsPerProject)
      throw tooManyOpenRuns(maxOpenRunsPerProject);
    this.#admitted.set(project, admitted + 1);
  }

  /** Counts a stream that is about to open, until its client is `gone`. @throws {ApiError} 503 when there are too many. */
  admitStream(gone: AbortSignal): void {
    if (this.#areStreamsFull) throw streamsFull();
    this.streams += 1;
    const close = (): void => void (this.streams -= 1);
    if (gone.aborted) close();
    else gone.addEventListener('abort', close, { once: true });
  }

  /** Counts a request that is passed on, until its client is `gone` or answered. @throws {ApiError} 503 when there are too many. */
  admitForwarded(gone: AbortSignal): void {
    if (this.forwarded >= this.#limits.maxForwarded) throw tooManyForwarded();
    this.forwarded += 1;
    const close = (): void => void (this.forwarded -= 1);
    if (gone.aborted) close();
    else gone.addEventListener('abort', close, { once: true });
  }

  /**
   * Counts a request that is about to wait for the run of a thread. @returns how it says that it waits no more
   * @throws {ApiError} 400 when too many wait for that thread.
   */
  admitWaiting({ project, threadId }: ThreadRef): () => void {
    const name = `${project}/${threadId}`;
    const waiting = this.#waiting.get(name) ?? 0;
    if (waiting >= MAX_WAITING_PER_THREAD) throw threadCrowded(threadId, waiting);
    this.#waiting.set(name, waiting + 1);
    return () => {
      const left = (this.#waiting.get(name) ?? 0) - 1;
      if (left > 0) this.#waiting.set(name, left);
      else this.#waiting.delete(name);
    };
  }

  /** The limits that are exceeded now; empty when there is room for more. */
  get problems(): readonly Problem[] {
    const found: Record<Problem, boolean> = {
      queue: this.#isQueueFull,
      streams: this.#areStreamsFull,
      memory: this.memoryBytes > this.#maxMemoryBytes,
      event_loop: this.loopDelayMs > MAX_LOOP_DELAY_MS,
    };
    const names: readonly Problem[] = ['queue', 'streams', 'memory', 'event_loop'];
    return names.filter((name) => found[name]);
  }

  /** How many runs wait for a worker. */
  get waiting(): number {
    return this.#backlog.waiting;
  }

  /** How long the next job in the queue had waited at the last look. */
  get oldestWaitingMs(): number {
    return this.#backlog.oldestMs;
  }

  /** The 99th percentile of the event loop's recent delay. */
  get loopDelayMs(): number {
    return Math.max(this.#earlierDelayMs, this.#recentDelayMs);
  }

  get memoryBytes(): number {
    return process.memoryUsage.rss();
  }

  /** Counts runs and measures delays. When Redis is away counting fails; requests are then refused for that reason. */
  async look(): Promise<void> {
    this.#looks += 1;
    if (this.#looks % LOOKS_REMEMBERED === 0) {
      this.#earlierDelayMs = this.#recentDelayMs;
      this.#loopDelay.reset();
    }
    // While Redis hangs, only one read is under way.
    if (this.#isReading) return;
    this.#isReading = true;
    const counted = [...this.#admitted];
    const { backlog, openRuns } = this.#counts;
    try {
      const isLimited = this.#limits.maxOpenRunsPerProject > 0;
      [this.#backlog, this.#openRuns] = await Promise.all([backlog(), isLimited ? openRuns() : NONE]);
      for (const [project, count] of counted) {
        const since = (this.#admitted.get(project) ?? 0) - count;
        if (since > 0) this.#admitted.set(project, since);
        else this.#admitted.delete(project);
      }
    } catch {
      // The connection has reported its loss in the log already.
    } finally {
      this.#isReading = false;
    }
  }

  close(): void {
    clearInterval(this.#timer);
    this.#loopDelay.disable();
  }

  /** Of few measurements, such as those since the start, all but the longest: one long moment is not overload. */
  get #recentDelayMs(): number {
    const { count } = this.#loopDelay;
    return count < 2 ? 0 : this.#loopDelay.percentile(Math.min(99, 100 * (1 - 1.5 / count))) / 1e6;
  }

  get #isQueueFull(): boolean {
    let admitted = 0;
    for (const count of this.#admitted.values()) admitted += count;
    return this.#backlog.waiting + admitted >= this.#limits.maxWaitingRuns;
  }

  get #areStreamsFull(): boolean {
    return this.streams >= this.#limits.maxStreams;
  }
}
