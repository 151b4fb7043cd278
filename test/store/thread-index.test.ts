/** The index of threads: who is in it, what counts as a use, and the end of those that nobody uses. */
import { afterAll, beforeAll, beforeEach, afterEach, describe, expect, test, vi } from 'vitest';
import { PLAIN_ORIGIN } from '../../src/runs/event.ts';
import { Imports } from '../../src/store/imports.ts';
import type { ThreadRef } from '../../src/store/keys.ts';
import type { ScriptedRedis } from '../../src/store/scripts.ts';
import { startPrivateRedis, startRedis, type PrivateRedis, type RedisServer } from '../support/redis.ts';
import {
  COMPLETED,
  create,
  newMessage,
  newRun,
  keysOf,
  newThread,
  openStore,
  PROJECT,
  refOf,
  startTalking,
  THREAD,
  withMethod,
  type Store,
} from './fixture.ts';

const DAY_MS = 86_400_000;
const MADE_MS = 1_000 * DAY_MS;
const KEPT_DAYS = 30;
/** A day too late for a thread that was last used when it was made. */
const OVER_MS = MADE_MS + (KEPT_DAYS + 1) * DAY_MS;

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => server.stop());
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: MADE_MS });
});
afterEach(() => {
  vi.useRealTimers();
});

/** The threads of the index, by days since they were made. */
async function daysOf({ redis, keys }: Store): Promise<Readonly<Record<string, number>>> {
  const found = await redis.zrange(keys.threads, '0', '-1', 'WITHSCORES');
  const pairs = Array.from({ length: found.length / 2 }, (_, index) => {
    return [String(found[2 * index]), (Number(found[2 * index + 1]) - MADE_MS) / DAY_MS] as const;
  });
  return Object.fromEntries<number>(pairs);
}

const later = (days: number): void => void vi.setSystemTime(MADE_MS + days * DAY_MS);
const made = async ({ objects }: Store, id: string): Promise<ThreadRef> => {
  await objects.threads.create(PROJECT, newThread(id), [newMessage(`msg_${id}`, id)]);
  return { project: PROJECT, threadId: id };
};

describe('the index of threads', () => {
  test('has a thread from its making, and its last use: a message or a run, not a reading', async () => {
    const store = await openStore(server.url);
    const [read, written] = [await made(store, 'read'), await made(store, 'written')];
    await made(store, 'run');
    later(3);
    await store.objects.threads.get(read);
    await store.objects.messages.list(read, null, { limit: 10, order: 'asc', after: null, before: null });
    await store.objects.line.add(written, newMessage('msg_more', 'written'));
    later(5);
    await create(store, refOf('run_1', { project: PROJECT, threadId: 'run' }), { thread: null });
    await create(store, refOf('run_2', { project: PROJECT, threadId: 'both' }));
    expect(await daysOf(store)).toStrictEqual({ 'p/read': 0, 'p/written': 3, 'p/run': 5, 'p/both': 5 });
    expect(await store.threadIndex.count()).toBe(4);
  });

  test('has no chats without a thread, and no threads that are not there', async () => {
    const store = await openStore(server.url);
    const origin = { ...PLAIN_ORIGIN, project: PROJECT, request_id: 'req_1', ephemeral: true };
    await create(store, refOf(), { origin, thread: null });
    const nowhere = { project: PROJECT, threadId: 'nowhere' };
    expect(await store.objects.line.add(nowhere, newMessage('m', 'nowhere'))).toEqual({
      type: 'no thread',
    });
    const run = newRun(refOf('run_2', nowhere), { thread: null });
    expect(await store.runs.create(PROJECT, run)).toEqual({ type: 'no thread' });
    // Whatever was sent before this has been done when it is answered.
    expect(await store.threadIndex.count()).toBe(0);
  });

  test('takes up threads from before there was one when they are used', async () => {
    const store = await openStore(server.url);
    const ref = await made(store, 'old');
    await store.redis.del(store.keys.threads);
    later(1);
    await store.objects.line.add(ref, newMessage('msg_new', 'old'));
    expect(await daysOf(store)).toStrictEqual({ 'p/old': 1 });
  });

  test('has imported threads from the day of their import', async () => {
    const store = await openStore(server.url);
    const imports = new Imports(store, store.objects.assistants);
    await imports.thread(PROJECT, newThread('alone'));
    await imports.messages(PROJECT, newThread('full'), [newMessage('msg_1', 'full')]);
    expect(await daysOf(store)).toStrictEqual({ 'p/alone': 0, 'p/full': 0 });
  });

  test('is written in the same tick as the thread, so that no request takes longer', async () => {
    const sent: string[][] = [];
    const store = await openStore(server.url, (redis) => listening(redis, sent));
    await made(store, 'thread_1');
    sent.length = 0;
    later(1);
    await store.objects.line.add(THREAD, newMessage('msg_more'));
    later(2);
    await create(store, refOf(), { thread: null });
    await store.objects.threads.delete(THREAD);
    expect(sent).toEqual([
      ['zadd', 'add', 'append'],
      // The second one notes the run.
      ['zadd', 'add', 'commit', 'remind', 'add'],
      ['drop', 'zrem', 'remove'],
    ]);
  });

  test('is written once a minute by each process, because threads are kept for days', async () => {
    const sent: string[][] = [];
    const store = await openStore(server.url, (redis) => listening(redis, sent));
    await made(store, 'thread_1');
    sent.length = 0;
    await store.objects.line.add(THREAD, newMessage('msg_2'));
    vi.setSystemTime(MADE_MS + 59_000);
    await store.objects.line.add(THREAD, newMessage('msg_3'));
    vi.setSystemTime(MADE_MS + 60_000);
    await store.objects.line.add(THREAD, newMessage('msg_4'));
    expect(sent).toEqual([['append'], ['append'], ['zadd', 'add', 'append']]);
  });

  test('has a thread again that was deleted elsewhere and made anew under its id', async () => {
    const here = await openStore(server.url);
    await made(here, 'thread_1');
    await here.redis.unlink(here.keys.thread(THREAD));
    await here.redis.unlink(here.keys.threads);
    await made(here, 'thread_1');
    expect(await daysOf(here)).toStrictEqual({ 'p/thread_1': 0 });
  });
});

describe('a thread that nobody has used for so long', () => {
  test('is deleted with all that is in it; others, and those that a run holds, stay', async () => {
    const store = await openStore(server.url);
    const { objects, threadIndex, redis, keys } = store;
    await store.runs.commit(await startTalking(store, refOf('run_1')), COMPLETED);
    await objects.labels.set(THREAD, 'msg_1', { colour: 'red' });
    const held = { project: PROJECT, threadId: 'held' };
    await create(store, refOf('run_2', held));
    later(KEPT_DAYS + 1);
    await made(store, 'young');
    expect(await threadIndex.endUnused(objects.threads, KEPT_DAYS)).toBe(1);
    expect((await keysOf(store)).filter((key) => key.includes('{thread_1}'))).toEqual([]);
    expect(await objects.threads.get(held)).not.toBeNull();
    expect(await daysOf(store)).toStrictEqual({ 'p/held': KEPT_DAYS + 1, 'p/young': KEPT_DAYS + 1 });
    expect(await redis.zcard(keys.threads)).toBe(2);
  });

  test('is kept for ever by default', async () => {
    const store = await openStore(server.url);
    await made(store, 'thread_1');
    expect(await store.threadIndex.endUnused(store.objects.threads, 0, OVER_MS * 10)).toBe(0);
    expect(await store.threadIndex.count()).toBe(1);
  });

  test('is deleted although a run that was lost still holds it', async () => {
    const store = await openStore(server.url);
    await create(store);
    await store.redis.del(store.keys.run(refOf()));
    expect(await store.threadIndex.endUnused(store.objects.threads, KEPT_DAYS, OVER_MS)).toBe(1);
  });

  test.each(['before', 'after'] as const)(
    'and that is used in that moment, just %s its last use is read, stays',
    async (when) => {
      const used = async (): Promise<unknown> => objects.line.add(THREAD, newMessage('msg_new'));
      const store = await openStore(server.url, (redis) =>
        withMethod(redis, 'zscore', async (key: string, member: string) => {
          vi.setSystemTime(OVER_MS);
          if (when === 'before') await used();
          const score = await redis.zscore(key, member);
          if (when === 'after') await used();
          return score;
        }),
      );
      const { objects, threadIndex } = store;
      await made(store, 'thread_1');
      expect(await threadIndex.endUnused(objects.threads, KEPT_DAYS, OVER_MS)).toBe(0);
      expect(await objects.messages.get(THREAD, 'msg_new')).not.toBeNull();
      expect(await daysOf(store)).toStrictEqual({ 'p/thread_1': KEPT_DAYS + 1 });
    },
  );

  test('goes a batch at a time, past what names no thread, is gone already or cannot be deleted', async () => {
    const store = await openStore(server.url);
    const { redis, keys, threadIndex, objects } = store;
    const ids = Array.from({ length: 150 }, (_, index) => `thread_${index}`);
    await Promise.all(ids.map(async (id) => made(store, id)));
    await redis.zadd(keys.threads, 1, 'no thread at all', 1, 'p/a/b', 1, 'p/{x}', 1, 'p/gone');
    await redis.set(keys.runs({ project: PROJECT, threadId: 'broken' }), 'no sorted set');
    await redis.hset(keys.thread({ project: PROJECT, threadId: 'broken' }), 'broken', '{}');
    await redis.zadd(keys.threads, 1, 'p/broken');
    let sweeps = 0;
    for (; (await threadIndex.count()) > 1 && sweeps < 10; sweeps++)
      await threadIndex.endUnused(objects.threads, KEPT_DAYS, OVER_MS);
    expect(sweeps).toBe(2);
    expect((await keysOf(store)).filter((key) => key.includes('{thread_'))).toEqual([]);
    expect(await redis.zrange(keys.threads, '0', '-1')).toEqual(['p/broken']);
  });
});

describe('in a full Redis', () => {
  let full: PrivateRedis;
  beforeAll(async () => {
    full = await startPrivateRedis();
  });
  afterAll(async () => full.stop());

  test('threads can be deleted, by their owner and by their age', async () => {
    const store = await openStore(full.url);
    const { objects, threadIndex } = store;
    const [mine, held] = [await made(store, 'mine'), { project: PROJECT, threadId: 'held' }];
    await made(store, 'unused');
    await create(store, refOf('run_1', held));
    await store.redis.call('CONFIG', 'SET', 'maxmemory', '1');
    await expect(store.redis.set('x', '1')).rejects.toThrow('OOM');
    expect(await objects.threads.delete(mine)).toBe(true);
    expect(await threadIndex.endUnused(objects.threads, KEPT_DAYS, OVER_MS)).toBe(1);
    expect(Object.keys(await daysOf(store))).toEqual(['p/held']);
  });
});

/** Notes the commands of each tick, which leave in one piece. */
function listening(redis: ScriptedRedis, ticks: string[][]): ScriptedRedis {
  let current: string[] | null = null;
  return new Proxy(redis, {
    get: (target, key) => {
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== 'function') return value;
      if (!['zadd', 'zrem', 'add', 'remove', 'append', 'commit', 'drop', 'remind'].includes(String(key)))
        return value.bind(target) as unknown;
      return (...args: unknown[]): unknown => {
        if (current === null) {
          current = [];
          ticks.push(current);
          queueMicrotask(() => (current = null));
        }
        current.push(String(key));
        return Reflect.apply(value, target, args);
      };
    },
  });
}
