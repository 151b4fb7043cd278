/**
 * Labels: metadata that a client gives a message or run after it was written. It lies beside the document, because only the
 * run's own commits write that.
 */
import type { Metadata } from '../runs/thread.ts';
import type { ColdThreads } from './cold-threads.ts';
import { decode } from './json.ts';
import type { RedisKeys, ThreadRef } from './keys.ts';
import type { ScriptedRedis } from './scripts.ts';

export class Labels {
  readonly #redis: ScriptedRedis;
  readonly #keys: RedisKeys;
  readonly #cold: ColdThreads;

  constructor(redis: ScriptedRedis, keys: RedisKeys, cold: ColdThreads) {
    this.#redis = redis;
    this.#keys = keys;
    this.#cold = cold;
  }

  /** The metadata a message or run was given since it was created; null when it was given none. */
  async get(ref: ThreadRef, id: string): Promise<Metadata | null> {
    return decode<Metadata>(
      await this.#cold.find(ref, async () => this.#redis.hget(this.#keys.labels(ref), id)),
    );
  }

  /** Gives metadata to a message or run that exists; it replaces what was there. @returns false when the thread is gone. */
  async set(ref: ThreadRef, id: string, metadata: Metadata): Promise<boolean> {
    const text = JSON.stringify(metadata);
    const set = await this.#cold.reach(ref, async () => hang(this.#redis, this.#keys, ref, [id, text]));
    return set === 1;
  }
}

/** Hangs something on a thread that is there. @returns 1; 0 when the thread is gone. */
export async function hang(
  redis: ScriptedRedis,
  keys: RedisKeys,
  ref: ThreadRef,
  [field, text]: readonly [field: string, text: string],
): Promise<unknown> {
  const names = [keys.thread(ref), keys.labels(ref), keys.order(ref)];
  return redis.label(names.length, ...names, field, text);
}

/** The object with its label, as that is stored; empty where there is none. */
export function labelled<T extends { readonly metadata: Metadata }>(object: T, label: string): T {
  return label === '' ? object : { ...object, metadata: decode<Metadata>(label) };
}
