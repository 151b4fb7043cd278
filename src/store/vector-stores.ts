/**
 * Vector stores of a project. A store knows nothing of its files but counts, which the script keeps that changes the files
 * (store-files.ts). The index of shelves says when to look at a store: because files of it are to be indexed, because it
 * expires, or because it was deleted and something of it may be left. It is a reminder, not a truth.
 */
import { expiryOf, isExpired, storeView, type StoredStore } from '../runs/shelf.ts';
import type { VectorStore } from '../runs/vector-store.ts';
import type { Clock } from '../runs/ids.ts';
import {
  mapPage,
  placeAt,
  ProjectCollection,
  type Collections,
  type ListPage,
  type PageQuery,
} from './collection.ts';
import type { RedisKeys, StoreRef } from './keys.ts';
import type { ScriptedRedis } from './scripts.ts';
import { countsIn } from './store-files.ts';

/** A use is noted this often, because each one changes the store. */
const NOTED_EVERY_S = 60;
/** When to look whether what a request began was done. */
const LOOK_AFTER_MS = 15_000;

export class VectorStores {
  readonly #stored: ProjectCollection<StoredStore>;
  readonly #redis: ScriptedRedis;
  readonly #keys: RedisKeys;
  readonly #now: Clock;

  constructor(collections: Collections, redis: ScriptedRedis, keys: RedisKeys, now: Clock) {
    this.#stored = new ProjectCollection(
      collections,
      (project) => keys.vectorStores(project),
      'vector store',
    );
    this.#redis = redis;
    this.#keys = keys;
    this.#now = now;
  }

  async create(project: string, store: StoredStore): Promise<VectorStore> {
    await this.#stored.create(project, store);
    await this.#lookWhenExpired(project, store);
    return storeView(store, countsIn([]), this.#now());
  }

  /** Takes in a store that was made elsewhere; its place is by its time. @returns whether it was new */
  async takeIn(project: string, store: StoredStore): Promise<boolean> {
    const isNew = !(await this.exists({ project, storeId: store.id }));
    await this.#stored.create(project, store, placeAt(store.created_at * 1_000));
    if (isNew) await this.#lookWhenExpired(project, store);
    return isNew;
  }

  async get(project: string, id: string): Promise<VectorStore | null> {
    const [stored, counts] = await Promise.all([
      this.#stored.get(project, id),
      this.#redis.hgetall(this.#keys.storeCounts({ project, storeId: id })),
    ]);
    return stored && storeView(stored, countsIn(Object.entries(counts)), this.#now());
  }

  async list(project: string, query: PageQuery): Promise<ListPage<VectorStore>> {
    return mapPage(await this.#stored.list(project, query), async (stored) => {
      const counts = await this.#redis.hgetall(this.#keys.storeCounts({ project, storeId: stored.id }));
      return storeView(stored, countsIn(Object.entries(counts)), this.#now());
    });
  }

  /** @returns the store as it is now, or null when there is none of this id */
  async update(
    project: string,
    id: string,
    change: Partial<Pick<StoredStore, 'name' | 'expires_after' | 'metadata'>>,
  ): Promise<VectorStore | null> {
    const changed = await this.#stored.update(project, id, (old) => ({
      ...old,
      ...change,
      last_active_at: this.#now(),
    }));
    if (changed === null) return null;
    await this.#lookWhenExpired(project, changed);
    return this.get(project, id);
  }

  /** Notes that stores are used now, which puts off their expiry. */
  async touch(project: string, ids: readonly string[]): Promise<void> {
    const now = this.#now();
    for (const id of ids) {
      const stored = await this.#stored.get(project, id);
      if (stored === null || isExpired(stored, now) || now - stored.last_active_at < NOTED_EVERY_S) continue;
      const touched = await this.#stored.update(project, id, (old) => ({ ...old, last_active_at: now }));
      if (touched !== null) await this.#lookWhenExpired(project, touched);
    }
  }

  /** Deletes the store. What it held is removed by {@link wipe}, or by the sweeper where that fails. @returns whether it was there */
  async delete(project: string, id: string): Promise<boolean> {
    await this.lookSoon({ project, storeId: id });
    return this.#stored.delete(project, id);
  }

  /** Whether there is such a store, expired or not. */
  async exists({ project, storeId }: StoreRef): Promise<boolean> {
    return (await this.#redis.hexists(this.#keys.vectorStores(project).docs, storeId)) === 1;
  }

  /** Removes what a deleted store has left here; {@link Shelving.wipe} says when it is looked at again. */
  async wipe(ref: StoreRef): Promise<void> {
    const { docs, index, gone } = this.#keys.storeFiles(ref);
    const batches = await this.#redis.hkeys(this.#keys.storeBatches(ref));
    const ofBatches = batches.flatMap((id) => [
      this.#keys.batchCounts(ref, id),
      this.#keys.batchFiles(ref, id),
    ]);
    const own = [docs, index, gone, this.#keys.storeCounts(ref), this.#keys.storeBatches(ref)];
    await this.#redis.unlink(...own, ...ofBatches);
  }

  /** Look at the store in a while: something is under way. */
  async lookSoon(ref: StoreRef): Promise<void> {
    await this.lookAt(ref, this.#now() * 1_000 + LOOK_AFTER_MS);
  }

  async lookAt({ project, storeId }: StoreRef, unixMs: number): Promise<void> {
    await this.#redis.zadd(this.#keys.shelves, unixMs, `${project}/${storeId}`);
  }

  async forget({ project, storeId }: StoreRef): Promise<void> {
    await this.#redis.zrem(this.#keys.shelves, `${project}/${storeId}`);
  }

  /** Stores whose time to be looked at has come, the longest waiting first. */
  async due(limit: number): Promise<readonly StoreRef[]> {
    const members = await this.#redis.zrangebyscore(
      this.#keys.shelves,
      '-inf',
      this.#now() * 1_000,
      'LIMIT',
      0,
      limit,
    );
    return members.map((member) => {
      const at = member.lastIndexOf('/');
      return { project: member.slice(0, at), storeId: member.slice(at + 1) };
    });
  }

  async #lookWhenExpired(project: string, store: StoredStore): Promise<void> {
    const expiresAt = expiryOf(store);
    if (expiresAt !== null) await this.lookAt({ project, storeId: store.id }, expiresAt * 1_000);
  }
}
