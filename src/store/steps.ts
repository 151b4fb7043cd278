/** Steps of runs, to be read; commit.lua writes them. */
import type { RunStep } from '../runs/thread.ts';
import { permanent, type Collections, type ListPage, type PageQuery, type Row } from './collection.ts';
import type { ColdThreads } from './cold-threads.ts';
import { wholePart } from './compact.ts';
import { decodePart } from './json.ts';
import type { RedisKeys, RunRef, ThreadRef } from './keys.ts';

export class Steps {
  readonly #collections: Collections;
  readonly #keys: RedisKeys;
  readonly #cold: ColdThreads;

  constructor(collections: Collections, keys: RedisKeys, cold: ColdThreads) {
    this.#cold = cold;
    this.#collections = collections;
    this.#keys = keys;
  }

  async get(ref: ThreadRef, id: string): Promise<RunStep | null> {
    const stored = await this.#cold.find(ref, async () =>
      this.#collections.get<RunStep>(this.#keys.steps(ref), id, `step ${id}`),
    );
    return stored === null ? null : wholePart(stored, ref.threadId);
  }

  /** The steps of one run. */
  async list(ref: RunRef, query: PageQuery): Promise<ListPage<RunStep>> {
    const listed = permanent(this.#keys.runSteps(ref), this.#keys.steps(ref));
    const parse = ({ doc, id }: Row): RunStep => decodePart(doc, `step ${id}`, ref.threadId);
    return this.#cold.reach(ref, async () =>
      this.#collections.page(listed, query, { parse, thread: this.#keys.thread(ref) }),
    );
  }
}
