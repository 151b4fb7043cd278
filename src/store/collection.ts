/**
 * Collections: documents that are found by id and listed by cursor, in the order of their places. The place of a deleted
 * item is remembered for a while, so that a walk goes on from where it stood.
 */
import type { Damage } from './damage.ts';
import { decodeObject } from './json.ts';
import type { CollectionKeys } from './keys.ts';
import type { ScriptedRedis } from './scripts.ts';

/** Which items a client wants: `after` and `before` are ids, meant in the requested order. */
export interface PageQuery {
  readonly limit: number;
  readonly order: 'asc' | 'desc';
  readonly after: string | null;
  readonly before: string | null;
  /** Hears how many bytes a large page has before it is read; what it throws keeps it from being read. */
  readonly admit?: (bytes: number) => void;
}

/**
 * A page of a list. One that is full of bytes is shorter than its limit. `readTo` is the cursor to go on from where that is
 * not the outermost item. `unknown cursor` carries the id that never named an item of the list.
 */
export type ListPage<T> =
  | {
      readonly type: 'page';
      readonly items: readonly T[];
      readonly hasMore: boolean;
      readonly readTo?: string;
    }
  | { readonly type: 'unknown cursor'; readonly cursor: string };

/** The page with each of its items changed. */
export async function mapPage<T, U>(
  found: ListPage<T>,
  change: (item: T) => Promise<U> | U,
): Promise<ListPage<U>> {
  return found.type === 'page' ? { ...found, items: await Promise.all(found.items.map(change)) } : found;
}

/** An item as it is stored; `doc` and `label` are empty where there are none. */
export interface Row {
  readonly id: string;
  readonly doc: string;
  readonly label: string;
}

/** How the items of a list are read. */
export interface Reading<T> {
  /** Makes an item of what is stored. */
  readonly parse: (row: Row) => T;
  /** Key of the hash that holds what was hung on items since they were written. */
  readonly labels?: string;
  /** Key of the thread that the items belong to, where they do. */
  readonly thread?: string;
}

export interface CollectionsOptions {
  readonly redis: ScriptedRedis;
  readonly damage: Damage;
  /** Unix milliseconds, the same for every process. */
  readonly nowMs: () => number;
  /** Of documents in one page of a list. */
  readonly pageLimitBytes: number;
}

/** How many deleted items of a list stay known as cursors. */
const REMEMBERED_GONE = 1_000;
const MAX_SWAP_TRIES = 20;
/** Pages of more bytes are asked about first. Ordinary ones are far smaller, and cost one round trip. */
export const LARGE_PAGE_BYTES = 256 * 1024;
/** What page.lua says of a page that it has not read. */
const IS_LARGE = 2;

/** What can be done to any collection. The kinds of objects, each in a file of its own, say which keys and what a document is. */
export class Collections {
  readonly pageLimitBytes: number;
  readonly #redis: ScriptedRedis;
  readonly #damage: Damage;
  readonly #nowMs: () => number;
  #lastPlace = 0;

  constructor({ redis, damage, nowMs, pageLimitBytes }: CollectionsOptions) {
    this.#redis = redis;
    this.#damage = damage;
    this.#nowMs = nowMs;
    this.pageLimitBytes = pageLimitBytes;
  }

  /**
   * Puts an item in its place; one that is there already stays as it is. Sent twice it changes nothing.
   * @param place by default behind all others: see {@link nextPlace}
   * @param most how many items the collection may have; the first ones make room for more
   */
  async add(
    { docs, index }: CollectionKeys,
    id: string,
    doc: string,
    { place = this.nextPlace(), most }: { readonly place?: number; readonly most?: number } = {},
  ): Promise<void> {
    await this.#redis.add(2, docs, index, id, doc, place, most ?? '');
  }

  async get<T>(docs: string, id: string, what: string): Promise<T | null> {
    return decodeObject<T>(await this.#redis.hget(docs, id), what);
  }

  /** Changes one document. @returns it as it is now, or null when there is none of this id */
  async swap<T>(docs: string, id: string, change: (old: T) => T): Promise<T | null> {
    for (let tries = 0; tries < MAX_SWAP_TRIES; tries++) {
      const old = await this.#redis.hget(docs, id);
      if (old === null) return null;
      const changed = change(decodeObject<T>(old, id));
      const answer = await this.#redis.swap(1, docs, id, old, JSON.stringify(changed));
      if (answer === 1) return changed;
      if (answer === -1) return null;
    }
    throw new Error(`${id} is being changed by too many at once`);
  }

  /**
   * Removes one item. It needs no room in Redis.
   * @param indexes keys of further indexes that the item stands in
   * @param before where given, an item whose place is not before this one stays
   * @returns whether it was there, be it when this was sent the first time
   */
  async remove(
    { docs, index, gone }: CollectionKeys,
    id: string,
    { indexes = [], before }: { readonly indexes?: readonly string[]; readonly before?: number } = {},
  ): Promise<boolean> {
    const names = [docs, index, gone, ...indexes];
    return (await this.#redis.remove(names.length, ...names, id, REMEMBERED_GONE, before ?? '')) !== 0;
  }

  /** Removes one item as if it had never been there. */
  async discard({ docs, index }: CollectionKeys, id: string): Promise<void> {
    await this.#redis.multi().zrem(index, id).hdel(docs, id).exec();
  }

  /** Removes what a collection without items still remembers, and `more` keys of it. */
  async tidy({ docs, index, gone }: CollectionKeys, ...more: readonly string[]): Promise<void> {
    if ((await this.#redis.zcard(index)) === 0) await this.#redis.unlink(docs, index, gone, ...more);
  }

  /** One page. Items that cannot be read are left out. */
  async page<T>(
    keys: CollectionKeys,
    query: PageQuery,
    { parse, ...hung }: Reading<T>,
  ): Promise<ListPage<T>> {
    const found = await this.rows(keys, query, hung);
    if (found.type === 'unknown cursor') return found;
    const items = found.items.map((row) => (row.doc === '' ? null : this.readable(() => parse(row))));
    return { ...found, items: items.filter((item) => item !== null) };
  }

  /** What `read` gives; null, and told once, where it cannot be read. */
  readable<T>(read: () => T): T | null {
    return this.#damage.skip(read);
  }

  /**
   * One page as it is stored: for indexes whose objects lie elsewhere. Of a cold thread there is none ({@link ColdThreads.reach}).
   * @param docPrefix where each document is a hash of its own, with a field `doc`: what the keys of these hashes begin with
   */
  async rows(
    { docs, index, gone }: CollectionKeys,
    { limit, order, after, before, admit }: PageQuery,
    { labels, thread }: Omit<Reading<unknown>, 'parse'> = {},
    docPrefix = '',
  ): Promise<ListPage<Row>> {
    const names = [index, gone, docs, labels, thread].filter((name) => name !== undefined);
    const args = [limit, order, after ?? '', before ?? '', docPrefix, this.pageLimitBytes];
    const mayBeCold = thread === undefined ? '' : '1';
    const read = async (largeBytes: number | ''): Promise<readonly unknown[]> =>
      listOf(await this.#redis.page(names.length, ...names, ...args, largeBytes, mayBeCold));
    let answer = await read(admit === undefined ? '' : LARGE_PAGE_BYTES);
    if (answer[0] === IS_LARGE) {
      admit?.(Number(answer[1]));
      answer = await read('');
    }
    if (answer[0] === 0) return { type: 'unknown cursor', cursor: String(answer[1]) };
    const items: Row[] = [];
    for (let at = 2; at < answer.length; at += 3) {
      const [id = '', doc = '', label = ''] = answer.slice(at, at + 3).map(String);
      items.push({ id, doc, label });
    }
    return { type: 'page', items, hasMore: answer[1] === 1 };
  }

  /** Unix microseconds, strictly increasing within this process: a place for what no thread counts. */
  nextPlace(): number {
    this.#lastPlace = Math.max(this.#lastPlace + 1, placeAt(this.#nowMs()));
    return this.#lastPlace;
  }
}

/** The objects of one kind that a project has, in the order of their creation. */
export class ProjectCollection<T extends { readonly id: string }> {
  protected readonly collections: Collections;
  protected readonly keysOf: (project: string) => CollectionKeys;
  readonly #kind: string;

  /** @param kind what such an object is called where one cannot be read */
  constructor(collections: Collections, keysOf: (project: string) => CollectionKeys, kind: string) {
    this.collections = collections;
    this.keysOf = keysOf;
    this.#kind = kind;
  }

  /** @param place by default behind all others */
  async create(project: string, object: T, place?: number): Promise<void> {
    const where = place === undefined ? {} : { place };
    await this.collections.add(this.keysOf(project), object.id, JSON.stringify(object), where);
  }

  async get(project: string, id: string): Promise<T | null> {
    return this.collections.get<T>(this.keysOf(project).docs, id, `${this.#kind} ${id}`);
  }

  /** @returns the object as it is now, or null when there is none of this id */
  async update(project: string, id: string, change: (old: T) => T): Promise<T | null> {
    return this.collections.swap(this.keysOf(project).docs, id, change);
  }

  /** @returns whether there was such an object */
  async delete(project: string, id: string): Promise<boolean> {
    return this.collections.remove(this.keysOf(project), id);
  }

  async list(project: string, query: PageQuery): Promise<ListPage<T>> {
    return this.collections.page(this.keysOf(project), query, {
      parse: ({ doc, id }) => decodeObject<T>(doc, `${this.#kind} ${id}`),
    });
  }
}

/** A collection whose items are never deleted one by one: a place in it is always found in the index itself. */
export function permanent(index: string, docs: string): CollectionKeys {
  return { docs, index, gone: index };
}

/** The place of what is made at `ms` (unix milliseconds). */
export function placeAt(ms: number): number {
  return ms * 1_000;
}

/** What a script returned. */
export function listOf(reply: unknown): readonly unknown[] {
  return Array.isArray(reply) ? reply : [];
}
