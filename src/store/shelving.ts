/**
 * Puts files into vector stores and adds the jobs that read them. Owns the order of writes: the reminder first, then the file,
 * then its job, so that a file whose job is lost is found by the sweeper.
 */
import { randomText } from '../runs/ids.ts';
import type { ShelvedFile } from '../runs/shelf.ts';
import type { FileAttributes, StaticChunking } from '../runs/vector-store.ts';
import type { IndexJob } from './index-jobs.ts';
import type { RedisKeys, StoreRef } from './keys.ts';
import type { JobQueue } from './queue.ts';
import type { ScriptedRedis } from './scripts.ts';
import type { ShelfRef, StoreFiles } from './store-files.ts';
import type { VectorStores } from './vector-stores.ts';

/** A file that is to be put into a store. */
export interface ShelfEntry {
  readonly fileId: string;
  readonly chunking: StaticChunking;
  readonly attributes: FileAttributes;
  /** Unix seconds, of a file that was put into a store elsewhere; by default it is now. */
  readonly createdAt?: number;
}

export interface ShelvingOptions {
  readonly stores: VectorStores;
  readonly storeFiles: StoreFiles;
  readonly queue: JobQueue<IndexJob>;
  readonly redis: ScriptedRedis;
  readonly keys: RedisKeys;
  /** Unix seconds. */
  readonly now: () => number;
}

/** Files that are written together, so that their commands leave together. */
const BATCH = 100;
const STAMP_LENGTH = 12;

export class Shelving {
  readonly #options: ShelvingOptions;

  constructor(options: ShelvingOptions) {
    this.#options = options;
  }

  /** Puts files into a store, in this order, to be read by workers. One that is there already is read anew. */
  async put(
    ref: StoreRef,
    entries: readonly ShelfEntry[],
    batchId: string | null = null,
  ): Promise<readonly ShelvedFile[]> {
    await this.#options.redis.sadd(this.#options.keys.filledStores, memberOf(ref));
    await this.#options.stores.lookSoon(ref);
    const put: ShelvedFile[] = [];
    for (let at = 0; at < entries.length; at += BATCH) {
      const some = entries.slice(at, at + BATCH);
      put.push(...(await Promise.all(some.map(async (entry) => this.#putOne(ref, entry, batchId)))));
    }
    // Deleted meanwhile: what was put after it was wiped is found by a later look.
    if (!(await this.#options.stores.exists(ref))) await this.#options.stores.lookSoon(ref);
    return put;
  }

  async #putOne(
    ref: StoreRef,
    { fileId, chunking, attributes, createdAt }: ShelfEntry,
    batchId: string | null,
  ): Promise<ShelvedFile> {
    const { storeFiles, redis, keys, now } = this.#options;
    // Before anything is waited for, so that the files stand in the order in which they were given.
    const place = storeFiles.nextPlace();
    const file: ShelvedFile = {
      id: fileId,
      object: 'vector_store.file',
      usage_bytes: 0,
      created_at: createdAt ?? now(),
      vector_store_id: ref.storeId,
      status: 'in_progress',
      last_error: null,
      chunking_strategy: chunking,
      attributes,
      stamp: randomText(STAMP_LENGTH),
      batch_id: batchId,
    };
    const shelf = { ...ref, fileId };
    await redis.sadd(keys.storesOf(ref.project, fileId), ref.storeId);
    await storeFiles.change(shelf, () => file, place);
    await this.addJob(shelf, file);
    return file;
  }

  /**
   * Has a file read anew that was read before, because what was read of it is lost.
   * @returns whether it was still as it was seen
   */
  async restart(ref: StoreRef, seen: ShelvedFile): Promise<boolean> {
    const { storeFiles, stores } = this.#options;
    await stores.lookSoon(ref);
    const shelf = { ...ref, fileId: seen.id };
    const stamp = randomText(STAMP_LENGTH);
    const file = await storeFiles.change(shelf, (old) =>
      old?.status === 'completed' && old.stamp === seen.stamp
        ? { ...old, status: 'in_progress', usage_bytes: 0, last_error: null, stamp, tries: 0 }
        : undefined,
    );
    if (file?.stamp !== stamp) return false;
    await this.addJob(shelf, file);
    return true;
  }

  /**
   * Takes a file out of a store. What was read of it is the caller's to remove.
   * @param stamp where given, only if the file is still in this try
   */
  async takeOut(ref: ShelfRef, stamp?: string): Promise<void> {
    const { storeFiles, redis, keys } = this.#options;
    const left = await storeFiles.change(ref, (old) =>
      stamp === undefined || old?.stamp === stamp ? null : undefined,
    );
    if (left === null) await redis.srem(keys.storesOf(ref.project, ref.fileId), ref.storeId);
  }

  /** Takes a file out of all stores, because it is deleted. @returns whether it was in one */
  async takeOutEverywhere(project: string, fileId: string): Promise<boolean> {
    const { redis, keys } = this.#options;
    const storeIds = await redis.smembers(keys.storesOf(project, fileId));
    for (const storeId of storeIds) await this.takeOut({ project, storeId, fileId });
    return storeIds.length > 0;
  }

  /**
   * Removes what a deleted store has left in Redis. It is looked at again, because files may still be on their way into it.
   * @returns whether anything was left
   */
  async wipe(ref: StoreRef): Promise<boolean> {
    const { stores, storeFiles, redis, keys } = this.#options;
    const ids = await storeFiles.ids(ref);
    for (const fileId of ids) await redis.srem(keys.storesOf(ref.project, fileId), ref.storeId);
    await stores.wipe(ref);
    await redis.srem(keys.filledStores, memberOf(ref));
    return ids.length > 0;
  }

  /**
   * Adds the job that reads a file. Where it exists already, this changes nothing.
   * @param space of the vectors that a file is to have that was read before
   */
  async addJob(
    { project, storeId, fileId }: ShelfRef,
    { stamp }: ShelvedFile,
    space?: string,
  ): Promise<void> {
    await this.#options.queue.add({
      project,
      storeId,
      fileId,
      stamp,
      ...(space !== undefined && { space }),
    });
  }

  /** Stores that files were put into, in any order; one may be given twice, or be gone. */
  async *filled(): AsyncGenerator<StoreRef, void> {
    const { redis, keys } = this.#options;
    for (let cursor = '0'; ;) {
      const [next, members] = await redis.sscan(keys.filledStores, cursor, 'COUNT', BATCH);
      yield* members.map(refOf);
      if (next === '0') return;
      cursor = next;
    }
  }
}

const memberOf = ({ project, storeId }: StoreRef): string => `${project}/${storeId}`;

function refOf(member: string): StoreRef {
  const cut = member.lastIndexOf('/');
  return { project: member.slice(0, cut), storeId: member.slice(cut + 1) };
}
