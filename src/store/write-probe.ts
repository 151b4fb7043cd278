/** Whether Redis takes writes: one that is full, read-only or short of replicas goes on answering questions. */
import type { RedisKeys } from './keys.ts';
import { masters } from './redis.ts';
import type { ScriptedRedis } from './scripts.ts';

/** There is no room for more; or writes are refused for another reason: a disk error, a deposed master, too few replicas. */
export type WriteRefusal = 'storage_full' | 'redis_refuses_writes';

/** Redis is asked no more often than this, however often the probe is. */
const ASK_EVERY_MS = 1_000;
/** As many keys meet every master of a small Cluster, but for bad luck once in some hundred deployments. */
const CLUSTER_KEYS = 16;

export class WriteProbe {
  readonly #redis: ScriptedRedis;
  readonly #keys: RedisKeys;
  #askedMs = -Infinity;
  #answer: Promise<WriteRefusal | null> = Promise.resolve(null);

  constructor(redis: ScriptedRedis, keys: RedisKeys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /** Why writes are refused, as of a second ago at most; null when they are not. @throws when Redis does not answer. */
  async refusal(): Promise<WriteRefusal | null> {
    const nowMs = performance.now();
    if (nowMs - this.#askedMs >= ASK_EVERY_MS) {
      this.#askedMs = nowMs;
      this.#answer = this.#ask();
    }
    return this.#answer;
  }

  async #ask(): Promise<WriteRefusal | null> {
    const count = masters(this.#redis).length > 1 ? CLUSTER_KEYS : 1;
    const replies = await Promise.all(
      Array.from({ length: count }, async (_, index) =>
        String(await this.#redis.probe(1, this.#keys.probe(index), ASK_EVERY_MS)),
      ),
    );
    if (replies.some((reply) => reply.startsWith('OOM'))) return 'storage_full';
    return replies.every((reply) => reply === 'OK') ? null : 'redis_refuses_writes';
  }
}
