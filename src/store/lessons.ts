/**
 * What workers have learned about the models of the upstreams, for those who list the models. A copy: each worker knows
 * its own lessons without it. Written once per lesson, and bounded.
 */
import type { RedisKeys } from './keys.ts';
import type { ScriptedRedis } from './scripts.ts';

/** Workers that run longer know their lessons still, but nobody is told any more. */
const KEPT_S = 7 * 86_400;
/** Names of models come from callers, so they could be endless. */
const MAX_LESSONS = 1_000;
const MAX_LESSON_LENGTH = 4_096;

export class Lessons {
  readonly #redis: ScriptedRedis;
  readonly #keys: RedisKeys;

  constructor(redis: ScriptedRedis, keys: RedisKeys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /** Keeps a lesson in place of an earlier one of the same name, unless there are too many. */
  async keep(name: string, lesson: string): Promise<void> {
    if (name.length + lesson.length > MAX_LESSON_LENGTH) return;
    const key = this.#keys.lessons;
    const isFull = (await this.#redis.hlen(key)) >= MAX_LESSONS;
    if (isFull && (await this.#redis.hexists(key, name)) === 0) return;
    await this.#redis.hset(key, name, lesson);
    await this.#redis.expire(key, KEPT_S);
  }

  /** All lessons by name. A Redis that is away has none: the connection reports its loss by itself. */
  async all(): Promise<ReadonlyMap<string, string>> {
    const found = await this.#redis.hgetall(this.#keys.lessons).catch(() => ({}));
    return new Map(Object.entries(found));
  }
}
