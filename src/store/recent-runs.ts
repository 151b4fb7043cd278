/**
 * The index of a project's recent runs, newest last: those of its threads and those of chats without a thread. A reminder in
 * a slot of its own, like the index of threads: a run of it may have expired or be gone with its thread.
 */
import type { Logger } from '../log.ts';
import type { Run } from '../runs/thread.ts';
import type { ColdThreads } from './cold-threads.ts';
import { placeAt, type Collections, type ListPage, type PageQuery, type Row } from './collection.ts';
import { contentNamedBy, MAX_NAMING_BYTES } from './compact.ts';
import type { Contents } from './contents.ts';
import { readItem } from './item.ts';
import type { RedisKeys, RunRef } from './keys.ts';
import { readRun } from './run-lists.ts';
import { scan } from './scan.ts';
import type { ScriptedRedis } from './scripts.ts';

/** Older runs of a project are found by their threads only. */
const MAX_RECENT = 10_000;
/** A run that is noted is created in the same moment, unless Redis is slow or away. */
const CREATED_WITHIN_MS = 60_000;

export interface RecentRunsOptions {
  readonly collections: Collections;
  readonly contents: Contents;
  readonly redis: ScriptedRedis;
  readonly keys: RedisKeys;
  readonly cold: ColdThreads;
  /** Unix milliseconds, the same for every process. */
  readonly nowMs: () => number;
  readonly log: Logger;
}

export class RecentRuns {
  readonly #options: RecentRunsOptions;

  constructor(options: RecentRunsOptions) {
    this.#options = options;
  }

  /** Notes a run that is about to be created: call it in the same tick. A run that is not noted is a run all the same. */
  async add({ project, threadId, runId }: RunRef): Promise<void> {
    const { collections, keys, log } = this.#options;
    await collections
      .add(keys.recentRuns(project), runId, threadId, { most: MAX_RECENT })
      .catch((err: unknown) => log.debug({ err, run_id: runId }, 'could not note a recent run'));
  }

  /** The thread of one of them; null for a run that is not among them any more. */
  async threadOf(project: string, runId: string): Promise<string | null> {
    return this.#options.redis.hget(this.#options.keys.recentRuns(project).docs, runId);
  }

  /** The newest runs of a project, at most 10,000 of them, as clients see them. Cold threads that have some of them come back. */
  async list(project: string, query: PageQuery): Promise<ListPage<Run>> {
    const { collections, keys, nowMs } = this.#options;
    const refOf = ({ id, doc }: Row): RunRef => ({ project, threadId: doc, runId: id });
    return scan(collections, keys.recentRuns(project), query, {
      sizeOf: async (row) => this.#sizeOf(refOf(row)),
      read: async (row) => {
        const ref = refOf(row);
        const wanted = { docs: keys.run(ref), fields: ['doc'], labels: [ref.runId] };
        const [doc, label] = await readItem(this.#options, ref, wanted);
        return readRun({ id: ref.runId, doc: doc ?? '', label: label ?? '' }, ref, this.#options);
      },
      forget: (runIds) => {
        const before = placeAt(nowMs() - CREATED_WITHIN_MS);
        for (const runId of runIds)
          this.#unawaited(runId, collections.remove(keys.recentRuns(project), runId, { before }));
      },
    });
  }

  /** Bytes of a run, with the content that it names: one that names any is small itself. 0 when it is gone. */
  async #sizeOf(ref: RunRef): Promise<number> {
    const { redis, keys, cold } = this.#options;
    const key = keys.run(ref);
    const bytes = (await cold.find(ref, async () => (await redis.hstrlen(key, 'doc')) || null)) ?? 0;
    if (bytes === 0 || bytes > MAX_NAMING_BYTES) return bytes;
    return bytes + (contentNamedBy((await redis.hget(key, 'doc')) ?? '')?.bytes ?? 0);
  }

  /** Forgets a run that was never created, or has left no trace. Nothing waits for it. */
  forgetLater({ project, runId }: RunRef): void {
    const { collections, keys } = this.#options;
    this.#unawaited(runId, collections.discard(keys.recentRuns(project), runId));
  }

  /** Forgets all runs of a project. */
  async clear(project: string): Promise<void> {
    const { docs, index, gone } = this.#options.keys.recentRuns(project);
    await this.#options.redis.unlink(docs, index, gone);
  }

  /** What stays behind is passed over by lists. */
  #unawaited(runId: string, forgotten: Promise<unknown>): void {
    forgotten.catch((err: unknown) =>
      this.#options.log.debug({ err, run_id: runId }, 'could not forget a recent run'),
    );
  }
}
