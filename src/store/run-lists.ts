/** Lists of runs, as clients see them. What happens to one run is in runs.ts. */
import type { Run } from '../runs/thread.ts';
import type { ColdThreads } from './cold-threads.ts';
import { permanent, type Collections, type ListPage, type PageQuery, type Row } from './collection.ts';
import type { Contents } from './contents.ts';
import { decodeRun } from './json.ts';
import type { RedisKeys, ThreadRef } from './keys.ts';
import { labelled } from './labels.ts';
import { GRACE_FIELD, readGrace, runView } from './poll-grace.ts';
import type { ScriptedRedis } from './scripts.ts';

export interface RunListsOptions {
  readonly collections: Collections;
  readonly contents: Contents;
  readonly cold: ColdThreads;
  readonly redis: ScriptedRedis;
  readonly keys: RedisKeys;
  /** Unix milliseconds, the same for every process. */
  readonly nowMs: () => number;
}

export class RunLists {
  readonly #options: RunListsOptions;

  constructor(options: RunListsOptions) {
    this.#options = options;
  }

  /** The runs of a thread. */
  async list(ref: ThreadRef, query: PageQuery): Promise<ListPage<Run>> {
    const { collections, redis, keys, nowMs, cold } = this.#options;
    const listed = permanent(keys.runs(ref), keys.steps(ref));
    const labels = keys.labels(ref);
    const [found, grace] = await cold.reach(ref, async () =>
      Promise.all([
        collections.rows(listed, query, { labels, thread: keys.thread(ref) }, keys.runPrefix(ref)),
        redis.hget(labels, GRACE_FIELD),
      ]),
    );
    if (found.type !== 'page') return found;
    const shown = { labels: null, grace: readGrace(grace) };
    const runs = await Promise.all(found.items.map(async (row) => readRun(row, ref, this.#options)));
    const items = runs.filter((run) => run !== null).map((run) => runView(run, shown, nowMs()));
    return { ...found, items };
  }
}

/** A run with the metadata a client gave it since it was created; null where it is gone or cannot be read. */
export async function readRun(
  { doc, label, id }: Row,
  { project, threadId }: ThreadRef,
  { collections, contents }: Pick<RunListsOptions, 'collections' | 'contents'>,
): Promise<Run | null> {
  if (doc === '') return null;
  const content = await contents.of({ project }, doc);
  return collections.readable(() => labelled(decodeRun(doc, { runId: id, threadId }, content).run, label));
}
