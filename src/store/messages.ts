/** Messages of a thread, as clients add, list and delete them. What a run writes while it lives, commit.lua writes. */
import type { Message } from '../runs/thread.ts';
import type { ColdThreads } from './cold-threads.ts';
import type { Collections, ListPage, PageQuery, Row } from './collection.ts';
import { readItem } from './item.ts';
import { decodePart } from './json.ts';
import type { RedisKeys, ThreadRef } from './keys.ts';
import { labelled } from './labels.ts';
import type { ScriptedRedis } from './scripts.ts';

export interface MessagesOptions {
  readonly collections: Collections;
  readonly redis: ScriptedRedis;
  readonly keys: RedisKeys;
  readonly cold: ColdThreads;
}

export class Messages {
  readonly #options: MessagesOptions;

  constructor(options: MessagesOptions) {
    this.#options = options;
  }

  async get(ref: ThreadRef, id: string): Promise<Message | null> {
    const { docs } = this.#options.keys.messages(ref);
    const [doc = null, label = null] = await readItem(this.#options, ref, {
      docs,
      fields: [id],
      labels: [id],
    });
    return doc === null ? null : read({ doc, label: label ?? '', id }, ref.threadId);
  }

  /** Deletes a message. A run in progress that has read it already goes on. */
  async delete(ref: ThreadRef, { id, run_id: runId }: Message): Promise<boolean> {
    const { collections, keys, cold } = this.#options;
    const indexes = runId === null ? [] : [keys.runMessages({ ...ref, runId })];
    const removed = await cold.find(ref, async () =>
      (await collections.remove(keys.messages(ref), id, { indexes })) ? true : null,
    );
    return removed ?? false;
  }

  /** Messages of a thread, or only those that one run wrote. */
  async list(ref: ThreadRef, runId: string | null, query: PageQuery): Promise<ListPage<Message>> {
    const { collections, keys, cold } = this.#options;
    const all = keys.messages(ref);
    const listed = runId === null ? all : { ...all, index: keys.runMessages({ ...ref, runId }) };
    return cold.reach(ref, async () =>
      collections.page(listed, query, {
        parse: (row) => read(row, ref.threadId),
        labels: keys.labels(ref),
        thread: keys.thread(ref),
      }),
    );
  }
}

const read = ({ doc, label, id }: Row, threadId: string): Message =>
  labelled(decodePart<Message>(doc, `message ${id}`, threadId), label);
