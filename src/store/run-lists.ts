/** Lists of runs, as clients see them. What happens to one run is in runs.ts. */
import type { Run } from '../runs/thread.ts';
import { permanent, type Collections, type ListPage, type PageQuery, type Row } from './collection.ts';
import { decodeRun } from './json.ts';
import type { RedisKeys, ThreadRef } from './keys.ts';
import { labelled } from './labels.ts';
import { GRACE_FIELD, readGrace, runView } from './poll-grace.ts';
import type { ScriptedRedis } from './scripts.ts';

export class RunLists {
  readonly #collections: Collections;
  readonly #redis: ScriptedRedis;
  readonly #keys: RedisKeys;
  readonly #nowMs: () => number;

  /** @param nowMs unix milliseconds, the same for every process */
  constructor(collections: Collections, redis: ScriptedRedis, keys: RedisKeys, nowMs: () => number) {
    this.#collections = collections;
    this.#redis = redis;
    this.#keys = keys;
    this.#nowMs = nowMs;
  }

  /** The runs of a thread. */
  async list(ref: ThreadRef, query: PageQuery): Promise<ListPage<Run>> {
    const listed = permanent(this.#keys.runs(ref), this.#keys.steps(ref));
    const labels = this.#keys.labels(ref);
    const [found, grace] = await Promise.all([
      this.#collections.page(listed, query, {
        parse: (row) => readRun(row, ref.threadId),
        labels,
        docPrefix: this.#keys.runPrefix(ref),
      }),
      this.#redis.hget(labels, GRACE_FIELD),
    ]);
    if (found.type !== 'page') return found;
    const shown = { labels: null, grace: readGrace(grace) };
    return { ...found, items: found.items.map((run) => runView(run, shown, this.#nowMs())) };
  }
}

/** A run with the metadata a client gave it since it was created. */
export function readRun({ doc, label, id }: Row, threadId: string): Run {
  return labelled(decodeRun(doc, { runId: id, threadId }).run, label);
}
