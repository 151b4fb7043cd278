/** Vector stores and their files: counts are those of the files whatever happens to them, and nothing stays of what is deleted. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { storeView, type ShelvedFile, type StoredStore } from '../../src/runs/shelf.ts';
import { AUTO_CHUNKING, type IndexStatus } from '../../src/runs/vector-store.ts';
import { INDEX_JOBS, type IndexJob } from '../../src/store/index-jobs.ts';
import type { StoreRef } from '../../src/store/keys.ts';
import { JobQueue } from '../../src/store/queue.ts';
import { Shelving } from '../../src/store/shelving.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { keysOf, openStore, PROJECT, silent, type Store } from './fixture.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => server.stop());

const REF: StoreRef = { project: PROJECT, storeId: 'vs_1' };
const STORED: StoredStore = {
  id: 'vs_1',
  object: 'vector_store',
  created_at: 1_000,
  name: '',
  description: null,
  expires_after: null,
  metadata: {},
  last_active_at: 1_000,
};
const STATUSES: readonly IndexStatus[] = ['in_progress', 'completed', 'failed', 'cancelled'];
const ALL = { limit: 100, order: 'asc', after: null, before: null } as const;

let store: Store;
let shelving: Shelving;
beforeEach(async () => {
  store = await openStore(server.url);
  const { redis, keys, nowMs, objects } = store;
  const queue = new JobQueue<IndexJob>(INDEX_JOBS, { redis, keys, log: silent, nowMs });
  await queue.ready();
  const now = (): number => Math.floor(nowMs() / 1_000);
  shelving = new Shelving({
    stores: objects.vectorStores,
    storeFiles: objects.storeFiles,
    queue,
    redis,
    keys,
    now,
  });
  await objects.vectorStores.create(PROJECT, STORED);
});

const entry = (fileId: string) => ({ fileId, chunking: AUTO_CHUNKING, attributes: {} });
const filesOf = async (batchId: string | null = null): Promise<readonly ShelvedFile[]> => {
  const page = await store.objects.storeFiles.list(REF, batchId, ALL, null);
  return page.type === 'page' ? page.items : [];
};

test('a file that is put into a store waits there to be read, and has a job', async () => {
  const [file] = await shelving.put(REF, [entry('file_a')]);
  expect(file).toMatchObject({ id: 'file_a', status: 'in_progress', usage_bytes: 0, last_error: null });
  expect(await store.objects.vectorStores.get(PROJECT, 'vs_1')).toMatchObject({
    status: 'in_progress',
    usage_bytes: 0,
    file_counts: { in_progress: 1, completed: 0, total: 1 },
  });
});

test('what becomes of it is counted by its store and its batch', async () => {
  const { storeFiles, vectorStores } = store.objects;
  await storeFiles.createBatch(REF, {
    id: 'vsfb_1',
    object: 'vector_store.files_batch',
    created_at: 1,
    cancelled: false,
  });
  await shelving.put(REF, [entry('file_a'), entry('file_b')], 'vsfb_1');
  await storeFiles.change(
    { ...REF, fileId: 'file_a' },
    (old) => old && { ...old, status: 'completed', usage_bytes: 70 },
  );
  expect(await vectorStores.get(PROJECT, 'vs_1')).toMatchObject({
    usage_bytes: 70,
    file_counts: { in_progress: 1, completed: 1, total: 2 },
  });
  expect(await storeFiles.batch(REF, 'vsfb_1')).toMatchObject({
    object: 'vector_store.files_batch',
    status: 'in_progress',
    file_counts: { in_progress: 1, completed: 1, total: 2 },
  });
  await shelving.takeOut({ ...REF, fileId: 'file_b' });
  expect(await storeFiles.batch(REF, 'vsfb_1')).toMatchObject({
    status: 'completed',
    file_counts: { in_progress: 0, completed: 1, cancelled: 1, total: 2 },
  });
  expect(await vectorStores.get(PROJECT, 'vs_1')).toMatchObject({
    status: 'completed',
    file_counts: { total: 1 },
  });
});

test('files of one status are listed by themselves', async () => {
  const { storeFiles } = store.objects;
  const ids = Array.from({ length: 9 }, (_, index) => `file_${index}`);
  await shelving.put(REF, ids.map(entry));
  for (const id of ids.slice(0, 4))
    await storeFiles.change({ ...REF, fileId: id }, (old) => old && { ...old, status: 'failed' });
  const first = await storeFiles.list(REF, null, { ...ALL, limit: 3 }, 'failed');
  expect(first).toMatchObject({
    hasMore: true,
    items: [{ id: 'file_0' }, { id: 'file_1' }, { id: 'file_2' }],
  });
  const rest = await storeFiles.list(REF, null, { ...ALL, limit: 3, after: 'file_2' }, 'failed');
  expect(rest).toMatchObject({ hasMore: false, items: [{ id: 'file_3' }] });
});

test('counts are those of the files, whatever happens to them and however often a command arrives', async () => {
  const { storeFiles, vectorStores } = store.objects;
  const move = fc.record({
    file: fc.constantFrom('file_a', 'file_b', 'file_c'),
    to: fc.constantFrom<IndexStatus | 'out' | 'anew'>(...STATUSES, 'out', 'anew'),
    batch: fc.constantFrom('vsfb_1', 'vsfb_2', null),
    bytes: fc.nat(500),
  });
  for (const id of ['vsfb_1', 'vsfb_2'])
    await storeFiles.createBatch(REF, {
      id,
      object: 'vector_store.files_batch',
      created_at: 1,
      cancelled: false,
    });
  await fc.assert(
    fc.asyncProperty(fc.array(move, { maxLength: 12 }), async (moves) => {
      for (const { file, to, batch, bytes } of moves) {
        const ref = { ...REF, fileId: file };
        if (to === 'out') await shelving.takeOut(ref);
        else if (to === 'anew') await shelving.put(REF, [entry(file)], batch);
        else
          await Promise.all([
            storeFiles.change(ref, (old) => old && { ...old, status: to, usage_bytes: bytes }),
            storeFiles.change(ref, (old) => old && { ...old, attributes: { bytes } }),
          ]);
      }
      const files = await filesOf();
      const seen = await vectorStores.get(PROJECT, 'vs_1');
      const counted = STATUSES.map((status) => files.filter((one) => one.status === status).length);
      const { total, ...byStatus } = seen?.file_counts ?? { total: -1 };
      expect(Object.values(byStatus)).toStrictEqual(counted);
      expect(total).toBe(files.length);
      expect(seen?.usage_bytes).toBe(files.reduce((sum, one) => sum + one.usage_bytes, 0));
      for (const id of ['vsfb_1', 'vsfb_2']) {
        const open = files.filter((one) => one.batch_id === id && one.status === 'in_progress').length;
        expect((await storeFiles.batch(REF, id))?.file_counts.in_progress).toBe(open);
      }
    }),
    { numRuns: 40 },
  );
});

describe('what is deleted', () => {
  test('leaves nothing: a file', async () => {
    await shelving.put(REF, [entry('file_a')]);
    await shelving.takeOutEverywhere(PROJECT, 'file_a');
    expect(await filesOf()).toStrictEqual([]);
    expect(await store.redis.exists(store.keys.storesOf(PROJECT, 'file_a'))).toBe(0);
  });

  test('leaves nothing: a store', async () => {
    const before = await keysOf(store);
    const ref = { project: PROJECT, storeId: 'vs_2' };
    await store.objects.vectorStores.create(PROJECT, { ...STORED, id: 'vs_2' });
    await store.objects.storeFiles.createBatch(ref, {
      id: 'vsfb_9',
      object: 'vector_store.files_batch',
      created_at: 1,
      cancelled: false,
    });
    await shelving.put(ref, [entry('file_a'), entry('file_b')], 'vsfb_9');
    expect(await store.objects.vectorStores.delete(PROJECT, 'vs_2')).toBe(true);
    await shelving.wipe(ref);
    const after = await keysOf(store);
    // Where it stood in the list, and that it is looked at once more.
    const reminders = [store.keys.vectorStores(PROJECT).gone, store.keys.shelves];
    expect(after.filter((key) => !reminders.includes(key))).toStrictEqual(before);
  });
});

describe('a store that expires', () => {
  const LENT: StoredStore = { ...STORED, expires_after: { anchor: 'last_active_at', days: 1 } };
  const counts = { files: { in_progress: 1, completed: 0, failed: 0, cancelled: 0, total: 1 }, bytes: 0 };

  test('does so that long after its last use', () => {
    expect(storeView(LENT, counts, 87_399)).toMatchObject({ status: 'in_progress', expires_at: 87_400 });
    expect(storeView(LENT, counts, 87_400)).toMatchObject({ status: 'expired', expires_at: 87_400 });
  });

  test('is due when its time has come, and not before', async () => {
    await store.objects.vectorStores.create(PROJECT, { ...LENT, id: 'vs_old' });
    await store.objects.vectorStores.create(PROJECT, {
      ...LENT,
      id: 'vs_new',
      last_active_at: Date.now() / 1_000,
    });
    expect(await store.objects.vectorStores.due(10)).toStrictEqual([{ project: PROJECT, storeId: 'vs_old' }]);
  });
});
