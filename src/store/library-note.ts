/**
 * What all processes know of the library: its name, by which another one is recognized that lacks what this one had; and how far
 * its files have come.
 */
import type { RedisKeys } from './keys.ts';
import type { ScriptedRedis } from './scripts.ts';

/** For `/metrics`. */
export interface LibraryFigures {
  /** Files whose vectors are not of the model that is set; null where none is set. */
  readonly outside: number | null;
  /** Files that were read again since a library was lost, of all times. */
  readonly lost: number;
}

export class LibraryNote {
  readonly #redis: ScriptedRedis;
  readonly #keys: RedisKeys;

  constructor(redis: ScriptedRedis, keys: RedisKeys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /** The library that files were read into; null where none was read yet. */
  async name(): Promise<string | null> {
    return this.#redis.hget(this.#keys.library, 'name');
  }

  /** Notes the library of the first file. A later one is noted by whoever has looked for what it lacks. */
  async begin(name: string): Promise<void> {
    await this.#redis.hsetnx(this.#keys.library, 'name', name);
  }

  async replace(name: string): Promise<void> {
    await this.#redis.hset(this.#keys.library, 'name', name);
  }

  async tellOutside(files: number | null): Promise<void> {
    if (files === null) await this.#redis.hdel(this.#keys.library, 'outside');
    else await this.#redis.hset(this.#keys.library, 'outside', files);
  }

  async countLost(files: number): Promise<void> {
    await this.#redis.hincrby(this.#keys.library, 'lost', files);
  }

  async figures(): Promise<LibraryFigures> {
    const [outside, lost] = await this.#redis.hmget(this.#keys.library, 'outside', 'lost');
    return { outside: outside == null ? null : Number(outside), lost: Number(lost ?? 0) };
  }
}
