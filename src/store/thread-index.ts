/**
 * The two indexes of threads. One has all threads that are kept, by when they were last used: made, or given a message or a
 * run; it counts them, and finds those that were not used for long. The other has those of a project, in the order in
 * which they were made; it lists them. Like the index of open runs they are reminders in slots of their own, not truths: a
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

  /** Forgets a thread that is no more; lists remember where it stood. */
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
    return this.#redis.zcard(this.#keys.threads);
  }

  /**
   * Deletes threads that were not used for `keptDays`, up to a batch of them, and none that a run holds. With 0 threads
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
      // A use is noted before it changes the thread. So a change that came before the first question was noted before the
      // second one; and a later change is seen by deleteUnused.
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
