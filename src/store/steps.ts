/** Steps of runs, to be read; commit.lua writes them. */
import type { RunStep } from '../runs/thread.ts';
import { permanent, type Collections, type ListPage, type PageQuery } from './collection.ts';
import { decodeObject } from './json.ts';
import type { RedisKeys, RunRef, ThreadRef } from './keys.ts';

export class Steps {
  readonly #collections: Collections;
  readonly #keys: RedisKeys;

  constructor(collections: Collections, keys: RedisKeys) {
    this.#collections = collections;
    this.#keys = keys;
  }

  async get(ref: ThreadRef, id: string): Promise<RunStep | null> {
    return this.#collections.get<RunStep>(this.#keys.steps(ref), id, `step ${id}`);
  }

  /** The steps of one run. */
  async list(ref: RunRef, query: PageQuery): Promise<ListPage<RunStep>> {
    const listed = permanent(this.#keys.runSteps(ref), this.#keys.steps(ref));
    const parse = ({ doc, id }: { doc: string; id: string }): RunStep => decodeObject(doc, `step ${id}`);
    return this.#collections.page(listed, query, { parse });
  }
}
