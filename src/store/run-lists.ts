/** Lists of runs, as clients see them. What happens to one run is in runs.ts. */
import { calmView } from '../runs/run.ts';
import type { Run } from '../runs/thread.ts';
import { permanent, type Collections, type ListPage, type PageQuery, type Row } from './collection.ts';
import { decodeRun } from './json.ts';
import type { RedisKeys, ThreadRef } from './keys.ts';
import { labelled } from './labels.ts';

export class RunLists {
  readonly #collections: Collections;
  readonly #keys: RedisKeys;
  readonly #nowMs: () => number;

  /** @param nowMs unix milliseconds, the same for every process */
  constructor(collections: Collections, keys: RedisKeys, nowMs: () => number) {
    this.#collections = collections;
    this.#keys = keys;
    this.#nowMs = nowMs;
  }

  /** The runs of a thread. */
  async list(ref: ThreadRef, query: PageQuery): Promise<ListPage<Run>> {
    const listed = permanent(this.#keys.runs(ref), this.#keys.steps(ref));
    return this.#collections.page(listed, query, {
      parse: (row) => readRun(row, this.#nowMs()),
      labels: this.#keys.labels(ref),
      docPrefix: this.#keys.runPrefix(ref),
    });
  }
}

/** A run as clients see it at `nowMs` (unix milliseconds). */
export function readRun({ doc, label, id }: Row, nowMs: number): Run {
  return labelled(calmView(decodeRun(doc, id), nowMs), label);
}
