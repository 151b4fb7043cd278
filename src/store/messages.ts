/** Messages of a thread, as clients add, list and delete them. What a run writes while it lives, commit.lua writes. */
import type { Message } from '../runs/thread.ts';
import type { Collections, ListPage, PageQuery, Row } from './collection.ts';
import { decodePart } from './json.ts';
import type { RedisKeys, ThreadRef } from './keys.ts';
import { labelled } from './labels.ts';
import type { ScriptedRedis } from './scripts.ts';

export class Messages {
  readonly #collections: Collections;
  readonly #redis: ScriptedRedis;
  readonly #keys: RedisKeys;

  constructor(collections: Collections, redis: ScriptedRedis, keys: RedisKeys) {
    this.#collections = collections;
    this.#redis = redis;
    this.#keys = keys;
  }

  async get(ref: ThreadRef, id: string): Promise<Message | null> {
    const [doc, labels] = await Promise.all([
      this.#redis.hget(this.#keys.messages(ref).docs, id),
      this.#redis.hget(this.#keys.labels(ref), id),
    ]);
    return doc === null ? null : read({ doc, label: labels ?? '', id }, ref.threadId);
  }

  /** Deletes a message. A run in progress that has read it already goes on. */
  async delete(ref: ThreadRef, { id, run_id: runId }: Message): Promise<boolean> {
    const indexes = runId === null ? [] : [this.#keys.runMessages({ ...ref, runId })];
    return this.#collections.remove(this.#keys.messages(ref), id, { indexes });
  }

  /** Messages of a thread, or only those that one run wrote. */
  async list(ref: ThreadRef, runId: string | null, query: PageQuery): Promise<ListPage<Message>> {
    const all = this.#keys.messages(ref);
    const listed = runId === null ? all : { ...all, index: this.#keys.runMessages({ ...ref, runId }) };
    return this.#collections.page(listed, query, {
      parse: (row) => read(row, ref.threadId),
      labels: this.#keys.labels(ref),
    });
  }
}

const read = ({ doc, label, id }: Row, threadId: string): Message =>
  labelled(decodePart<Message>(doc, `message ${id}`, threadId), label);
