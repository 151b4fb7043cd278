/**
 * Pages of lists whose objects lie in other slots than the list does. The index is read piece by piece, then the sizes of the
 * objects, then those that fit. An index is a reminder: what it names may be gone, and is passed over.
 */
import { LARGE_PAGE_BYTES, type Collections, type ListPage, type PageQuery, type Row } from './collection.ts';
import type { CollectionKeys } from './keys.ts';

/** Where a list's objects are. */
export interface Elsewhere<T> {
  /** Bytes of an object; 0 when it is gone, null when it is known not to be wanted, and so is not read. */
  readonly sizeOf: (row: Row) => Promise<number | null>;
  /** An object, or null when it cannot be read or is not wanted; {@link BEYOND} when nothing behind it is wanted either. */
  readonly read: (row: Row) => Promise<T | null | typeof BEYOND>;
  /** Hears which objects are gone. Nothing waits for it. */
  readonly forget: (ids: readonly string[]) => void;
}

/** What is read in place of an object behind which, in the direction of the walk, nothing is wanted. */
export const BEYOND = Symbol('beyond');

/** Of an index, in one request. A page with fewer items than its limit then says that there are more, and where to go on. */
const MAX_SCANNED = 1_000;
/** The first piece has as many as the page may have items: mostly all of them are there, and wanted. */
const PIECE = 100;

/**
 * One page. Objects that are not wanted take no place in it, but are read for it: at most {@link MAX_SCANNED} altogether. A
 * full page that has more may be the last with objects that are wanted.
 */
export async function scan<T>(
  collections: Collections,
  keys: CollectionKeys,
  query: PageQuery,
  elsewhere: Elsewhere<T>,
): Promise<ListPage<T>> {
  const walk = new Walk(collections, keys, query, elsewhere);
  try {
    return await walk.page();
  } finally {
    walk.forgetGone();
  }
}

class Walk<T> {
  readonly #collections: Collections;
  readonly #keys: CollectionKeys;
  readonly #query: PageQuery;
  readonly #elsewhere: Elsewhere<T>;
  /** With `before` alone the list is read backwards from there. */
  readonly #isBackwards: boolean;
  readonly #items: T[] = [];
  readonly #gone: string[] = [];
  #bytes = 0;
  #scanned = 0;
  #isBeyond = false;
  /** The last item of the index that was looked at. */
  #readTo: string | null = null;

  constructor(collections: Collections, keys: CollectionKeys, query: PageQuery, elsewhere: Elsewhere<T>) {
    this.#collections = collections;
    this.#keys = keys;
    this.#query = query;
    this.#elsewhere = elsewhere;
    this.#isBackwards = query.before !== null && query.after === null;
  }

  async page(): Promise<ListPage<T>> {
    for (;;) {
      const found = await this.#nextRows();
      // A cursor of our own may have left the index since; then there is nothing beyond it.
      if (found.type === 'unknown cursor') return this.#readTo === null ? found : this.#end(false);
      const rows = this.#isBackwards ? found.items.toReversed() : found.items;
      const read = await this.#take(rows);
      if (this.#isBeyond || (read === rows.length && !found.hasMore)) return this.#end(false);
      if (read === 0 || this.#items.length === this.#query.limit) return this.#end(true);
      if (this.#scanned >= MAX_SCANNED) return this.#end(true, this.#readTo);
    }
  }

  forgetGone(): void {
    if (this.#gone.length > 0) this.#elsewhere.forget(this.#gone);
  }

  async #nextRows(): Promise<ListPage<Row>> {
    const { order, after, before, limit } = this.#query;
    const readTo = this.#readTo;
    return this.#collections.rows(this.#keys, {
      order,
      limit: Math.min(readTo === null ? limit : PIECE, MAX_SCANNED - this.#scanned),
      after: this.#isBackwards ? null : (readTo ?? after),
      before: this.#isBackwards ? (readTo ?? before) : before,
    });
  }

  /** Reads of the rows what the page has room for. @returns how many were read; 0 when the page is full of bytes */
  async #take(rows: readonly Row[]): Promise<number> {
    const sizes = await Promise.all(rows.map((row) => this.#elsewhere.sizeOf(row)));
    const [count, bytes] = this.#fitting(sizes);
    if (bytes > LARGE_PAGE_BYTES) this.#query.admit?.(bytes);
    const fitting = rows.slice(0, count);
    const read = await Promise.all(
      fitting.map(async (row, index) => ((sizes[index] ?? 0) === 0 ? null : this.#elsewhere.read(row))),
    );
    for (const [index, { id }] of fitting.entries()) {
      const item = read[index] ?? null;
      if (item === BEYOND) {
        this.#isBeyond = true;
        return index;
      }
      if (sizes[index] === 0) this.#gone.push(id);
      if (item !== null) {
        // Another one is wanted, but has no room: the next page begins with it.
        if (this.#items.length === this.#query.limit) return index;
        this.#items.push(item);
        this.#bytes += sizes[index] ?? 0;
      }
      this.#readTo = id;
      this.#scanned += 1;
    }
    return count;
  }

  /** How many of these sizes fit, and their sum. The first item of a page always fits. */
  #fitting(sizes: readonly (number | null)[]): readonly [count: number, bytes: number] {
    let [count, bytes] = [0, 0];
    for (const known of sizes) {
      const size = known ?? 0;
      const isFirst = this.#items.length + count === 0;
      if (!isFirst && this.#bytes + bytes + size > this.#collections.pageLimitBytes) break;
      count += 1;
      bytes += size;
    }
    return [count, bytes];
  }

  #end(hasMore: boolean, readTo: string | null = null): ListPage<T> {
    const items = this.#isBackwards ? this.#items.toReversed() : this.#items;
    return { type: 'page', items, hasMore, ...(readTo !== null && { readTo }) };
  }
}
