/** Answers of tools that stay true for a while, for callers of one project that ask the same. A cache: losing it costs a repetition. */
import type { RedisKeys } from './keys.ts';
import type { ScriptedRedis } from './scripts.ts';

export class ToolCache {
  readonly #redis: ScriptedRedis;
  readonly #keys: RedisKeys;

  constructor(redis: ScriptedRedis, keys: RedisKeys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /** Null when there is none. A Redis that is away has none either: the connection reports its loss by itself. */
  async get(project: string, digest: string): Promise<string | null> {
    return this.#redis.get(this.#keys.passing(project, 'tool', digest)).catch(() => null);
  }

  async set(project: string, digest: string, answer: string, keptS: number): Promise<void> {
    await this.#redis.set(this.#keys.passing(project, 'tool', digest), answer, 'EX', keptS).catch(() => null);
  }
}
