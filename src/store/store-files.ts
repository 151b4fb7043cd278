/**
 * The files in vector stores, and batches of them. One script changes a file and what its store and its batch count, so that
 * counts are always those of the files.
 */
import { batchView, type BatchRecord, type ShelvedFile } from '../runs/shelf.ts';
import type { FileCounts, IndexStatus, VectorStoreBatch } from '../runs/vector-store.ts';
import type { Collections, ListPage, PageQuery } from './collection.ts';
import { decodeObject } from './json.ts';
import type { RedisKeys, StoreRef } from './keys.ts';
import type { ScriptedRedis } from './scripts.ts';

/** A file in a store. */
export interface ShelfRef extends StoreRef {
  readonly fileId: string;
}

/** What a store holds: its files by status, and the bytes of their chunks. */
export interface StoreCounts {
  readonly files: FileCounts;
  readonly bytes: number;
}

/** A file as it was read, and as it is to be; null for none. */
interface Replacement {
  readonly text: string;
  readonly old: ShelvedFile | null;
  readonly next: ShelvedFile | null;
  readonly place: number;
}

/** As what a file counts in the batch that it has left. */
function leftAs(file: ShelvedFile | null): IndexStatus | '' {
  if (file === null) return '';
  return file.status === 'in_progress' ? 'cancelled' : file.status;
}

const STATUSES: readonly IndexStatus[] = ['in_progress', 'completed', 'failed', 'cancelled'];
const MAX_TRIES = 20;
const REMEMBERED_GONE = 1_000;
/** What is read at a time to find files of one status. */
const FILTER_PAGE = 100;

export class StoreFiles {
  readonly #collections: Collections;
  readonly #redis: ScriptedRedis;
  readonly #keys: RedisKeys;

  constructor(collections: Collections, redis: ScriptedRedis, keys: RedisKeys) {
    this.#collections = collections;
    this.#redis = redis;
    this.#keys = keys;
  }

  /** A place behind all that were given out before. */
  nextPlace(): number {
    return this.#collections.nextPlace();
  }

  async get(ref: ShelfRef): Promise<ShelvedFile | null> {
    return this.#collections.get(
      this.#keys.storeFiles(ref).docs,
      ref.fileId,
      `file ${ref.fileId} of a store`,
    );
  }

  /**
   * Changes a file, or puts it there.
   * @param change makes the new file of the old one, which is null where there is none; it may leave it (undefined), or take
   *   it out (null)
   * @param place of a file that is put there; by default behind all others
   * @returns the file as it is now; null when it is not there
   */
  async change(
    ref: ShelfRef,
    change: (old: ShelvedFile | null) => ShelvedFile | null | undefined,
    place: number = this.nextPlace(),
  ): Promise<ShelvedFile | null> {
    const { docs } = this.#keys.storeFiles(ref);
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      const text = await this.#redis.hget(docs, ref.fileId);
      const old = decodeObject<ShelvedFile>(text, `file ${ref.fileId} of a store`);
      const next = change(old);
      if (next === undefined || (next === null && old === null)) return old;
      if (await this.#replace(ref, { text: text ?? '', old, next, place })) return next;
    }
    throw new Error(`${ref.fileId} is being changed by too many at once`);
  }

  /** @returns whether the file was still as it was read */
  async #replace(ref: ShelfRef, { text, old, next, place }: Replacement): Promise<boolean> {
    const { docs, index, gone } = this.#keys.storeFiles(ref);
    const [before, after] = [old?.batch_id ?? null, next?.batch_id ?? null];
    const names = [
      docs,
      index,
      gone,
      this.#keys.storeCounts(ref),
      this.#keys.batchCounts(ref, before),
      this.#keys.batchCounts(ref, after),
      this.#keys.batchFiles(ref, after),
      this.#keys.batchFiles(ref, before),
    ];
    const was = [text, old?.status ?? '', old?.usage_bytes ?? 0];
    const is = next === null ? ['', '', 0] : [JSON.stringify(next), next.status, next.usage_bytes];
    const left = before === after ? '' : leftAs(old);
    const more = [place, left, REMEMBERED_GONE];
    return (await this.#redis.shelf(names.length, ...names, ref.fileId, ...was, ...is, ...more)) === 1;
  }

  /** One page of a store's files, or of a batch's. @param status only those that have it */
  async list(
    ref: StoreRef,
    batchId: string | null,
    query: PageQuery,
    status: IndexStatus | null,
  ): Promise<ListPage<ShelvedFile>> {
    const all = this.#keys.storeFiles(ref);
    const keys = batchId === null ? all : { ...all, index: this.#keys.batchFiles(ref, batchId) };
    const read = async (asked: PageQuery): Promise<ListPage<ShelvedFile>> =>
      this.#collections.page(keys, asked, {
        parse: ({ doc, id }) => decodeObject<ShelvedFile>(doc, `file ${id} of a store`),
      });
    if (status === null) return read(query);
    const items: ShelvedFile[] = [];
    for (let { after } = query; ;) {
      const page = await read({ ...query, after, limit: FILTER_PAGE });
      if (page.type !== 'page') return page;
      items.push(...page.items.filter((file) => file.status === status));
      after = page.items.at(-1)?.id ?? null;
      const hasMore = items.length > query.limit;
      if (hasMore || !page.hasMore || after === null)
        return { type: 'page', items: items.slice(0, query.limit), hasMore };
    }
  }

  /** The ids of all files of a store. */
  async ids(ref: StoreRef): Promise<readonly string[]> {
    return this.#redis.hkeys(this.#keys.storeFiles(ref).docs);
  }

  async createBatch(ref: StoreRef, batch: BatchRecord): Promise<void> {
    await this.#redis.hset(this.#keys.storeBatches(ref), batch.id, JSON.stringify(batch));
  }

  async batch(ref: StoreRef, id: string): Promise<VectorStoreBatch | null> {
    const [record, counts] = await Promise.all([
      this.#collections.get<BatchRecord>(this.#keys.storeBatches(ref), id, `batch ${id}`),
      this.#redis.hgetall(this.#keys.batchCounts(ref, id)),
    ]);
    return record && batchView(record, ref.storeId, countsIn(Object.entries(counts)).files);
  }

  /** Marks a batch as cancelled; its files are cancelled one by one. @returns whether there is such a batch */
  async cancelBatch(ref: StoreRef, id: string): Promise<boolean> {
    const cancelled = await this.#collections.swap<BatchRecord>(this.#keys.storeBatches(ref), id, (old) => ({
      ...old,
      cancelled: true,
    }));
    return cancelled !== null;
  }
}

/** What a hash of counts says. */
export function countsIn(entries: readonly (readonly [name: string, value: string])[]): StoreCounts {
  const values = new Map(entries.map(([name, value]) => [name, Math.max(0, Number(value))]));
  const [in_progress = 0, completed = 0, failed = 0, cancelled = 0] = STATUSES.map(
    (status) => values.get(status) ?? 0,
  );
  const total = in_progress + completed + failed + cancelled;
  return { files: { in_progress, completed, failed, cancelled, total }, bytes: values.get('bytes') ?? 0 };
}
