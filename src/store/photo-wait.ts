/** Remembers, for a short while, which run waits for a photo from which caller. */
import { decode } from './json.ts';
import type { RedisKeys, RunRef } from './keys.ts';
import type { ScriptedRedis } from './scripts.ts';

export class PhotoWait {
  readonly #redis: ScriptedRedis;
  readonly #keys: RedisKeys;

  constructor(redis: ScriptedRedis, keys: RedisKeys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /** The run waits for the caller's photo; `digest` tells callers apart. */
  async wait(project: string, digest: string, ref: RunRef, ms: number): Promise<void> {
    await this.#redis.set(this.#keys.passing(project, 'photo', digest), JSON.stringify(ref), 'PX', ms);
  }

  /** The run that waits for this caller's photo, or null; it waits no longer. */
  async take(project: string, digest: string): Promise<RunRef | null> {
    return decode<RunRef>(await this.#redis.getdel(this.#keys.passing(project, 'photo', digest)));
  }
}
