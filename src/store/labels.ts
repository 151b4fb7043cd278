/**
 * Labels: metadata that a client gives a message or run after it was written. It lies beside the document, because only the
 * run's own commits write that.
 */
import type { Metadata } from '../runs/thread.ts';
import { decode } from './json.ts';
import type { RedisKeys, ThreadRef } from './keys.ts';
import type { ScriptedRedis } from './scripts.ts';

export class Labels {
  readonly #redis: ScriptedRedis;
  readonly #keys: RedisKeys;

  constructor(redis: ScriptedRedis, keys: RedisKeys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /** The metadata a message or run was given since it was created; null when it was given none. */
  async get(ref: ThreadRef, id: string): Promise<Metadata | null> {
    return decode<Metadata>(await this.#redis.hget(this.#keys.labels(ref), id));
  }

  /** Gives metadata to a message or run that exists; it replaces what was there. @returns false when the thread is gone. */
  async set(ref: ThreadRef, id: string, metadata: Metadata): Promise<boolean> {
    const names = [this.#keys.thread(ref), this.#keys.labels(ref)];
    return (await this.#redis.label(names.length, ...names, id, JSON.stringify(metadata))) === 1;
  }
}

/** The object with its label, as that is stored; empty where there is none. */
export function labelled<T extends { readonly metadata: Metadata }>(object: T, label: string): T {
  return label === '' ? object : { ...object, metadata: decode<Metadata>(label) };
}
