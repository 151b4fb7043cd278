/**
 * Counts who listens to a run besides the caller that began it: callers that sent the same again. While there is one, a
 * caller that hangs up takes nothing away. A run with a single listener, which is nearly every run, costs nothing here.
 */
import type { RedisKeys, RunRef } from './keys.ts';
import type { ScriptedRedis } from './scripts.ts';

export class Listeners {
  readonly #redis: ScriptedRedis;
  readonly #keys: RedisKeys;
  readonly #keptMs: number;

  /** @param keptMs as long as a run may live */
  constructor(redis: ScriptedRedis, keys: RedisKeys, keptMs: number) {
    this.#redis = redis;
    this.#keys = keys;
    this.#keptMs = keptMs;
  }

  /** One more listens to the run. @returns false when all had left before: the run is being cancelled. */
  async join(ref: RunRef): Promise<boolean> {
    return (await this.#count(ref, 1)) > 0;
  }

  /** One listens no more. @returns whether it was the last one. */
  async leave(ref: RunRef): Promise<boolean> {
    return (await this.#count(ref, -1)) < 0;
  }

  /** All have heard what there is for now. The caller that makes the run go on will listen alone. */
  async dismiss(ref: RunRef): Promise<void> {
    await this.#redis.del(this.#keys.listeners(ref));
  }

  async #count(ref: RunRef, change: number): Promise<number> {
    const key = this.#keys.listeners(ref);
    const [others] = await Promise.all([
      this.#redis.incrby(key, change),
      this.#redis.pexpire(key, this.#keptMs),
    ]);
    return others;
  }
}
