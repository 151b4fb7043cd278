/** Threads: create, read, change, delete. The thread's lock belongs to its runs, and is moved by commit.lua only. */
import type { Message, Metadata, Thread } from '../runs/thread.ts';
import type { ColdThreads } from './cold-threads.ts';
import { listOf, type Collections, type ListPage, type PageQuery, type Row } from './collection.ts';
import { decodeObject } from './json.ts';
import type { RedisKeys, ThreadRef } from './keys.ts';
import type { ThreadLine } from './line.ts';
import type { RecentRuns } from './recent-runs.ts';
import { scan } from './scan.ts';
import type { ScriptedRedis } from './scripts.ts';
import type { ThreadIndex } from './thread-index.ts';

/** Of a deleted thread's runs, so many are taken from the list of recent runs at once; the list passes over the others. */
const FORGOTTEN_RUNS = 100;

export interface ThreadsOptions {
  readonly collections: Collections;
  readonly redis: ScriptedRedis;
  readonly keys: RedisKeys;
  readonly threadIndex: ThreadIndex;
  readonly recentRuns: RecentRuns;
  readonly line: ThreadLine;
  readonly cold: ColdThreads;
}

export class Threads {
  readonly #options: ThreadsOptions;

  constructor(options: ThreadsOptions) {
    this.#options = options;
  }

  /** Creates a thread with its first messages. */
  async create(project: string, thread: Thread, messages: readonly Message[]): Promise<void> {
    await this.#options.line.append({ project, threadId: thread.id }, thread, messages);
  }

  async get(ref: ThreadRef): Promise<Thread | null> {
    const { collections, keys, cold } = this.#options;
    const what = `thread ${ref.threadId}`;
    return cold.find(ref, async () => collections.get<Thread>(keys.thread(ref), ref.threadId, what));
  }

  /**
   * The threads of a project that have all of this metadata, in the order in which they were made. They are read to be
   * compared, a thousand in one call at the most.
   */
  async list(project: string, query: PageQuery, metadata: Metadata): Promise<ListPage<Thread>> {
    const { collections, redis, keys, threadIndex, cold } = this.#options;
    const wanted = Object.entries(metadata);
    const refOf = ({ id }: Row): ThreadRef => ({ project, threadId: id });
    return scan(collections, keys.threadList(project), query, {
      sizeOf: async (row) =>
        (await redis.hstrlen(keys.thread(refOf(row)), row.id)) || cold.sizeOf(refOf(row)),
      read: async (row) => {
        const doc = await this.#document(refOf(row));
        if (doc === null) return null;
        const thread = collections.readable(() => decodeObject<Thread>(doc, `thread ${row.id}`));
        return wanted.every(([key, value]) => thread?.metadata[key] === value) ? thread : null;
      },
      forget: (ids) => threadIndex.unlistLater(project, ids),
    });
  }

  /** The document of a thread, wherever it is: lists do not bring cold threads back. */
  async #document(ref: ThreadRef): Promise<string | null> {
    const { redis, keys, cold } = this.#options;
    const look = async (): Promise<string | null> => redis.hget(keys.thread(ref), ref.threadId);
    // It may come back between the two looks.
    return (await look()) ?? (await cold.document(ref)) ?? look();
  }

  /** Forgets where a project's threads stood when there are none any more. */
  async tidy(project: string): Promise<void> {
    await this.#options.threadIndex.tidy(project);
  }

  /** Whether this process has lately written to such a thread; it may be gone all the same. */
  isKnown(ref: ThreadRef): boolean {
    return this.#options.threadIndex.isKnown(ref);
  }

  /** Whether there is such a thread, readable or not, cold or not. */
  async exists(ref: ThreadRef): Promise<boolean> {
    const { redis, keys } = this.#options;
    return (await redis.exists(keys.thread(ref))) === 1;
  }

  async update(ref: ThreadRef, change: (old: Thread) => Thread): Promise<Thread | null> {
    const { collections, keys, cold } = this.#options;
    return cold.find(ref, async () => collections.swap(keys.thread(ref), ref.threadId, change));
  }

  /** Deletes a thread with its messages, runs and steps; a worker that executes one of them stops by itself. */
  async delete(ref: ThreadRef): Promise<boolean> {
    const [answer] = await Promise.all([this.#drop(ref, 'any'), this.#options.threadIndex.forget(ref)]);
    return answer === 1;
  }

  /**
   * The same, unless a run holds the thread or something has joined it since its `order` was read.
   * @returns whether the thread is gone, be it since long
   */
  async deleteUnused(ref: ThreadRef, order: string): Promise<boolean> {
    if ((await this.#drop(ref, 'unused', order)) === -1) return false;
    const { threadIndex } = this.#options;
    // Also one that was gone before, and is named there still.
    threadIndex.notColdLater(ref);
    await threadIndex.forget(ref);
    return true;
  }

  /** The id of the run that locks the thread, or null; and whether there is such a thread at all. */
  async activeRun(ref: ThreadRef): Promise<{ readonly exists: boolean; readonly runId: string | null }> {
    const { redis, keys } = this.#options;
    const names = [keys.thread(ref), keys.active(ref)];
    const reply = await redis.holder(names.length, ...names, keys.runPrefix(ref));
    const [exists, runId] = listOf(reply);
    return { exists: exists === 1, runId: runId === '' ? null : String(runId) };
  }

  async #drop(ref: ThreadRef, which: 'any' | 'unused', order = ''): Promise<unknown> {
    const { redis, keys, recentRuns, cold } = this.#options;
    // Both leave together, in this order.
    const [runIds, reply] = await Promise.all([
      redis.zrevrange(keys.runs(ref), 0, FORGOTTEN_RUNS - 1),
      this.#sendDrop(ref, which, order),
    ]);
    const [answer, ...rows] = listOf(reply);
    if (answer !== 1) return answer;
    for (const runId of runIds) recentRuns.forgetLater({ ...ref, runId });
    await cold.dropRows(ref, rows.map(String));
    return answer;
  }

  async #sendDrop(ref: ThreadRef, which: 'any' | 'unused', order: string): Promise<unknown> {
    const { redis, keys } = this.#options;
    const { own, perRun } = keys.threadKeys(ref);
    const { thread, runs, active, order: counter, ...others } = own;
    const { run, ...ofRuns } = perRun;
    const names = [thread, runs, active, counter, ...Object.values(others)];
    const events = keys.events({ ...ref, runId: '' });
    const args = [which, order, keys.changes, events, run, ...Object.values(ofRuns)];
    return redis.drop(names.length, ...names, ...args);
  }
}
