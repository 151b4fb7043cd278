/** Instructions and tools of ended runs: stored once, shown with each run, and gone with the last thread that needs them. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Run } from '../../src/runs/thread.ts';
import { Contents } from '../../src/store/contents.ts';
import type { RunRef } from '../../src/store/keys.ts';
import type { ScriptedRedis } from '../../src/store/scripts.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import {
  COMPLETED,
  create,
  delta,
  keysOf,
  newRun,
  openStore,
  PAGE_LIMIT_BYTES,
  PROJECT,
  read,
  refOf,
  silent,
  startTalking,
  STARTED,
  OPEN_MESSAGE,
  withMethod,
  type Store,
} from './fixture.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => server.stop());

const INSTRUCTIONS = 'Never promise a refund. '.repeat(60);
const TOOLS: Run['tools'] = [
  {
    type: 'function',
    function: { name: 'look_up', description: 'Finds it.', parameters: {}, strict: false },
  },
];
const ALL = { limit: 100, order: 'asc', after: null, before: null } as const;
const DAY_MS = 86_400_000;

const threadOf = (name: string): RunRef =>
  refOf(`run_${name}`, { project: PROJECT, threadId: `thread_${name}` });

/** A run that is started, of an assistant that has much to say. */
async function begin(store: Store, ref: RunRef, more: Partial<Run> = {}) {
  const { run } = newRun(ref);
  const rich = { ...run, instructions: INSTRUCTIONS, tools: TOOLS, ...more };
  return store.runs.commit(await create(store, ref, { run: rich }), [STARTED, ...OPEN_MESSAGE]);
}

const finish = async (store: Store, ref: RunRef, more: Partial<Run> = {}) =>
  store.runs.commit(await begin(store, ref, more), [delta('Hello'), ...COMPLETED]);

const docOf = async ({ redis, keys }: Store, ref: RunRef) => (await redis.hget(keys.run(ref), 'doc')) ?? '';

/** The keys of all contents, and what the index says of them. */
const kept = async (store: Store): Promise<readonly string[]> =>
  (await keysOf(store)).filter((key) => key.includes('{content/'));
const indexed = async ({ redis, keys }: Store) => redis.zcard(keys.contents);

/** Looks after everything that will be due in so many days. */
const sweep = async ({ contents, nowMs }: Store, days = 1): Promise<void> =>
  contents.sweep(nowMs() + days * DAY_MS);

describe('a run that has ended', () => {
  test('names what it shares with others, and is read as it was', async () => {
    const store = await openStore(server.url);
    const ended = await finish(store, threadOf('a'));
    expect(await docOf(store, threadOf('a'))).not.toContain('refund');
    expect((await docOf(store, threadOf('a'))).length).toBeLessThan(600);
    expect(await read(store, threadOf('a'))).toEqual(ended);
    const listed = { type: 'page', hasMore: false, items: [ended.state.run] };
    expect(await store.objects.runs.list(threadOf('a'), ALL)).toEqual(listed);
    expect(await store.recentRuns.list(PROJECT, ALL)).toEqual(listed);
  });

  test('shares it over threads, and with none of another project', async () => {
    const store = await openStore(server.url);
    await finish(store, threadOf('a'));
    await finish(store, threadOf('b'));
    expect(await kept(store)).toHaveLength(1);
    await finish(store, { ...threadOf('c'), project: 'q' });
    expect(await kept(store)).toHaveLength(2);
  });

  test('costs one more read for each process', async () => {
    const store = await openStore(server.url);
    await finish(store, threadOf('a'));
    const asked: string[] = [];
    const redis: ScriptedRedis = withMethod(store.redis, 'hget', async (key: string, field: string) => {
      asked.push(key);
      return store.redis.hget(key, field);
    });
    const contents = new Contents(redis, store.keys, store.nowMs, silent);
    const doc = await docOf(store, threadOf('a'));
    await Promise.all([contents.of({ project: PROJECT }, doc), contents.of({ project: PROJECT }, doc)]);
    expect(await contents.of({ project: PROJECT }, doc)).toEqual({
      instructions: INSTRUCTIONS,
      tools: TOOLS,
    });
    expect(asked).toHaveLength(1);
  });

  test('is read again after Redis has failed once', async () => {
    const store = await openStore(server.url);
    const ref = threadOf('a');
    await finish(store, ref);
    let failures = 1;
    const redis = withMethod(store.redis, 'hget', async (hash: string, field: string) => {
      if (hash.includes('{content/') && failures-- > 0) throw new Error('LOADING');
      return store.redis.hget(hash, field);
    });
    const contents = new Contents(redis, store.keys, store.nowMs, silent);
    const doc = await docOf(store, ref);
    await expect(contents.of(ref, doc)).rejects.toThrow('LOADING');
    expect(await contents.of(ref, doc)).toEqual({ instructions: INSTRUCTIONS, tools: TOOLS });
  });

  test('takes the room in a page that it takes in memory', async () => {
    const store = await openStore(server.url);
    const instructions = 'x'.repeat(PAGE_LIMIT_BYTES / 2 - 1_000);
    for (const id of ['run_1', 'run_2', 'run_3']) {
      const made = newRun(refOf(id), { thread: id === 'run_1' ? newRun().thread : null });
      await store.runs.create(PROJECT, { ...made, run: { ...made.run, instructions } });
      await store.runs.close(refOf(id), { type: 'expired' });
    }
    expect(await store.objects.runs.list(refOf(), ALL)).toMatchObject({
      items: [{ id: 'run_1' }, { id: 'run_2' }],
      hasMore: true,
    });
    expect(await store.recentRuns.list(PROJECT, ALL)).toMatchObject({
      items: [{ id: 'run_1' }, { id: 'run_2' }],
      hasMore: true,
    });
  });

  test('has a format that older processes leave alone', async () => {
    const store = await openStore(server.url);
    await finish(store, threadOf('a'));
    expect(JSON.parse(await docOf(store, threadOf('a')))).toMatchObject({ v: 3 });
    expect((await read(store, threadOf('a'))).state.v).toBeUndefined();
  });
});

describe('a run has its instructions and tools with it', () => {
  test('until it has ended, because an older worker may execute it', async () => {
    const store = await openStore(server.url);
    await begin(store, threadOf('a'));
    expect(JSON.parse(await docOf(store, threadOf('a')))).toMatchObject({
      run: { instructions: INSTRUCTIONS },
    });
    expect(await kept(store)).toEqual([]);
  });

  test('where they are short', async () => {
    const store = await openStore(server.url);
    await startTalking(store);
    await store.runs.close(refOf(), { type: 'expired' });
    expect(await docOf(store, refOf())).toContain('"instructions":""');
    expect(await kept(store)).toEqual([]);
  });

  test('where it has no thread, and will be gone soon', async () => {
    const store = await openStore(server.url);
    const made = newRun(threadOf('a'), { thread: null });
    const origin = { ...made.origin, ephemeral: true };
    await store.runs.create(PROJECT, { ...made, origin, run: { ...made.run, instructions: INSTRUCTIONS } });
    await store.runs.close(threadOf('a'), { type: 'expired' });
    expect(await docOf(store, threadOf('a'))).toContain('refund');
    expect(await kept(store)).toEqual([]);
  });

  test('where they could not be kept elsewhere', async () => {
    const store = await openStore(server.url, (redis) =>
      withMethod(redis, 'hset', async () => Promise.reject(new Error('OOM'))),
    );
    const ended = await finish(store, threadOf('a'));
    expect(await docOf(store, threadOf('a'))).toContain('refund');
    expect(await read(store, threadOf('a'))).toEqual(ended);
  });
});

describe('what runs share', () => {
  test('stays while one thread needs it, and goes with the last', async () => {
    const store = await openStore(server.url);
    await finish(store, threadOf('a'));
    const ended = await finish(store, threadOf('b'));
    await store.objects.threads.delete(threadOf('a'));
    await sweep(store);
    expect(await store.redis.hlen((await kept(store))[0] ?? '')).toBe(2);
    expect(await read(store, threadOf('b'))).toEqual(ended);
    await store.objects.threads.delete(threadOf('b'));
    await sweep(store, 2);
    expect([await kept(store), await indexed(store)]).toEqual([[], 0]);
  });

  test('is not looked at again for an hour', async () => {
    const store = await openStore(server.url);
    await finish(store, threadOf('a'));
    await store.objects.threads.delete(threadOf('a'));
    await store.contents.sweep();
    expect(await kept(store)).toHaveLength(1);
  });

  test('is looked through however many threads need it', async () => {
    const store = await openStore(server.url);
    const ended = await finish(store, threadOf('a'));
    const [key = ''] = await kept(store);
    const gone = Array.from({ length: 1_000 }, (_, index) => [`thread_gone_${index}`, 'mark']);
    await store.redis.hset(key, ...gone.flat());
    while ((await store.redis.hlen(key)) > 2) await sweep(store);
    expect(await read(store, threadOf('a'))).toEqual(ended);
  });

  test('stays for a thread that came back while it was looked at', async () => {
    const store = await openStore(server.url);
    await finish(store, threadOf('a'));
    const [key = ''] = await kept(store);
    const [, before = ''] =
      Object.entries(await store.redis.hgetall(key)).find(([id]) => id === 'thread_a') ?? [];
    await store.objects.threads.delete(threadOf('a'));
    const again = { ...threadOf('a'), runId: 'run_again' };
    const ended = await finish(store, again);
    expect(await store.redis.unneed(1, key, ':content', 'thread_a', before)).toBe(0);
    expect(await read(store, again)).toEqual(ended);
  });

  test('is in the index again when a run kept it while it was being removed', async () => {
    const store = await openStore(server.url);
    await finish(store, threadOf('a'));
    await store.objects.threads.delete(threadOf('a'));
    const redis = withMethod(store.redis, 'zrem', async (...args: [string, string]) => {
      await finish(store, threadOf('b'));
      return store.redis.zrem(...args);
    });
    await new Contents(redis, store.keys, store.nowMs, silent).sweep(store.nowMs() + DAY_MS);
    expect([(await kept(store)).length, await indexed(store)]).toEqual([1, 1]);
  });

  test('and is lost is told as damage, and comes back with the next run that needs it', async () => {
    const store = await openStore(server.url);
    const ended = await finish(store, threadOf('a'));
    await store.redis.del(...(await kept(store)));
    await expect(store.runs.get(threadOf('a'))).rejects.toThrow('run run_a is damaged');
    expect(await store.objects.runs.list(threadOf('a'), ALL)).toMatchObject({ items: [] });
    await finish(store, threadOf('b'));
    expect(await read(store, threadOf('a'))).toEqual(ended);
  });
});
