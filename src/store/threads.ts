/** Threads: create, read, change, delete. The thread's lock belongs to its runs, and is moved by commit.lua only. */
import type { Message, Metadata, Thread } from '../runs/thread.ts';
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
}

export class Threads {
  readonly #collections: Collections;
  readonly #redis: ScriptedRedis;
  readonly #keys: RedisKeys;
  readonly #index: ThreadIndex;
  readonly #recentRuns: RecentRuns;
  readonly #line: ThreadLine;

  constructor({ collections, redis, keys, threadIndex, recentRuns, line }: ThreadsOptions) {
    this.#collections = collections;
    this.#redis = redis;
    this.#keys = keys;
    this.#index = threadIndex;
    this.#recentRuns = recentRuns;
    this.#line = line;
  }

  /** Creates a thread with its first messages. */
  async create(project: string, thread: Thread, messages: readonly Message[]): Promise<void> {
    await this.#line.append({ project, threadId: thread.id }, thread, messages);
  }

  async get(ref: ThreadRef): Promise<Thread | null> {
    return this.#collections.get<Thread>(this.#keys.thread(ref), ref.threadId, `thread ${ref.threadId}`);
  }

  /**
   * The threads of a project that have all of this metadata, in the order in which they were made. They are read to be
   * compared, a thousand in one call at the most.
   */
  async list(project: string, query: PageQuery, metadata: Metadata): Promise<ListPage<Thread>> {
    const wanted = Object.entries(metadata);
    const keyOf = ({ id }: Row): string => this.#keys.thread({ project, threadId: id });
    return scan(this.#collections, this.#keys.threadList(project), query, {
      sizeOf: (row) => this.#redis.hstrlen(keyOf(row), row.id),
      read: async (row) => {
        const doc = await this.#redis.hget(keyOf(row), row.id);
        if (doc === null) return null;
        const thread = this.#collections.readable(() => decodeObject<Thread>(doc, `thread ${row.id}`));
        return wanted.every(([key, value]) => thread?.metadata[key] === value) ? thread : null;
      },
      forget: (ids) => this.#index.unlistLater(project, ids),
    });
  }

  /** Forgets where a project's threads stood when there are none any more. */
  async tidy(project: string): Promise<void> {
    await this.#index.tidy(project);
  }

  /** Whether this process has lately written to such a thread; it may be gone all the same. */
  isKnown(ref: ThreadRef): boolean {
    return this.#index.isKnown(ref);
  }

  /** Whether there is such a thread, readable or not. */
  async exists(ref: ThreadRef): Promise<boolean> {
    return (await this.#redis.exists(this.#keys.thread(ref))) === 1;
  }

  async update(ref: ThreadRef, change: (old: Thread) => Thread): Promise<Thread | null> {
    return this.#collections.swap(this.#keys.thread(ref), ref.threadId, change);
  }

  /** Deletes a thread with its messages, runs and steps; a worker that executes one of them stops by itself. */
  async delete(ref: ThreadRef): Promise<boolean> {
    const [answer] = await Promise.all([this.#drop(ref, 'any'), this.#index.forget(ref)]);
    return answer === 1;
  }

  /**
   * The same, unless a run holds the thread or something has joined it since its `order` was read.
   * @returns whether the thread is gone, be it since long
   */
  async deleteUnused(ref: ThreadRef, order: string): Promise<boolean> {
    if ((await this.#drop(ref, 'unused', order)) === -1) return false;
    await this.#index.forget(ref);
    return true;
  }

  /** The id of the run that locks the thread, or null; and whether there is such a thread at all. */
  async activeRun(ref: ThreadRef): Promise<{ readonly exists: boolean; readonly runId: string | null }> {
    const names = [this.#keys.thread(ref), this.#keys.active(ref)];
    const reply = await this.#redis.holder(names.length, ...names, this.#keys.runPrefix(ref));
    const [exists, runId] = listOf(reply);
    return { exists: exists === 1, runId: runId === '' ? null : String(runId) };
  }

  async #drop(ref: ThreadRef, which: 'any' | 'unused', order = ''): Promise<unknown> {
    // Both leave together, in this order.
    const [runIds, answer] = await Promise.all([
      this.#redis.zrevrange(this.#keys.runs(ref), 0, FORGOTTEN_RUNS - 1),
      this.#sendDrop(ref, which, order),
    ]);
    if (answer === 1) for (const runId of runIds) this.#recentRuns.forgetLater({ ...ref, runId });
    return answer;
  }

  async #sendDrop(ref: ThreadRef, which: 'any' | 'unused', order: string): Promise<unknown> {
    const { own, perRun } = this.#keys.threadKeys(ref);
    const { thread, runs, active, order: counter, ...others } = own;
    const { run, ...ofRuns } = perRun;
    const names = [thread, runs, active, counter, ...Object.values(others)];
    const events = this.#keys.events({ ...ref, runId: '' });
    const args = [which, order, this.#keys.changes, events, run, ...Object.values(ofRuns)];
    return this.#redis.drop(names.length, ...names, ...args);
  }
}
