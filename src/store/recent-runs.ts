/**
 * The index of a project's recent runs, newest last: those of its threads and those of chats without a thread. A reminder in
 * a slot of its own, like the index of threads: a run of it may have expired or be gone with its thread.
 */
import type { Logger } from '../log.ts';
import type { Run } from '../runs/thread.ts';
import type { ColdRun, ColdThreads } from './cold-threads.ts';
import { placeAt, type Collections, type ListPage, type PageQuery, type Row } from './collection.ts';
import { contentNamedBy, MAX_NAMING_BYTES } from './compact.ts';
import type { Contents } from './contents.ts';
import type { RedisKeys, RunRef } from './keys.ts';
import { GRACE_FIELD, readGrace, runView } from './poll-grace.ts';
import { readRun } from './run-lists.ts';
import { BEYOND, scan } from './scan.ts';
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

/** Which runs are wanted. Times are unix seconds; both are included. */
export interface WantedRuns {
  readonly threadId: string | null;
  readonly createdAfter: number | null;
  readonly createdBefore: number | null;
  /** Whether a run is wanted, as clients see it. */
  readonly fits: (run: Run) => boolean;
}

const ALL: WantedRuns = { threadId: null, createdAfter: null, createdBefore: null, fits: () => true };

/** Runs of cold threads that are being read for one page. */
type ColdRuns = Map<string, Promise<ColdRun | null>>;

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

  /**
   * The newest runs of a project, at most 10,000 of them, as clients see them. Cold threads that have some of them stay where
   * they are. Of those that are not wanted a thousand are passed over in one call; then `readTo` says where to go on.
   */
  async list(project: string, query: PageQuery, wanted: WantedRuns = ALL): Promise<ListPage<Run>> {
    const isForwards = query.after !== null || query.before === null;
    // With `before` alone the list is read backwards.
    const goesBack = (query.order === 'desc') === isForwards;
    const after =
      query.after === null && query.before === null ? await this.#start(project, wanted, goesBack) : null;
    if (after === null) return this.#page(project, query, wanted, goesBack);
    const found = await this.#page(project, { ...query, after }, wanted, goesBack);
    // The run that was to be the cursor has left the index since.
    return found.type === 'page' ? found : this.#page(project, query, wanted, goesBack);
  }

  async #page(
    project: string,
    query: PageQuery,
    wanted: WantedRuns,
    goesBack: boolean,
  ): Promise<ListPage<Run>> {
    const { collections, keys, nowMs } = this.#options;
    const cold = new Map<string, Promise<ColdRun | null>>();
    const refOf = ({ id, doc }: Row): RunRef => ({ project, threadId: doc, runId: id });
    return scan(collections, keys.recentRuns(project), query, {
      sizeOf: async (row) =>
        wanted.threadId !== null && row.doc !== wanted.threadId ? null : this.#sizeOf(refOf(row), cold),
      read: async (row) => {
        const run = await this.#read(refOf(row), cold);
        cold.delete(row.id);
        if (run === null) return null;
        if (isBeyond(run.created_at, wanted, goesBack)) return BEYOND;
        return isWithin(run.created_at, wanted) && wanted.fits(run) ? run : null;
      },
      forget: (runIds) => {
        const before = placeAt(nowMs() - CREATED_WITHIN_MS);
        for (const runId of runIds)
          this.#unawaited(runId, collections.remove(keys.recentRuns(project), runId, { before }));
      },
    });
  }

  /** The run next to the period that is wanted, on the side where the list begins; null where it begins with its first run. */
  async #start(
    project: string,
    { createdAfter, createdBefore }: WantedRuns,
    goesBack: boolean,
  ): Promise<string | null> {
    const { redis, keys } = this.#options;
    const { index } = keys.recentRuns(project);
    if (goesBack && createdBefore !== null) {
      const place = placeAt(createdBefore * 1000 + CREATED_WITHIN_MS);
      const [id = null] = await redis.zrangebyscore(index, place, '+inf', 'LIMIT', 0, 1);
      return id;
    }
    if (goesBack || createdAfter === null) return null;
    const place = placeAt(createdAfter * 1000 - CREATED_WITHIN_MS);
    const [id = null] = await redis.zrevrangebyscore(index, place, '-inf', 'LIMIT', 0, 1);
    return id;
  }

  async #read(ref: RunRef, cold: ColdRuns): Promise<Run | null> {
    const { keys, redis, nowMs } = this.#options;
    const found = await cold.get(ref.runId);
    if (found)
      return readRun({ id: ref.runId, doc: found.doc, label: found.label ?? '' }, ref, this.#options);
    const [doc, labels] = await Promise.all([
      redis.hget(keys.run(ref), 'doc'),
      redis.hmget(keys.labels(ref), ref.runId, GRACE_FIELD),
    ]);
    const [label, grace] = labels;
    const run = await readRun({ id: ref.runId, doc: doc ?? '', label: label ?? '' }, ref, this.#options);
    return run && runView(run, { labels: null, grace: readGrace(grace ?? null) }, nowMs());
  }

  /** Bytes of a run, with the content that it names: one that names any is small itself. 0 when it is gone. */
  async #sizeOf(ref: RunRef, cold: ColdRuns): Promise<number> {
    const { redis, keys } = this.#options;
    const key = keys.run(ref);
    const bytes = await redis.hstrlen(key, 'doc');
    if (bytes === 0) return this.#sizeOfCold(ref, cold);
    if (bytes > MAX_NAMING_BYTES) return bytes;
    return bytes + (contentNamedBy((await redis.hget(key, 'doc')) ?? '')?.bytes ?? 0);
  }

  /** One after the other: each is unpacked with all of its thread. */
  async #sizeOfCold(ref: RunRef, cold: ColdRuns): Promise<number> {
    const before = [...cold.values()].at(-1);
    const found = (async () => {
      await before?.catch(() => undefined);
      return this.#options.cold.run(ref);
    })();
    cold.set(ref.runId, found);
    const run = await found;
    if (run !== null) return run.doc.length + (contentNamedBy(run.doc)?.bytes ?? 0);
    cold.delete(ref.runId);
    // Its thread may have come back between the two looks.
    return this.#options.redis.hstrlen(this.#options.keys.run(ref), 'doc');
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

function isWithin(createdAt: number, { createdAfter, createdBefore }: WantedRuns): boolean {
  return createdAt >= (createdAfter ?? -Infinity) && createdAt <= (createdBefore ?? Infinity);
}

/** Whether a run is so far beyond the period that no run behind it can be within. */
function isBeyond(
  createdAt: number,
  { createdAfter, createdBefore }: WantedRuns,
  goesBack: boolean,
): boolean {
  const slackS = CREATED_WITHIN_MS / 1_000;
  return goesBack
    ? createdAt < (createdAfter ?? -Infinity) - slackS
    : createdAt > (createdBefore ?? Infinity) + slackS;
}
