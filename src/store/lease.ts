/**
 * Tells a dead worker from one that stood still. A worker renews its lease, a key that expires, for as long as it lives. A worker
 * that finds a run in the hands of another looks at that one's lease before it takes the run away. Owns one timer.
 *
 * When Redis refused to write for a while, or the machine slept, every lease has lapsed and the living have yet to renew
 * theirs. So a worker judges others only after its own lease has been whole for as long as a lease lasts.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { throttled, type Logger } from '../log.ts';
import type { RedisKeys } from './keys.ts';
import { ASK_AGAIN_MS } from './away.ts';
import type { ScriptedRedis } from './scripts.ts';

/** Late by three quarters of the lease, a renewal still comes in time. */
const RENEWALS_PER_LEASE = 4;
/** Workers that stood still are back within this, or their machine is asleep. */
const VERDICT_LEASES = 3;
/** No run lives longer (`RUN_EXPIRES_AFTER_S`). */
const SURVIVED_KEPT_S = 86_400;

export interface LeaseOptions {
  readonly redis: ScriptedRedis;
  readonly keys: RedisKeys;
  /** Names this worker; never used twice. */
  readonly id: string;
  /** How long others believe that it lives, after its last sign of life. */
  readonly leaseMs: number;
  readonly log: Logger;
}

export class Lease {
  readonly id: string;
  readonly #options: LeaseOptions;
  /** Workers whose processes are known to have ended. */
  readonly #ended = new Set<string>();
  /** Since when (performance.now) the own lease has not lapsed. */
  #wholeSinceMs = -Infinity;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;
  readonly #reportRefusal: (err: unknown) => void;

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.id = options.id;
    this.#reportRefusal = throttled((err: unknown) => options.log.warn({ err }, 'could not renew the lease'));
  }

  /** Takes the lease, and renews it until {@link end}. A Redis that refuses for now is asked again. */
  async begin(): Promise<void> {
    const { redis, leaseMs } = this.#options;
    try {
      await redis.set(this.#key(this.id), '', 'PX', leaseMs);
      this.#schedule(leaseMs / RENEWALS_PER_LEASE);
    } catch (err) {
      this.#missed(err);
    }
  }

  /** From now on this worker counts as gone; where Redis refuses, when its lease has run out. */
  async end(): Promise<void> {
    this.#isOver = true;
    clearTimeout(this.#timer);
    await this.#options.redis.del(this.#key(this.id)).catch((err: unknown) => this.#reportRefusal(err));
  }

  /** Ends the leases of workers whose processes are known to have ended: nobody need wait to see whether they are renewed. */
  async endOf(ids: readonly string[]): Promise<void> {
    for (const id of ids) this.#ended.add(id);
    await Promise.all(ids.map(async (id) => this.#options.redis.del(this.#key(id))));
  }

  /**
   * Whether worker `id` lives. Where its lease stands, that is known only when it is renewed: so this takes as long as a lease
   * when it has died a moment ago, and up to two after this process itself, or Redis, stood still.
   * @throws the signal's reason when aborted
   */
  async lives(id: string, signal: AbortSignal): Promise<boolean> {
    const { redis, leaseMs } = this.#options;
    if (this.#ended.has(id)) return false;
    let seen = false;
    for (;;) {
      const [own, left] = await Promise.all([redis.pttl(this.#key(this.id)), redis.pttl(this.#key(id))]);
      const wholeMs = own > 0 ? performance.now() - this.#wholeSinceMs : 0;
      if (left > 0 && seen) return true;
      seen = left > 0;
      if (!seen && wholeMs >= leaseMs) return false;
      await pause(seen ? left + 1 : leaseMs - wholeMs, signal);
    }
  }

  /** Notes that this worker lives although it was taken for dead and lost the run: should it die later, the run is not the cause. */
  async survived(runId: string): Promise<void> {
    await this.#options.redis.note(1, this.#options.keys.survived(runId, this.id), SURVIVED_KEPT_S);
  }

  /** Those of the workers `ids` that did not die of the run: whose lease stands, or that have outlived it; and this one. */
  async survivors(ids: readonly string[], runId: string): Promise<ReadonlySet<string>> {
    const { redis, keys } = this.#options;
    const found = await Promise.all(
      ids.map(async (id) =>
        Promise.all([redis.exists(this.#key(id)), redis.exists(keys.survived(runId, id))]),
      ),
    );
    return new Set([this.id, ...ids.filter((_, index) => found[index]?.includes(1))]);
  }

  /**
   * Whether `judge` says so of the survivors of a run, and still does when those who stand still have had the time to come
   * back: it is a verdict for good, and for a while they cannot be told from the dead.
   * @throws the signal's reason when aborted
   */
  async confirm(
    ids: readonly string[],
    runId: string,
    judge: (survivors: ReadonlySet<string>) => boolean,
    signal: AbortSignal,
  ): Promise<boolean> {
    if (!judge(await this.survivors(ids, runId))) return false;
    await pause(VERDICT_LEASES * this.#options.leaseMs, signal);
    return judge(await this.survivors(ids, runId));
  }

  #schedule(afterMs: number): void {
    if (this.#isOver) return;
    this.#timer = setTimeout(() => {
      const { leaseMs } = this.#options;
      this.#renew().then(
        () => this.#schedule(leaseMs / RENEWALS_PER_LEASE),
        (err: unknown) => this.#missed(err),
      );
    }, afterMs);
  }

  #missed(err: unknown): void {
    this.#reportRefusal(err);
    this.#schedule(ASK_AGAIN_MS);
  }

  async #renew(): Promise<void> {
    const { redis, leaseMs } = this.#options;
    // Redis knows best whether it has lapsed: a machine that slept does not notice by its own clock.
    if ((await redis.set(this.#key(this.id), '', 'PX', leaseMs, 'XX')) === 'OK' || this.#isOver) return;
    await redis.set(this.#key(this.id), '', 'PX', leaseMs);
    this.#wholeSinceMs = performance.now();
  }

  #key(id: string): string {
    return this.#options.keys.lease(id);
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => signal.throwIfAborted());
}
