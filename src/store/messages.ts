/** Messages of a thread, as clients add, list and delete them. What a run writes while it lives, commit.lua writes. */
import type { Message, Thread } from '../runs/thread.ts';
import { listOf, type Collections, type ListPage, type PageQuery, type Row } from './collection.ts';
import { encodePart } from './compact.ts';
import { decodePart } from './json.ts';
import type { RedisKeys, ThreadRef } from './keys.ts';
import { labelled } from './labels.ts';
import type { ScriptedRedis } from './scripts.ts';
import type { ThreadIndex } from './thread-index.ts';

/** What became of messages that were to join a thread. */
export type Appended =
  | { readonly type: 'appended' }
  | { readonly type: 'no thread' }
  | { readonly type: 'locked'; readonly runId: string };

export class Messages {
  readonly #collections: Collections;
  readonly #redis: ScriptedRedis;
  readonly #keys: RedisKeys;
  readonly #index: ThreadIndex;

  constructor(collections: Collections, redis: ScriptedRedis, keys: RedisKeys, index: ThreadIndex) {
    this.#collections = collections;
    this.#redis = redis;
    this.#keys = keys;
    this.#index = index;
  }

  /** Adds a message to a thread that no run holds. */
  async add(ref: ThreadRef, message: Message): Promise<Appended> {
    return this.append(ref, null, [message]);
  }

  /** Adds messages to a thread. @param thread the thread, when it is created with them; null when it must exist */
  async append(ref: ThreadRef, thread: Thread | null, messages: readonly Message[]): Promise<Appended> {
    const { docs, index } = this.#keys.messages(ref);
    const names = [this.#keys.thread(ref), this.#keys.active(ref), this.#keys.order(ref), docs, index];
    const args = [ref.threadId, thread === null ? '' : JSON.stringify(thread), this.#keys.runPrefix(ref)];
    const pairs = messages.flatMap((message) => [message.id, encodePart(message)]);
    const [, reply] = await Promise.all([
      thread === null ? this.#index.used(ref) : this.#index.made(ref),
      this.#redis.append(names.length, ...names, ...args, ...pairs),
    ]);
    const [code, runId] = listOf(reply);
    if (code === -2) return { type: 'locked', runId: String(runId) };
    if (code !== -1) return { type: 'appended' };
    this.#index.forgetLater(ref);
    return { type: 'no thread' };
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
