/**
 * The line of a thread: its messages, the steps of calls of its runs, and the items that clients of the Responses API put
 * between them, in the order in which they joined it.
 */
import type { StoredItem } from '../runs/items.ts';
import type { KeptThought } from '../runs/thoughts.ts';
import type { Message, RunStep, Thread, ThreadItem } from '../runs/thread.ts';
import { listOf, type Collections } from './collection.ts';
import { encodePart } from './compact.ts';
import { decode, decodePart } from './json.ts';
import { thoughtsOf, type RedisKeys, type RunRef, type ThreadRef } from './keys.ts';
import type { ThreadBase } from './new-run.ts';
import type { ScriptedRedis } from './scripts.ts';
import type { ThreadIndex } from './thread-index.ts';

/** What became of messages and items that were to join a thread. */
export type Appended =
  | { readonly type: 'appended' }
  | { readonly type: 'no thread' }
  | { readonly type: 'locked'; readonly runId: string };

/** An item of a thread, and where it stands. */
export interface Placed {
  readonly place: number;
  readonly item: ThreadItem;
  /** What the model thought before a step of calls. */
  readonly thoughts: readonly KeptThought[];
}

/** Which part of a line: places from `after` to `before`, neither of them included. */
export interface LineQuery {
  readonly after: number;
  readonly before: number;
  readonly order: 'asc' | 'desc';
  readonly limit: number;
}

/** How far a thread has come. */
export interface ThreadHead {
  /** The run that was created last; null where there is none. */
  readonly runId: string | null;
  /** The run that holds the thread; null where none does. */
  readonly holder: string | null;
  /** Its counter of places, as it is stored. */
  readonly order: string;
}

export class ThreadLine {
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

  async head(ref: ThreadRef): Promise<ThreadHead> {
    const { runs, active, order } = this.#keys.ownKeys(ref);
    const [[runId = null], holder, count] = await Promise.all([
      this.#redis.zrevrange(runs, 0, 0),
      this.#redis.get(active),
      this.#redis.get(order),
    ]);
    return { runId, holder, order: count ?? '' };
  }

  /** The place from which a thread goes on that continues after this run: everything up to the run's last word is before it. */
  async after(ref: RunRef): Promise<ThreadBase> {
    const runs = this.#keys.runs(ref);
    const last = (key: string): Promise<string[]> => this.#redis.zrevrange(key, 0, 0, 'WITHSCORES');
    const [own, [, step], [, message]] = await Promise.all([
      this.#redis.zscore(runs, ref.runId),
      last(this.#keys.runSteps(ref)),
      last(this.#keys.runMessages(ref)),
    ]);
    // A step of calls has its place among all such steps directly after its place among the run's.
    const places = [
      Number(own ?? 0) + 1,
      step === undefined ? 0 : Number(step) + 2,
      message === undefined ? 0 : Number(message) + 1,
    ];
    return { thread_id: ref.threadId, before: Math.max(...places) };
  }

  /** What a thread goes on from; null for one that begins by itself. */
  async base(ref: ThreadRef): Promise<ThreadBase | null> {
    return decode<ThreadBase>(await this.#redis.hget(this.#keys.thread(ref), 'base'));
  }

  /** The place of a run; null where there is none. */
  async placeOf(ref: RunRef): Promise<number | null> {
    const place = await this.#redis.zscore(this.#keys.runs(ref), ref.runId);
    return place === null ? null : Number(place);
  }

  /** Items of a thread. Those that cannot be read are left out. */
  async items(ref: ThreadRef, { after, before, order, limit }: LineQuery): Promise<readonly Placed[]> {
    const own = this.#keys.ownKeys(ref);
    const read = async (index: string): Promise<readonly (readonly [string, number])[]> => {
      const [low, high] = [`(${after}`, Number.isFinite(before) ? `(${before}` : '+inf'];
      const from = Number.isFinite(after) ? low : '-inf';
      const found =
        order === 'asc'
          ? await this.#redis.zrangebyscore(index, from, high, 'WITHSCORES', 'LIMIT', 0, limit)
          : await this.#redis.zrevrangebyscore(index, high, from, 'WITHSCORES', 'LIMIT', 0, limit);
      return pairs(found);
    };
    const [messages, steps] = await Promise.all([read(own.messagesIndex), read(own.toolSteps)]);
    const places = [
      ...messages.map(([id, place]) => ({ id, place, hash: own.messages })),
      ...steps.map(([id, place]) => ({ id, place, hash: own.steps })),
    ].toSorted((a, b) => (order === 'asc' ? a.place - b.place : b.place - a.place));
    const wanted = places.slice(0, limit);
    const docs = await Promise.all(
      wanted.map(async ({ id, hash }) => this.#redis.hmget(hash, id, thoughtsOf(id))),
    );
    return wanted.flatMap(({ id, place }, at) => {
      const [doc = null, thoughts = null] = docs[at] ?? [];
      const item = doc === null ? null : this.#read(doc, id, ref);
      return item === null ? [] : [{ place, item, thoughts: this.#thoughts(thoughts, id) }];
    });
  }

  /** Where an item of the line stands, with the item; null where there is none of that id. */
  async find(ref: ThreadRef, id: string): Promise<Placed | null> {
    const own = this.#keys.ownKeys(ref);
    const isMessage = id.startsWith('msg_');
    const [place, [doc = null, thoughts = null]] = await Promise.all([
      this.#redis.zscore(isMessage ? own.messagesIndex : own.toolSteps, id),
      this.#redis.hmget(isMessage ? own.messages : own.steps, id, thoughtsOf(id)),
    ]);
    const item = doc === null || place === null ? null : this.#read(doc, id, ref);
    return item === null ? null : { place: Number(place), item, thoughts: this.#thoughts(thoughts, id) };
  }

  /** What a model thought before these steps, by their ids. */
  async thoughts(
    ref: ThreadRef,
    stepIds: readonly string[],
  ): Promise<ReadonlyMap<string, readonly KeptThought[]>> {
    const found = new Map<string, readonly KeptThought[]>();
    if (stepIds.length === 0) return found;
    const docs = await this.#redis.hmget(this.#keys.steps(ref), ...stepIds.map(thoughtsOf));
    stepIds.forEach((id, at) => {
      const thoughts = this.#thoughts(docs[at] ?? null, id);
      if (thoughts.length > 0) found.set(id, thoughts);
    });
    return found;
  }

  /** Adds a message or an item to a thread that no run holds. */
  async add(ref: ThreadRef, part: Message | StoredItem): Promise<Appended> {
    return this.append(ref, null, [part]);
  }

  /**
   * Adds to a thread that no run holds.
   * @param thread the thread, when it is created with them; null when it must exist
   */
  async append(
    ref: ThreadRef,
    thread: Thread | null,
    parts: readonly (Message | StoredItem)[],
  ): Promise<Appended> {
    const own = this.#keys.ownKeys(ref);
    const names = [
      own.thread,
      own.active,
      own.order,
      own.messages,
      own.messagesIndex,
      own.steps,
      own.toolSteps,
    ];
    const args = [ref.threadId, thread === null ? '' : JSON.stringify(thread), this.#keys.runPrefix(ref)];
    const pairsOf = parts.flatMap((part) => [part.id, encodePart(part)]);
    const [, reply] = await Promise.all([
      thread === null ? this.#index.used(ref) : this.#index.made(ref),
      this.#redis.append(names.length, ...names, ...args, ...pairsOf),
    ]);
    const [code, runId] = listOf(reply);
    if (code === -2) return { type: 'locked', runId: String(runId) };
    if (code !== -1) return { type: 'appended' };
    this.#index.forgetLater(ref);
    return { type: 'no thread' };
  }

  /** Forgets that a run is a response: it is not found as one any more, and what it said stays in its thread. */
  async forgetResponse(ref: RunRef): Promise<void> {
    await this.#redis.hset(this.#keys.run(ref), 'forgotten', '1');
  }

  async isForgotten(ref: RunRef): Promise<boolean> {
    return (await this.#redis.hexists(this.#keys.run(ref), 'forgotten')) === 1;
  }

  /** Removes an item that a client put there. @returns whether it was there */
  async remove(ref: ThreadRef, id: string): Promise<boolean> {
    const { steps, toolSteps } = this.#keys.ownKeys(ref);
    const [removed] = await Promise.all([this.#redis.zrem(toolSteps, id), this.#redis.hdel(steps, id)]);
    return removed === 1;
  }

  #read(doc: string, id: string, { threadId }: ThreadRef): ThreadItem | null {
    return this.#collections.readable(() =>
      decodePart<Message | RunStep | StoredItem>(doc, `item ${id}`, threadId),
    );
  }

  #thoughts(doc: string | null, id: string): readonly KeptThought[] {
    if (doc === null) return [];
    return this.#collections.readable(() => decode<readonly KeptThought[]>(doc, `thoughts of ${id}`)) ?? [];
  }
}

function pairs(flat: readonly string[]): readonly (readonly [string, number])[] {
  return Array.from(
    { length: flat.length / 2 },
    (_, at) => [flat[2 * at] ?? '', Number(flat[2 * at + 1])] as const,
  );
}
