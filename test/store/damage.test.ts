/** Documents that are lost, or that a faulty disk or a stray hand has damaged: nothing waits for them for ever. */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createLog } from '../../src/log.ts';
import { Collections } from '../../src/store/collection.ts';
import { Damage } from '../../src/store/damage.ts';
import { Unreadable } from '../../src/store/json.ts';
import { openObjects } from '../../src/store/objects.ts';
import { OpenRuns } from '../../src/store/open-runs.ts';
import { startSweeper } from '../../src/worker/sweeper.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import {
  COMPLETED,
  create,
  must,
  newMessage,
  newRun,
  NOTHING_TO_END,
  openStore,
  PROJECT,
  read,
  refOf,
  silent,
  startTalking,
  THREAD,
  type Store,
} from './fixture.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => server.stop());

const GARBAGE = ['', 'not json', '{"run":', 'null', '42', '[]', '{}', '{"run":{"id":"run_1"}}'];
const ALL = { limit: 100, order: 'asc', after: null, before: null } as const;

/** Another run in the same thread. @returns what became of it. */
const createNext = async ({ runs }: Store) =>
  (await runs.create(PROJECT, newRun(refOf('run_2'), { thread: null }))).type;

/** The run has been unreadable for longer than anybody waits. */
async function age({ redis, keys }: Store, ref = refOf()): Promise<void> {
  const version = (await redis.hget(keys.run(ref), 'version')) ?? '';
  await redis.hset(keys.run(ref), 'unreadable', `${version} 1 somebody`);
}

const damage = async ({ redis, keys }: Store, doc: string): Promise<unknown> =>
  redis.hset(keys.run(refOf()), 'doc', doc);

describe('a run that is lost', () => {
  const LOSSES: readonly (readonly [string, (store: Store) => Promise<unknown>])[] = [
    ['as a whole', async ({ redis, keys }) => redis.del(keys.run(refOf()))],
    ['with its document', async ({ redis, keys }) => redis.hdel(keys.run(refOf()), 'doc')],
    ['with its version', async ({ redis, keys }) => redis.hdel(keys.run(refOf()), 'version')],
  ];

  test.each(LOSSES)('%s, does not keep others from its thread', async (_, lose) => {
    const store = await openStore(server.url);
    await create(store);
    expect(await createNext(store)).toBe('locked');
    await lose(store);
    expect(await createNext(store)).toBe('created');
    expect(await store.objects.threads.activeRun(THREAD)).toStrictEqual({ exists: true, runId: 'run_2' });
  });

  test.each(LOSSES)('%s, does not keep messages from its thread', async (_, lose) => {
    const store = await openStore(server.url);
    await create(store);
    expect(await store.objects.line.add(THREAD, newMessage('msg_2'))).toMatchObject({ type: 'locked' });
    await lose(store);
    expect(await store.objects.line.add(THREAD, newMessage('msg_2'))).toStrictEqual({ type: 'appended' });
    expect(await store.redis.exists(store.keys.active(THREAD))).toBe(0);
  });

  test.each(LOSSES)('%s, is nobody that a thread is busy with', async (_, lose) => {
    const store = await openStore(server.url);
    await create(store);
    await lose(store);
    expect(await store.objects.threads.activeRun(THREAD)).toStrictEqual({ exists: true, runId: null });
    expect(await store.redis.exists(store.keys.active(THREAD))).toBe(0);
  });
});

describe('a run that cannot be read', () => {
  test.each(GARBAGE.slice(1))('is told, and given up when it has been so for a while: %s', async (doc) => {
    const store = await openStore(server.url);
    await create(store);
    await damage(store, doc);
    await expect(store.runs.get(refOf())).rejects.toMatchObject({ name: 'Unreadable', isGivenUp: false });
    expect(await createNext(store)).toBe('locked');
    await age(store);
    await store.runs.attend(refOf());
    expect(await createNext(store)).toBe('created');
    await expect(store.runs.get(refOf())).rejects.toMatchObject({ name: 'Unreadable', isGivenUp: true });
    expect(await store.redis.hget(store.keys.run(refOf()), 'doc')).toBe(doc);
  });

  test('whose worker writes it anew goes on', async () => {
    const store = await openStore(server.url);
    const held = await startTalking(store);
    await damage(store, 'not json');
    await expect(store.runs.get(refOf())).rejects.toThrow(Unreadable);
    await store.runs.commit(held, COMPLETED);
    expect((await read(store)).state.run.status).toBe('completed');
    // It waits from the beginning, should it be damaged once more.
    await damage(store, 'not json');
    await expect(store.runs.get(refOf())).rejects.toMatchObject({ isGivenUp: false });
  });

  test('is told once when it is noticed and once when it is given up, by one process of many', async () => {
    const store = await openStore(server.url);
    const told: string[] = [];
    const log = createLog({ logLevel: 'silent' }, 'test');
    Reflect.set(log, 'error', (_: unknown, text: string) => told.push(text));
    const looks = Array.from({ length: 3 }, () => new Damage(store.redis, store.keys, log));
    await create(store);
    const everybodyLooks = async () =>
      Promise.all(looks.map(async (one) => one.run(refOf(), 'x', null).catch(() => null)));
    await everybodyLooks();
    await everybodyLooks();
    expect(told).toStrictEqual(['a run cannot be read; it is given up if it stays so']);
    await age(store);
    await everybodyLooks();
    await everybodyLooks();
    expect(told.slice(1)).toStrictEqual(['gave up a run that cannot be read; its thread is free']);
  });

  test('is left out of lists, and leaves with its thread', async () => {
    const store = await openStore(server.url);
    const held = await startTalking(store);
    await store.runs.commit(held, COMPLETED);
    expect(await createNext(store)).toBe('created');
    await damage(store, 'not json');
    const page = await store.objects.runs.list(THREAD, ALL);
    expect(page.type === 'page' && page.items.map(({ id }) => id)).toStrictEqual(['run_2']);
    expect(await store.objects.threads.delete(THREAD)).toBe(true);
    expect(await store.redis.exists(store.keys.run(refOf()))).toBe(0);
  });

  test('whose log alone is damaged ends as it is stored', async () => {
    const store = await openStore(server.url);
    await startTalking(store);
    await store.redis.del(store.keys.log(refOf()));
    for (const [seq, event] of ['null', 'x', '{}', '[]'].entries())
      await store.redis.xadd(store.keys.log(refOf()), `${seq + 1}-0`, 'e', event);
    await store.runs.close(refOf(), { type: 'expired' });
    expect((await read(store)).state.run.status).toBe('expired');
  });
});

describe('objects that cannot be read', () => {
  test.each(GARBAGE)('are left out of lists and prompts, and told once: %s', async (doc) => {
    const store = await openStore(server.url);
    const told: unknown[] = [];
    const log = createLog({ logLevel: 'silent' }, 'test');
    Reflect.set(log, 'error', (fields: unknown) => told.push(fields));
    const { redis, keys } = store;
    const damage = new Damage(redis, keys, log);
    const collections = new Collections({ ...store, damage, pageLimitBytes: 1e9 });
    const objects = openObjects({ ...store, collections, damage });
    const thread = must(newRun().thread);
    await objects.threads.create(PROJECT, thread, [newMessage('msg_1'), newMessage('msg_2')]);
    await redis.hset(keys.messages(THREAD).docs, 'msg_1', doc);
    const page = await objects.messages.list(THREAD, null, ALL);
    expect(page.type === 'page' && page.items.map(({ id }) => id)).toStrictEqual(['msg_2']);
    await objects.messages.list(THREAD, null, ALL);
    const reading = objects.histories.open(refOf(), { maxBytes: 1e9, largeBytes: 1e9 });
    const { items } = must(await reading.within({ maxTokens: 1e9, lastMessages: null }));
    expect(items.map(({ id }) => id)).toStrictEqual(['msg_2']);
    // A document that is there and empty is none.
    expect(told).toHaveLength(doc === '' ? 0 : 2);
    await redis.hset(keys.thread(THREAD), THREAD.threadId, doc);
    await expect(objects.threads.get(THREAD)).rejects.toThrow(Unreadable);
    expect(await objects.threads.exists(THREAD)).toBe(true);
    expect(await objects.threads.delete(THREAD)).toBe(true);
  });
});

describe('the index of open runs', () => {
  const STRAYS = Array.from({ length: 250 }, (_, index) => `stray ${index}`);

  test('loses what names no run, and shows what stood behind it', async () => {
    const store = await openStore(server.url);
    await create(store);
    for (const stray of STRAYS) await store.redis.zadd(store.keys.open, 1, stray);
    await store.open.lookAt(refOf(), 2);
    const open = new OpenRuns(store.redis, store.keys, store.nowMs, silent);
    const seen = [await open.due(100), await open.due(100), await open.due(100)];
    expect(seen.map(({ more }) => more)).toStrictEqual([true, true, false]);
    expect(seen.flatMap(({ runs }) => runs)).toStrictEqual([refOf()]);
    expect(await store.redis.zcard(store.keys.open)).toBe(1);
  });

  test('is swept to a run whose job was lost, however many damaged ones stand before it', async () => {
    const store = await openStore(server.url);
    await create(store);
    const damaged = Array.from({ length: 150 }, (_, index) => refOf(`run_damaged${index}`));
    for (const ref of damaged) {
      await store.redis.hset(store.keys.run(ref), { doc: 'x', version: 'v', seq: 1, unreadable: 'v 1 t' });
      await store.open.lookAt(ref, 1);
    }
    for (const stray of STRAYS) await store.redis.zadd(store.keys.open, 1, stray);
    await store.open.lookAt(refOf(), 2);
    const lost = Promise.withResolvers<void>();
    const runs = new Proxy(store.runs, {
      get: (target, key) => {
        if (key === 'enqueue') return async () => lost.resolve();
        const value: unknown = Reflect.get(target, key);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
    const { open, clock, nowMs } = store;
    const sweeping = { runs, open, now: () => clock.s, nowMs, log: silent, holder: 'a' };
    onTestFinished(startSweeper({ ...sweeping, ...NOTHING_TO_END }));
    await lost.promise;
    // Those were given up for good.
    expect(await store.redis.zcard(store.keys.open)).toBe(1);
  });
});
