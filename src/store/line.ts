/**
 * The line of a thread: its messages, the steps of calls of its runs, and the items that clients of the Responses API put
 * between them, in the order in which they joined it.
 */
import type { ChainableCommander } from 'ioredis';
import type { StoredItem } from '../runs/items.ts';
import type { KeptThought } from '../runs/thoughts.ts';
import type { Message, RunStep, Thread, ThreadItem } from '../runs/thread.ts';
import type { ColdThreads } from './cold-threads.ts';
import { listOf, type Collections } from './collection.ts';
import { encodePart } from './compact.ts';
import { decode, decodePart } from './json.ts';
import { BASE_FIELD, thoughtsOf, type RedisKeys, type RunRef, type ThreadRef } from './keys.ts';
import type { ThreadBase } from './new-run.ts';
import type { ScriptedRedis } from './scripts.ts';
import type { ThreadIndex } from './thread-index.ts';

/** How long it is noted of a run that is there no more that it was forgotten: longer than any reader needs. */
const FORGOTTEN_MS = 60_000;

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
  /** Leaves out messages. */
  readonly onlyCalls?: boolean;
  /** Hears how many bytes a page has before it is read; what it throws keeps it from being read. */
  readonly admit?: (bytes: number) => void;
}

/** A page of a line. One that is full of bytes is shorter than its limit. */
export interface LinePage {
  readonly items: readonly Placed[];
  /** The place that was looked at last, from which the next page goes on; null where there was nothing. */
  readonly edge: number | null;
  readonly hasMore: boolean;
  readonly bytes: number;
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

export interface ThreadLineOptions {
  readonly collections: Collections;
  readonly redis: ScriptedRedis;
  readonly keys: RedisKeys;
  readonly threadIndex: ThreadIndex;
  readonly cold: ColdThreads;
}

interface LinePlace {
  readonly id: string;
  readonly place: number;
  readonly isMessage: boolean;
}

/** Commands that are answered together. */
type Commands = (chain: ChainableCommander) => ChainableCommander;

export class ThreadLine {
  readonly #options: ThreadLineOptions;

  constructor(options: ThreadLineOptions) {
    this.#options = options;
  }

  async head(ref: ThreadRef): Promise<ThreadHead> {
    const { runs, active, order } = this.#options.keys.ownKeys(ref);
    const [ids, holder, count] = await this.#ask(ref, (chain) =>
      chain.zrevrange(runs, 0, 0).get(active).get(order),
    );
    return { runId: textOf(listOf(ids)[0]), holder: textOf(holder), order: textOf(count) ?? '' };
  }

  /** The place from which a thread goes on that continues after this run: everything up to the run's last word is before it. */
  async after(ref: RunRef): Promise<ThreadBase> {
    const { keys } = this.#options;
    const [own, lastStep, lastMessage] = await this.#ask(ref, (chain) =>
      chain
        .zscore(keys.runs(ref), ref.runId)
        .zrevrange(keys.runSteps(ref), 0, 0, 'WITHSCORES')
        .zrevrange(keys.runMessages(ref), 0, 0, 'WITHSCORES'),
    );
    const [step, message] = [listOf(lastStep)[1], listOf(lastMessage)[1]];
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
    const key = this.#options.keys.thread(ref);
    const [base] = await this.#ask(ref, (chain) => chain.hget(key, BASE_FIELD));
    return decode<ThreadBase>(textOf(base));
  }

  /** The place of a run; null where there is none. */
  async placeOf(ref: RunRef): Promise<number | null> {
    const runs = this.#options.keys.runs(ref);
    const [place] = await this.#ask(ref, (chain) => chain.zscore(runs, ref.runId));
    return textOf(place) === null ? null : Number(place);
  }

  /** A page of a thread. Items that cannot be read are left out. */
  async items(ref: ThreadRef, query: LineQuery): Promise<LinePage> {
    const { redis, keys, cold } = this.#options;
    const own = keys.ownKeys(ref);
    let page: LinePage = { items: [], edge: null, hasMore: false, bytes: 0 };
    await cold.find(ref, async () => {
      const places = await this.#places(ref, query);
      const { count, bytes } = await this.#withinBytes(ref, places.slice(0, query.limit));
      query.admit?.(bytes);
      const wanted = places.slice(0, count);
      const docs = await Promise.all(
        wanted.map(async ({ id, isMessage }) =>
          redis.hmget(isMessage ? own.messages : own.steps, id, thoughtsOf(id)),
        ),
      );
      const items = wanted.flatMap(({ id, place }, at) => {
        const [doc = null, thoughts = null] = docs[at] ?? [];
        const item = doc === null ? null : this.#read(doc, id, ref);
        return item === null ? [] : [{ place, item, thoughts: this.#thoughts(thoughts, id) }];
      });
      page = { items, edge: wanted.at(-1)?.place ?? null, hasMore: places.length > count, bytes };
      // One may be removed just now, or the thread become cold.
      return docs.every(([doc]) => doc !== null) ? page : null;
    });
    return page;
  }

  /** How many of these items one page may have, at least one, and how many bytes they are. */
  async #withinBytes(ref: ThreadRef, places: readonly LinePlace[]) {
    if (places.length === 0) return { count: 0, bytes: 0 };
    const own = this.#options.keys.ownKeys(ref);
    const { pageLimitBytes } = this.#options.collections;
    const sizes = await this.#ask(ref, (chain) =>
      places.reduce(
        (asked, { id, isMessage }) => asked.hstrlen(isMessage ? own.messages : own.steps, id),
        chain,
      ),
    );
    let [count, bytes] = [0, 0];
    for (const size of sizes.slice(0, places.length).map(Number)) {
      if (count > 0 && bytes + size > pageLimitBytes) break;
      [count, bytes] = [count + 1, bytes + size];
    }
    return { count, bytes };
  }

  /** One place more than the query asks for, where there is one. */
  async #places(
    ref: ThreadRef,
    { after, before, order, limit, onlyCalls = false }: LineQuery,
  ): Promise<readonly LinePlace[]> {
    const own = this.#options.keys.ownKeys(ref);
    const [low, high] = [`(${after}`, Number.isFinite(before) ? `(${before}` : '+inf'];
    const from = Number.isFinite(after) ? low : '-inf';
    const read = (chain: ChainableCommander, index: string): ChainableCommander =>
      order === 'asc'
        ? chain.zrangebyscore(index, from, high, 'WITHSCORES', 'LIMIT', 0, limit + 1)
        : chain.zrevrangebyscore(index, high, from, 'WITHSCORES', 'LIMIT', 0, limit + 1);
    const [steps, messages] = await this.#ask(ref, (chain) => {
      const ofSteps = read(chain, own.toolSteps);
      return onlyCalls ? ofSteps : read(ofSteps, own.messagesIndex);
    });
    const placed = (reply: unknown, isMessage: boolean) =>
      pairs(listOf(reply).map(String)).map(([id, place]) => ({ id, place, isMessage }));
    return [...(onlyCalls ? [] : placed(messages, true)), ...placed(steps, false)]
      .toSorted((a, b) => (order === 'asc' ? a.place - b.place : b.place - a.place))
      .slice(0, limit + 1);
  }

  /** Where an item of the line stands, with the item; null where there is none of that id. */
  async find(ref: ThreadRef, id: string): Promise<Placed | null> {
    const own = this.#options.keys.ownKeys(ref);
    const isMessage = id.startsWith('msg_');
    const [place, fields] = await this.#ask(ref, (chain) =>
      chain
        .zscore(isMessage ? own.messagesIndex : own.toolSteps, id)
        .hmget(isMessage ? own.messages : own.steps, id, thoughtsOf(id)),
    );
    const [doc, thoughts] = listOf(fields).map(textOf);
    const item = !doc || textOf(place) === null ? null : this.#read(doc, id, ref);
    return item === null
      ? null
      : { place: Number(place), item, thoughts: this.#thoughts(thoughts ?? null, id) };
  }

  /** What a model thought before these steps, by their ids. */
  async thoughts(
    ref: ThreadRef,
    stepIds: readonly string[],
  ): Promise<ReadonlyMap<string, readonly KeptThought[]>> {
    const found = new Map<string, readonly KeptThought[]>();
    if (stepIds.length === 0) return found;
    const key = this.#options.keys.steps(ref);
    const [fields] = await this.#ask(ref, (chain) => chain.hmget(key, ...stepIds.map(thoughtsOf)));
    const docs = listOf(fields).map(textOf);
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
    const { redis, keys, threadIndex, cold } = this.#options;
    const own = keys.ownKeys(ref);
    const names = [
      own.thread,
      own.active,
      own.order,
      own.messages,
      own.messagesIndex,
      own.steps,
      own.toolSteps,
    ];
    const args = [ref.threadId, thread === null ? '' : JSON.stringify(thread), keys.runPrefix(ref)];
    const pairsOf = parts.flatMap((part) => [part.id, encodePart(part)]);
    const [, reply] = await cold.reach(ref, async () =>
      Promise.all([
        thread === null ? threadIndex.used(ref) : threadIndex.made(ref),
        redis.append(names.length, ...names, ...args, ...pairsOf),
      ]),
    );
    const [code, runId] = listOf(reply);
    if (code === -2) return { type: 'locked', runId: String(runId) };
    if (code !== -1) return { type: 'appended' };
    threadIndex.forgetLater(ref);
    return { type: 'no thread' };
  }

  /** Lets what is not kept of these runs and their threads live for `ms` more, or longer where it would anyway. */
  async prolong(refs: readonly RunRef[], ms: number): Promise<void> {
    const { keys, redis } = this.#options;
    const names = refs.flatMap((ref) => [
      ...Object.values(keys.ownKeys(ref)),
      ...Object.values(keys.runKeys(ref)),
    ]);
    await Promise.all(names.map(async (name) => redis.pexpire(name, ms, 'GT')));
  }

  /** Forgets that a run is a response: it is not found as one any more, and what it said stays in its thread. */
  async forgetResponse(ref: RunRef): Promise<void> {
    const { redis, keys, cold } = this.#options;
    const names = [keys.thread(ref), keys.run(ref), keys.order(ref)];
    const isDone = await cold.reach(ref, async () => redis.label(names.length, ...names, 'forgotten', '1'));
    if (isDone === 1) return;
    // One without a thread. Where it has expired meanwhile, this must not stay for ever.
    const run = keys.run(ref);
    await redis.multi().hset(run, 'forgotten', '1').pexpire(run, FORGOTTEN_MS, 'NX').exec();
  }

  async isForgotten(ref: RunRef): Promise<boolean> {
    const run = this.#options.keys.run(ref);
    const [forgotten] = await this.#ask(ref, (chain) => chain.hexists(run, 'forgotten'));
    return forgotten === 1;
  }

  /** Removes an item that a client put there. @returns whether it was there */
  async remove(ref: ThreadRef, id: string): Promise<boolean> {
    const { redis, keys, cold } = this.#options;
    const { thread, order, steps, toolSteps } = keys.ownKeys(ref);
    const names = [thread, order, steps, toolSteps];
    return (await cold.reach(ref, async () => redis.takeout(names.length, ...names, id))) === 1;
  }

  /** What plain commands answer at one moment, in which the thread is not cold. */
  async #ask(ref: ThreadRef, commands: Commands): Promise<readonly unknown[]> {
    const { redis, keys, cold } = this.#options;
    let values: readonly unknown[] = [];
    await cold.find(ref, async () => {
      const replies = await commands(redis.multi()).hexists(keys.thread(ref), ref.threadId).exec();
      values = (replies ?? []).map(([error, value]) => {
        if (error !== null) throw error;
        return value;
      });
      return values.at(-1) === 1 ? values : null;
    });
    return values;
  }

  #read(doc: string, id: string, { threadId }: ThreadRef): ThreadItem | null {
    return this.#options.collections.readable(() =>
      decodePart<Message | RunStep | StoredItem>(doc, `item ${id}`, threadId),
    );
  }

  #thoughts(doc: string | null, id: string): readonly KeptThought[] {
    if (doc === null) return [];
    return (
      this.#options.collections.readable(() => decode<readonly KeptThought[]>(doc, `thoughts of ${id}`)) ?? []
    );
  }
}

const textOf = (value: unknown): string | null => (typeof value === 'string' ? value : null);

function pairs(flat: readonly string[]): readonly (readonly [string, number])[] {
  return Array.from(
    { length: flat.length / 2 },
    (_, at) => [flat[2 * at] ?? '', Number(flat[2 * at + 1])] as const,
  );
}
