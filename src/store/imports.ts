/**
 * Objects that were made elsewhere, taken in with their ids and their place: before everything that was made here, in
 * the order of their creation. Taking one in again changes nothing.
 */
import type { Assistant, Message, Thread } from '../runs/thread.ts';
import type { Assistants } from './assistants.ts';
import type { ColdThreads } from './cold-threads.ts';
import { listOf } from './collection.ts';
import { encodePart } from './compact.ts';
import type { RedisKeys, ThreadRef } from './keys.ts';
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

export interface ImportsOptions {
  readonly redis: ScriptedRedis;
  readonly keys: RedisKeys;
  readonly threadIndex: ThreadIndex;
  readonly cold: ColdThreads;
}

export class Imports {
  readonly #redis: ScriptedRedis;
  readonly #keys: RedisKeys;
  readonly #threads: ThreadIndex;
  readonly #assistants: Assistants;
  readonly #cold: ColdThreads;

  constructor({ redis, keys, threadIndex, cold }: ImportsOptions, assistants: Assistants) {
    this.#threads = threadIndex;
    this.#cold = cold;
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
    const [isNew] = await this.#takeIn({ project, threadId: thread.id }, thread, []);
    return new Set(isNew === 1 ? [thread.id] : []);
  }

  /**
   * Messages of one thread, which is made where it is missing.
   * @param messages oldest first; those of one second should come in one call
   */
  async messages(project: string, thread: Thread, messages: readonly Message[]): Promise<Taken> {
    const [, ...areNew] = await this.#takeIn({ project, threadId: thread.id }, thread, messages);
    return new Set(messages.filter((_, index) => areNew[index] === 1).map(({ id }) => id));
  }

  /** @returns 1 for what was new: the thread, then the messages */
  async #takeIn(ref: ThreadRef, thread: Thread, messages: readonly Message[]): Promise<readonly unknown[]> {
    const [redis, keys] = [this.#redis, this.#keys];
    const { docs, index } = keys.messages(ref);
    const names = [keys.thread(ref), keys.order(ref), docs, index];
    const byRun = new Map<string, number>();
    const numberOf = (runId: string): number => {
      const number = byRun.get(runId) ?? names.push(keys.runMessages({ ...ref, runId }));
      byRun.set(runId, number);
      return number;
    };
    const ties = tieCounter();
    const args = messages.flatMap((message) => {
      const { id, created_at: second, run_id: runId } = message;
      const tie = Math.min(ties(second), PLACES_PER_SECOND - 1);
      const place = (second - BEYOND_S) * PLACES_PER_SECOND + tie;
      return [id, encodePart(message), place, runId === null ? '' : numberOf(runId)];
    });
    const [, reply] = await this.#cold.reach(ref, async () =>
      Promise.all([
        this.#threads.made(ref, thread.created_at * 1_000),
        redis.takein(names.length, ...names, thread.id, JSON.stringify(thread), ...args),
      ]),
    );
    return listOf(reply);
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
