/** The index of recent runs: what is in it, how it is listed, and how runs leave it. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { PLAIN_ORIGIN } from '../../src/runs/event.ts';
import { placeAt, type PageQuery } from '../../src/store/collection.ts';
import type { WantedRuns } from '../../src/store/recent-runs.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import {
  COMPLETED,
  CREATED_AT,
  create,
  newRun,
  openStore,
  PROJECT,
  refOf,
  start,
  startTalking,
  THREAD,
  type Store,
} from './fixture.ts';

const NOW_MS = 1_700_000_000_000;
const EPHEMERAL = { ...PLAIN_ORIGIN, project: PROJECT, request_id: 'req_1', ephemeral: true };

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => server.stop());
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: NOW_MS });
});
afterEach(() => {
  vi.useRealTimers();
});

const other = { project: PROJECT, threadId: 'thread_2' };

const ANY: WantedRuns = { threadId: null, createdAfter: null, createdBefore: null, fits: () => true };

async function list(
  { objects }: Store,
  {
    wanted = ANY,
    project = PROJECT,
    ...more
  }: Partial<PageQuery> & { wanted?: WantedRuns; project?: string } = {},
): Promise<string> {
  const query: PageQuery = { limit: 20, order: 'desc', after: null, before: null, ...more };
  const page = await objects.recentRuns.list(project, query, wanted);
  if (page.type === 'unknown cursor') return `unknown ${page.cursor}`;
  const runs = page.items.map(({ id, status, metadata }) =>
    [id, status, ...Object.values(metadata)].join(':'),
  );
  return [...runs, ...(page.hasMore ? [`…${page.readTo ?? ''}`] : [])].join(' ');
}

test('the runs of all threads of a project are listed as they are now, newest first, by cursor', async () => {
  const store = await openStore(server.url);
  await store.runs.commit(await startTalking(store, refOf('run_1')), COMPLETED);
  await start(store, refOf('run_2', other));
  await create(store, refOf('run_3'), { thread: null });
  await store.objects.labels.set(THREAD, 'run_1', { colour: 'red' });
  expect(await list(store)).toBe('run_3:queued run_2:in_progress run_1:completed:red');
  expect(await list(store, { limit: 2 })).toBe('run_3:queued run_2:in_progress …');
  expect(await list(store, { after: 'run_2' })).toBe('run_1:completed:red');
  expect(await list(store, { before: 'run_2' })).toBe('run_3:queued');
  expect(await list(store, { after: 'run_9' })).toBe('unknown run_9');
  expect(await list(store, { project: 'q' })).toBe('');
});

test('runs of chats without a thread are listed until they expire', async () => {
  const store = await openStore(server.url);
  const chat = refOf('run_1', other);
  await create(store, chat, { origin: EPHEMERAL, thread: null });
  await create(store, refOf('run_2'));
  expect(await list(store)).toBe('run_2:queued run_1:queued');
  await store.redis.del(store.keys.run(chat));
  expect(await list(store)).toBe('run_2:queued');
  const { index, docs } = store.keys.recentRuns(PROJECT);
  expect(await store.redis.zcard(index)).toBe(2);
  vi.setSystemTime(NOW_MS + 60_001);
  await list(store);
  expect(await store.redis.zrange(index, '0', '-1')).toEqual(['run_2']);
  expect(await store.redis.hkeys(docs)).toEqual(['run_2']);
});

test('runs leave the list with their thread', async () => {
  const store = await openStore(server.url);
  await create(store, refOf('run_1'));
  await create(store, refOf('run_2', other));
  await store.objects.threads.delete(THREAD);
  expect(await store.redis.zrange(store.keys.recentRuns(PROJECT).index, '0', '-1')).toEqual(['run_2']);
  expect(await list(store)).toBe('run_2:queued');
});

test('runs that could not be created are not kept', async () => {
  const store = await openStore(server.url);
  await create(store);
  expect(await store.runs.create(PROJECT, newRun(refOf('run_2'), { thread: null }))).toMatchObject({
    type: 'locked',
  });
  expect(await store.runs.create(PROJECT, newRun(refOf('run_3', other), { thread: null }))).toEqual({
    type: 'no thread',
  });
  expect(await store.redis.zrange(store.keys.recentRuns(PROJECT).index, '0', '-1')).toEqual(['run_1']);
});

test('the newest ten thousand are kept', async () => {
  const store = await openStore(server.url);
  const { index, docs } = store.keys.recentRuns(PROJECT);
  const older = Array.from({ length: 10_000 }, (_, place) => [place, `run_old_${place}`] as const);
  await store.redis.zadd(index, ...older.flat());
  await store.redis.hset(docs, 'run_old_0', 'thread_1');
  await create(store);
  expect(await store.redis.zcard(index)).toBe(10_000);
  expect(await store.redis.zscore(index, 'run_old_0')).toBeNull();
  expect(await store.redis.hkeys(docs)).toEqual(['run_1']);
});

test('damaged runs are left out', async () => {
  const store = await openStore(server.url);
  await create(store, refOf('run_1'));
  await create(store, refOf('run_2', other));
  await store.redis.hset(store.keys.run(refOf('run_1')), 'doc', 'no JSON');
  expect(await list(store)).toBe('run_2:queued');
});

test('all runs of a project can be forgotten', async () => {
  const store = await openStore(server.url);
  await create(store);
  await store.recentRuns.clear(PROJECT);
  expect(await list(store)).toBe('');
});

describe('a list of some of them', () => {
  test('has those of a thread, and those that fit', async () => {
    const store = await openStore(server.url);
    await store.runs.commit(await startTalking(store, refOf('run_1')), COMPLETED);
    await create(store, refOf('run_2', other));
    await create(store, refOf('run_3'), { thread: null });
    expect(await list(store, { wanted: { ...ANY, threadId: 'thread_1' } })).toBe(
      'run_3:queued run_1:completed',
    );
    expect(await list(store, { wanted: { ...ANY, threadId: 'thread_9' } })).toBe('');
    const wanted: WantedRuns = { ...ANY, fits: ({ id }) => id !== 'run_2' };
    expect(await list(store, { wanted, limit: 1 })).toBe('run_3:queued …');
    expect(await list(store, { wanted, limit: 1, after: 'run_3' })).toBe('run_1:completed');
    expect(await list(store, { wanted, before: 'run_2' })).toBe('run_3:queued');
    // Runs that are passed over are not taken for gone.
    vi.setSystemTime(NOW_MS + 60_001);
    await list(store, { wanted: { ...ANY, threadId: 'thread_9' } });
    expect(await store.redis.zcard(store.keys.recentRuns(PROJECT).index)).toBe(3);
  });

  test('has those of a time, and reads hardly any others', async () => {
    let reads = 0;
    const store = await openStore(server.url, (redis) => {
      const hstrlen = redis.hstrlen.bind(redis);
      return Object.assign(redis, {
        hstrlen: async (...args: Parameters<typeof hstrlen>) => {
          reads += 1;
          return hstrlen(...args);
        },
      });
    });
    const { index, docs } = store.keys.recentRuns(PROJECT);
    // One run each minute, from long before the time that runs say they were created to long after it.
    await create(store, refOf('run_hit'));
    await store.redis.zadd(index, placeAt(CREATED_AT * 1000), 'run_hit');
    for (let at = 1; at <= 400; at += 1) {
      const [before, after] = [`run_a${at}`, `run_b${at}`];
      await store.redis.zadd(index, placeAt((CREATED_AT - 120 * at) * 1000), before);
      await store.redis.zadd(index, placeAt((CREATED_AT + 120 * at) * 1000), after);
      await store.redis.hset(docs, before, 'thread_1', after, 'thread_1');
    }
    const day = { ...ANY, createdAfter: CREATED_AT - 10, createdBefore: CREATED_AT + 10 };
    for (const order of ['asc', 'desc'] as const) {
      reads = 0;
      expect(await list(store, { wanted: day, order, limit: 1 })).toContain('run_hit:queued');
      expect(reads).toBeLessThan(5);
    }
    const none = { ...ANY, createdAfter: CREATED_AT + 1 };
    expect(await list(store, { wanted: none, order: 'asc', limit: 1 })).not.toContain('run_hit');
  });

  test('ends where a later run is too old', async () => {
    const store = await openStore(server.url);
    await create(store, refOf('run_1'));
    await create(store, refOf('run_2', other));
    expect(await list(store, { wanted: { ...ANY, createdAfter: CREATED_AT + 61 } })).toBe('');
    expect(await list(store, { limit: 1, wanted: { ...ANY, createdAfter: CREATED_AT + 61 } })).toBe('');
    expect(await list(store, { limit: 1, wanted: { ...ANY, createdAfter: CREATED_AT } })).toBe(
      'run_2:queued …',
    );
  });

  test('ends after a thousand runs that were looked at, and says where to go on', async () => {
    const store = await openStore(server.url);
    await create(store, refOf('run_hit'));
    const { index, docs } = store.keys.recentRuns(PROJECT);
    for (let at = 0; at < 1_100; at += 1) {
      const id = `run_${String(at).padStart(4, '0')}`;
      await store.redis.zadd(index, placeAt(NOW_MS + 1 + at), id);
      await store.redis.hset(docs, id, 'thread_2');
    }
    const wanted = { ...ANY, threadId: 'thread_1' };
    expect(await list(store, { wanted })).toBe('…run_0100');
    expect(await list(store, { wanted, after: 'run_0100' })).toBe('run_hit:queued');
  });
});
