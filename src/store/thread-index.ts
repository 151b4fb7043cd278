/**
 * The two indexes of threads. One has all threads that are kept, by when they were last used: made, given a message or a run,
 * or brought back from where cold ones lie; it counts them, and finds those that were not used for long. Cold threads have a
 * part of it to themselves. The other has those of a project, in the order in which they were made; it lists them. Like the index of open runs they are reminders in slots of their own, not truths: a
 * thread of theirs may be gone, and one that is older than an index joins it when it is used.
 */
import type { Logger } from '../log.ts';
import { placeAt, type Collections } from './collection.ts';
import { isSafeId, type RedisKeys, type ThreadRef } from './keys.ts';
import { isUnavailable } from './away.ts';
import type { ScriptedRedis } from './scripts.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
/** Unused threads that are looked at together. A sweep comes every two seconds, so that millions go in a day. */
const BATCH = 100;
/** A thread that is noted is made in the same moment, unless Redis is slow or away. */
const MADE_WITHIN_MS = 60_000;
/** A thread that this process has noted is not noted anew for so long. Threads are kept for days, so a minute is no matter. */
const NOTED_FOR_MS = 60_000;
/** Of so many threads this process remembers that it has noted them. */
const MAX_NOTED = 10_000;

/** Deletes a thread that nothing has joined since its `order` was read. @returns whether it is gone */
interface Unused {
  deleteUnused(ref: ThreadRef, order: string): Promise<boolean>;
}

/** A thread, and when it was last used (unix milliseconds). */
export interface UnusedThread {
  readonly ref: ThreadRef;
  readonly usedMs: number;
}

export interface ThreadIndexOptions {
  readonly collections: Collections;
  readonly redis: ScriptedRedis;
  readonly keys: RedisKeys;
  /** Unix milliseconds, the same for every process. */
  readonly nowMs: () => number;
  readonly log: Logger;
}

export class ThreadIndex {
  readonly #collections: Collections;
  readonly #redis: ScriptedRedis;
  readonly #keys: RedisKeys;
  readonly #nowMs: () => number;
  readonly #log: Logger;
  /** When this process last noted a thread, the one that was noted last behind the others. */
  readonly #noted = new Map<string, number>();

  constructor({ collections, redis, keys, nowMs, log }: ThreadIndexOptions) {
    this.#collections = collections;
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
    const notedMs = this.#noted.get(memberOf(ref));
    if (notedMs === undefined || Math.abs(this.#nowMs() - notedMs) >= NOTED_FOR_MS) await this.made(ref);
  }

  /**
   * The same for a thread that is made now, perhaps where another of its id was deleted.
   * @param madeMs when it was made (unix milliseconds), where that was not just now
   */
  async made(ref: ThreadRef, madeMs?: number): Promise<void> {
    const nowMs = this.#nowMs();
    const [, isListed] = await Promise.all([this.#touch(ref), this.#list(ref, madeMs)]);
    this.#noted.delete(memberOf(ref));
    if (isListed) this.#noted.set(memberOf(ref), nowMs);
    if (this.#noted.size <= MAX_NOTED) return;
    for (const oldest of this.#noted.keys()) {
      this.#noted.delete(oldest);
      return;
    }
  }

  /** Whether this process has noted the thread, and does not know that it is gone. It may be gone all the same. */
  isKnown(ref: ThreadRef): boolean {
    return this.#noted.has(memberOf(ref));
  }

  /** Forgets a thread that is no more, and was not cold; lists remember where it stood. */
  async forget(ref: ThreadRef): Promise<void> {
    this.#noted.delete(memberOf(ref));
    const listed = this.#keys.threadList(ref.project);
    await Promise.all([
      this.#redis.zrem(this.#keys.threads, memberOf(ref)),
      this.#collections.remove(listed, ref.threadId),
    ]);
  }

  /** Forgets a thread that is not there, although it was said to be used. Nothing waits for it. */
  forgetLater(ref: ThreadRef): void {
    this.#noted.delete(memberOf(ref));
    const forgotten = Promise.all([
      this.#redis.zrem(this.#keys.threads, memberOf(ref)),
      this.#redis.zrem(this.#keys.cold.threads, memberOf(ref)),
      this.#collections.discard(this.#keys.threadList(ref.project), ref.threadId),
    ]);
    forgotten.catch((err: unknown) => {
      this.#log.debug({ err, thread_id: ref.threadId }, 'could not forget a thread');
    });
  }

  /** Takes threads from the list of their project that were found to be gone. Nothing waits for it. */
  unlistLater(project: string, threadIds: readonly string[]): void {
    const listed = this.#keys.threadList(project);
    for (const id of threadIds) {
      this.#collections
        .remove(listed, id, { before: placeAt(this.#nowMs() - MADE_WITHIN_MS) })
        .catch((err: unknown) => this.#log.debug({ err, thread_id: id }, 'could not forget a listed thread'));
    }
  }

  /** Forgets the places of a project's threads when there are none any more. */
  async tidy(project: string): Promise<void> {
    await this.#collections.tidy(this.#keys.threadList(project));
  }

  /** How many threads are kept. */
  async count(): Promise<number> {
    const [warm, cold] = await Promise.all([this.#redis.zcard(this.#keys.threads), this.countCold()]);
    return warm + cold;
  }

  /** How many of them are cold. */
  async countCold(): Promise<number> {
    return this.#redis.zcard(this.#keys.cold.threads);
  }

  /**
   * Threads that are not cold, as far as is known, and were last used before `untilMs`: those that were used longest ago first.
   * @param fromMs no earlier use is looked at
   */
  async unusedSince(untilMs: number, fromMs: number, limit: number): Promise<readonly UnusedThread[]> {
    const from = fromMs === -Infinity ? '-inf' : `(${fromMs}`;
    return this.#unused(this.#keys.threads, from, untilMs, limit);
  }

  /** A thread that was last used at `usedMs` is cold now; one that was used again meanwhile stays where it is. */
  async becameCold(ref: ThreadRef, usedMs: number): Promise<void> {
    await this.#redis.zadd(this.#keys.cold.threads, 'NX', usedMs, memberOf(ref));
    await this.#redis.strike(1, this.#keys.threads, memberOf(ref), usedMs);
  }

  /** A cold thread is about to come back. Call it before that: one that was noted too soon is looked at once too often. */
  async comesBack(ref: ThreadRef): Promise<void> {
    await this.#touch(ref);
  }

  /** A thread is cold no more. Nothing waits for it. */
  notColdLater(ref: ThreadRef): void {
    this.#redis.zrem(this.#keys.cold.threads, memberOf(ref)).catch((err: unknown) => {
      this.#log.debug({ err, thread_id: ref.threadId }, 'could not note that a thread is cold no more');
    });
  }

  /**
   * Deletes threads that were not used for `keptDays`, up to a batch of them, and none that a run holds. With 0 threads
   * are kept for ever. It needs no room in Redis, so it makes room in a full one. @returns how many it deleted
   */
  async endUnused(threads: Unused, keptDays: number, nowMs = this.#nowMs()): Promise<number> {
    if (keptDays === 0) return 0;
    const untilMs = nowMs - keptDays * DAY_MS;
    const { threads: warm, cold } = this.#keys;
    const found = await Promise.all(
      [warm, cold.threads].map(async (index) => this.#unused(index, '-inf', untilMs, BATCH)),
    );
    const ended = await Promise.all(found.flat().map(async ({ ref }) => this.#endOne(threads, ref, untilMs)));
    const count = ended.filter(Boolean).length;
    if (count > 0)
      this.#log.info({ threads: count, kept_days: keptDays }, 'deleted threads that were not used');
    return count;
  }

  async #endOne(threads: Unused, ref: ThreadRef, untilMs: number): Promise<boolean> {
    try {
      // A use is noted before it changes the thread. So a change that came before the first question was noted before the
      // second one; and a later change is seen by deleteUnused.
      const [state, warmUseMs, coldUseMs] = await Promise.all([
        this.#redis.get(this.#keys.order(ref)),
        this.#redis.zscore(this.#keys.threads, memberOf(ref)),
        this.#redis.zscore(this.#keys.cold.threads, memberOf(ref)),
      ]);
      const usedMs = warmUseMs ?? coldUseMs;
      if (usedMs === null || Number(usedMs) > untilMs) return false;
      if (await threads.deleteUnused(ref, state ?? '')) return true;
    } catch (err) {
      if (isUnavailable(err)) throw err;
      // One that cannot be deleted must not keep the others.
      this.#log.error({ err, thread_id: ref.threadId }, 'could not delete a thread that was not used');
    }
    // A full Redis does not take that; then it is looked at again with the next sweep.
    await this.#touch(ref).catch(() => undefined);
    return false;
  }

  async #touch(ref: ThreadRef): Promise<void> {
    await this.#redis.zadd(this.#keys.threads, this.#nowMs(), memberOf(ref));
  }

  /** A thread that cannot be listed is a thread all the same, and is listed when it is used again. @returns whether it is listed */
  async #list({ project, threadId }: ThreadRef, madeMs?: number): Promise<boolean> {
    const options = madeMs === undefined ? {} : { place: placeAt(madeMs) };
    try {
      await this.#collections.add(this.#keys.threadList(project), threadId, '', options);
      return true;
    } catch (err) {
      this.#log.debug({ err, thread_id: threadId }, 'could not list a thread');
      return false;
    }
  }

  /** The threads of an index that were last used longest ago, and before `untilMs`. What names no thread is removed on the way. */
  async #unused(
    index: string,
    from: string,
    untilMs: number,
    limit: number,
  ): Promise<readonly UnusedThread[]> {
    const rows = await this.#redis.zrangebyscore(index, from, untilMs, 'WITHSCORES', 'LIMIT', 0, limit);
    const found = Array.from({ length: rows.length / 2 }, (_, at) => {
      const [member = '', score = ''] = rows.slice(2 * at, 2 * at + 2);
      return { member, ref: refOf(member), usedMs: Number(score) };
    });
    const strays = found.filter(({ ref }) => ref === null).map(({ member }) => member);
    if (strays.length > 0) {
      await this.#redis.zrem(index, ...strays);
      this.#log.warn({ count: strays.length }, 'removed from the index of threads what names none');
    }
    return found.flatMap(({ ref, usedMs }) => (ref === null ? [] : [{ ref, usedMs }]));
  }
}

const memberOf = ({ project, threadId }: ThreadRef): string => `${project}/${threadId}`;

function refOf(member: string): ThreadRef | null {
  const [project, threadId, ...rest] = member.split('/');
  return project && threadId && isSafeId(threadId) && rest.length === 0 ? { project, threadId } : null;
}
