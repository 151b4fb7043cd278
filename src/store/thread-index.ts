/**
 * The index of threads: every thread that is kept, by when it was last used: made, or given a message or a run. It counts
 * them, and finds those that nobody has used for long. Like the index of open runs it is a reminder in a slot of its own,
 * not a truth: a thread of it may be gone, and one from before there was an index joins it when it is used.
 */
import type { Logger } from '../log.ts';
import { isSafeId, type RedisKeys, type ThreadRef } from './keys.ts';
import { isUnavailable } from './away.ts';
import type { ScriptedRedis } from './scripts.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
/** Unused threads that are looked at together. A sweep comes every two seconds, so that millions go in a day. */
const BATCH = 100;

/** Deletes a thread that nothing has joined since its `order` was read. @returns whether it is gone */
interface Unused {
  deleteUnused(ref: ThreadRef, order: string): Promise<boolean>;
}

export class ThreadIndex {
  readonly #redis: ScriptedRedis;
  readonly #keys: RedisKeys;
  readonly #nowMs: () => number;
  readonly #log: Logger;

  /** @param nowMs unix milliseconds, the same for every process */
  constructor(redis: ScriptedRedis, keys: RedisKeys, nowMs: () => number, log: Logger) {
    this.#redis = redis;
    this.#keys = keys;
    this.#nowMs = nowMs;
    this.#log = log;
  }

  /**
   * Notes that the thread is used now. Call it before the write that uses it, in the same tick: both leave together, and
   * {@link endUnused} relies on this one being first.
   */
  async used(ref: ThreadRef): Promise<void> {
    await this.#redis.zadd(this.#keys.threads, this.#nowMs(), memberOf(ref));
  }

  /** Forgets a thread that is no more, or never was. */
  async forget(ref: ThreadRef): Promise<void> {
    await this.#redis.zrem(this.#keys.threads, memberOf(ref));
  }

  /** As {@link forget}, but nobody waits for it: what stays behind is forgotten when its time is over. */
  forgetLater(ref: ThreadRef): void {
    this.forget(ref).catch((err: unknown) => {
      this.#log.debug({ err, thread_id: ref.threadId }, 'could not forget a thread');
    });
  }

  /** How many threads are kept. */
  async count(): Promise<number> {
    return this.#redis.zcard(this.#keys.threads);
  }

  /**
   * Deletes threads that nobody has used for `keptDays`, up to a batch of them, and none that a run holds. With 0 threads
   * are kept for ever. It needs no room in Redis, so it makes room in a full one. @returns how many it deleted
   */
  async endUnused(threads: Unused, keptDays: number, nowMs = this.#nowMs()): Promise<number> {
    if (keptDays === 0) return 0;
    const untilMs = nowMs - keptDays * DAY_MS;
    const refs = await this.#unused(untilMs);
    const ended = await Promise.all(refs.map(async (ref) => this.#endOne(threads, ref, untilMs)));
    const count = ended.filter(Boolean).length;
    if (count > 0)
      this.#log.info({ threads: count, kept_days: keptDays }, 'deleted threads that were not used');
    return count;
  }

  async #endOne(threads: Unused, ref: ThreadRef, untilMs: number): Promise<boolean> {
    try {
      // Who uses the thread notes that first and changes it then. So whoever has changed it before the first question has
      // noted it before the second; and a later change is seen by deleteUnused.
      const [state, usedMs] = await Promise.all([
        this.#redis.get(this.#keys.order(ref)),
        this.#redis.zscore(this.#keys.threads, memberOf(ref)),
      ]);
      if (usedMs === null || Number(usedMs) > untilMs) return false;
      if (await threads.deleteUnused(ref, state ?? '')) return true;
    } catch (err) {
      if (isUnavailable(err)) throw err;
      // One that cannot be deleted must not keep the others.
      this.#log.error({ err, thread_id: ref.threadId }, 'could not delete a thread that was not used');
    }
    // A full Redis does not take that; then it is looked at again with the next sweep.
    await this.used(ref).catch(() => undefined);
    return false;
  }

  /** The threads that were last used longest ago, and before `untilMs`. What names no thread is removed on the way. */
  async #unused(untilMs: number): Promise<readonly ThreadRef[]> {
    const [redis, keys] = [this.#redis, this.#keys];
    const members = await redis.zrangebyscore(keys.threads, '-inf', untilMs, 'LIMIT', 0, BATCH);
    const strays = members.filter((member) => refOf(member) === null);
    if (strays.length > 0) {
      await redis.zrem(keys.threads, ...strays);
      this.#log.warn({ count: strays.length }, 'removed from the index of threads what names none');
    }
    return members.map(refOf).filter((ref) => ref !== null);
  }
}

const memberOf = ({ project, threadId }: ThreadRef): string => `${project}/${threadId}`;

function refOf(member: string): ThreadRef | null {
  const [project, threadId, ...rest] = member.split('/');
  return project && threadId && isSafeId(threadId) && rest.length === 0 ? { project, threadId } : null;
}
