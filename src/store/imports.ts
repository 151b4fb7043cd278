/**
 * Objects that were made elsewhere, taken in with their ids and their place: before everything that was made here, in
 * the order of their creation. Taking one in again changes nothing.
 */
import type { Assistant, Message, Thread } from '../runs/thread.ts';
import type { Assistants } from './assistants.ts';
import { encodePart } from './compact.ts';
import type { RedisKeys } from './keys.ts';
import type { ScriptedRedis } from './scripts.ts';
import type { ThreadIndex } from './thread-index.ts';

/** Ids that were new, among those that were to be taken in. */
export type Taken = ReadonlySet<string>;

/**
 * Places of a thread's own messages count from 1. Imported ones lie below: by second of creation, and within a second by
 * their order in the list, which may have this many of the same second.
 */
const PLACES_PER_SECOND = 16_384;
/** Later than any second of creation (unix seconds): places stay below zero until the year 2242. */
const BEYOND_S = 2 ** 33;
const MICROSECONDS = 1_000_000;

export class Imports {
  readonly #redis: ScriptedRedis;
  readonly #keys: RedisKeys;
  readonly #threads: ThreadIndex;
  readonly #assistants: Assistants;

  constructor(redis: ScriptedRedis, keys: RedisKeys, threads: ThreadIndex, assistants: Assistants) {
    this.#threads = threads;
    this.#assistants = assistants;
    this.#redis = redis;
    this.#keys = keys;
  }

  /** @param assistants oldest first */
  async assistants(project: string, assistants: readonly Assistant[]): Promise<Taken> {
    const { docs, index } = this.#keys.assistants(project);
    const names = this.#keys.assistantNames(project);
    const ties = tieCounter();
    const transaction = this.#redis.multi();
    for (const assistant of assistants) {
      const place = assistant.created_at * MICROSECONDS + ties(assistant.created_at);
      transaction
        .hsetnx(docs, assistant.id, JSON.stringify(assistant))
        .zadd(index, 'NX', place, assistant.id);
      // One that was named so here keeps its name.
      if (assistant.name !== null) transaction.hsetnx(names, assistant.name.toLowerCase(), assistant.id);
    }
    return newOnes(
      assistants,
      await this.#assistants.changing(project, async () => transaction.exec()),
      assistants.map(({ name }) => (name === null ? 2 : 3)),
    );
  }

  async thread(project: string, thread: Thread): Promise<Taken> {
    const ref = { project, threadId: thread.id };
    const [, isNew] = await Promise.all([
      this.#threads.made(ref, thread.created_at * 1_000),
      this.#redis.hsetnx(this.#keys.thread(ref), thread.id, JSON.stringify(thread)),
    ]);
    return new Set(isNew === 1 ? [thread.id] : []);
  }

  /**
   * Messages of one thread, which is made where it is missing.
   * @param messages oldest first; those of one second should come in one call
   */
  async messages(project: string, thread: Thread, messages: readonly Message[]): Promise<Taken> {
    const ref = { project, threadId: thread.id };
    const { docs, index } = this.#keys.messages(ref);
    const ties = tieCounter();
    const transaction = this.#redis.multi().hsetnx(this.#keys.thread(ref), thread.id, JSON.stringify(thread));
    for (const message of messages) {
      const tie = Math.min(ties(message.created_at), PLACES_PER_SECOND - 1);
      const place = (message.created_at - BEYOND_S) * PLACES_PER_SECOND + tie;
      transaction.hsetnx(docs, message.id, encodePart(message)).zadd(index, 'NX', place, message.id);
      if (message.run_id !== null) {
        const byRun = this.#keys.runMessages({ ...ref, runId: message.run_id });
        transaction.zadd(byRun, 'NX', place, message.id);
      }
    }
    const [, replies] = await Promise.all([
      this.#threads.made(ref, thread.created_at * 1_000),
      transaction.exec(),
    ]);
    return newOnes(
      messages,
      replies?.slice(1) ?? null,
      messages.map(({ run_id }) => (run_id === null ? 2 : 3)),
    );
  }
}

/** Counts those of the same second, from 0. */
function tieCounter(): (second: number) => number {
  const counts = new Map<number, number>();
  return (second) => {
    const count = counts.get(second) ?? 0;
    counts.set(second, count + 1);
    return count;
  };
}

/** @param commands how many commands each object took; the first of them says whether it was new */
function newOnes(
  objects: readonly { readonly id: string }[],
  replies: readonly (readonly [error: Error | null, reply: unknown])[] | null,
  commands: readonly number[],
): Taken {
  if (replies === null) throw new Error('the import was not executed');
  const taken = new Set<string>();
  let at = 0;
  for (const [index, { id }] of objects.entries()) {
    const [error, reply] = replies[at] ?? [null, 0];
    if (error !== null) throw error;
    if (reply === 1) taken.add(id);
    at += commands[index] ?? 0;
  }
  return taken;
}
