/**
 * Cold threads: what leaves Redis comes back as it was, whoever asks for it first and whatever happens in between; and a thread
 * that is used does not leave.
 */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { ApiError } from '../../src/errors.ts';
import { isFull } from '../../src/store/away.ts';
import { ColdThreads } from '../../src/store/cold-threads.ts';
import { Freezer } from '../../src/store/freezer.ts';
import { packed, unpacked, type FrozenKey } from '../../src/store/frozen.ts';
import { Imports } from '../../src/store/imports.ts';
import type { StoredItem } from '../../src/runs/items.ts';
import type { ThreadRef } from '../../src/store/keys.ts';
import { openState } from '../../src/store/redis.ts';
import type { ScriptedRedis } from '../../src/store/scripts.ts';
import { startPrivateRedis, startRedis, type RedisServer } from '../support/redis.ts';
import {
  COMPLETED,
  contents,
  CREATED_AT,
  create,
  keysOf,
  must,
  newMessage,
  newRun,
  newThread,
  OPEN_MESSAGE,
  openHub,
  openStore,
  PROJECT,
  refOf,
  setEverywhere,
  silent,
  start,
  startTalking,
  THREAD,
  withMethod,
  type Store,
} from './fixture.ts';

const ITEM: StoredItem = {
  id: 'item_1',
  object: 'thread.item',
  created_at: CREATED_AT,
  thread_id: THREAD.threadId,
  run_id: null,
  status: 'completed',
  item: { type: 'message', role: 'developer', content: 'Be brief.' },
};

const PAGE = { limit: 10, order: 'asc', after: null, before: null } as const;

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => server.stop());

/** A store with one thread: a question, an ended run with its answer, and metadata that was given later. */
async function withThread(wrap?: (redis: ScriptedRedis) => ScriptedRedis, { url } = server): Promise<Store> {
  const store = await openStore(url, wrap);
  await store.objects.threads.create(PROJECT, newThread(), [newMessage('msg_0')]);
  await run(store);
  await store.objects.labels.set(THREAD, 'msg_0', { said: 'first' });
  await store.objects.labels.set(THREAD, 'run_1', { asked: 'once' });
  const gone = newMessage('msg_gone');
  await store.objects.line.add(THREAD, gone);
  await store.objects.messages.delete(THREAD, gone);
  await store.objects.line.add(THREAD, ITEM);
  return store;
}

/** A run that has ended. */
async function run(store: Store, ref = refOf()): Promise<void> {
  await store.runs.commit(await startTalking(store, ref), COMPLETED);
}

async function freeze(store: Store, ref: ThreadRef = THREAD): Promise<unknown> {
  const [outcome] = await store.freezer.freeze([{ ref, usedMs: 0 }]);
  return outcome;
}

/** What is stored of the thread, without the note of its return. */
async function stored(store: Store): Promise<Readonly<Record<string, unknown>>> {
  const { thread } = store.keys.ownKeys(THREAD);
  const all = await contents(store);
  return Object.fromEntries(
    Object.entries(all)
      .filter(([key]) => key.includes(`{${THREAD.threadId}}`))
      .map(([key, value]) => [key, key === thread ? withoutReturn(value) : value]),
  );
}

function withoutReturn(value: unknown): unknown {
  const entries = typeof value === 'object' && value !== null ? Object.entries(value) : [];
  return Object.fromEntries(entries.filter(([field]) => field !== ':thawed'));
}

const isCold = async ({ redis, keys }: Store): Promise<boolean> =>
  (await redis.hexists(keys.thread(THREAD), ':cold')) === 1;

/** What a thread may be asked, and be told, first. */
const TOUCHES: Readonly<Record<string, (store: Store) => Promise<unknown>>> = {
  'its document': ({ objects }) => objects.threads.get(THREAD),
  'its change': ({ objects }) => objects.threads.update(THREAD, (old) => ({ ...old, metadata: { a: 'b' } })),
  'a message': ({ objects }) => objects.messages.get(THREAD, 'msg_0'),
  'a message that is not there': ({ objects }) => objects.messages.get(THREAD, 'msg_none'),
  'its messages': ({ objects }) => objects.messages.list(THREAD, null, PAGE),
  'its messages from a cursor on': ({ objects }) =>
    objects.messages.list(THREAD, null, { ...PAGE, after: 'msg_gone' }),
  'the messages of a run': ({ objects }) => objects.messages.list(THREAD, 'run_1', PAGE),
  'a new message': ({ objects }) => objects.line.add(THREAD, newMessage('msg_2')),
  'a deleted message': ({ objects }) => objects.messages.delete(THREAD, newMessage('msg_0')),
  'metadata of a message': ({ objects }) => objects.labels.set(THREAD, 'msg_0', { said: 'again' }),
  'given metadata': ({ objects }) => objects.labels.get(THREAD, 'msg_0'),
  'a run': ({ runs }) => runs.get(refOf()),
  'its runs': ({ objects }) => objects.runs.list(THREAD, PAGE),
  'a step': ({ objects }) => objects.steps.get(THREAD, 'step_1'),
  'the steps of a run': ({ objects }) => objects.steps.list(refOf(), PAGE),
  'a new run': ({ runs }) => runs.create(PROJECT, newRun(refOf('run_2'), { thread: null })),
  'an import': async (store) => [
    ...(await new Imports(store, store.objects.assistants).messages(PROJECT, newThread(), [
      newMessage('msg_0'),
      newMessage('msg_2'),
    ])),
  ],
  'a thread of its name': ({ objects }) =>
    (async () => (await objects.threads.create(PROJECT, newThread(), [])) ?? 'made')(),
  'how far it has come': ({ objects }) => objects.line.head(THREAD),
  'where it goes on': ({ objects }) => objects.line.after(refOf()),
  'what it goes on from': ({ objects }) => objects.line.base(THREAD),
  'the place of a run': ({ objects }) => objects.line.placeOf(refOf()),
  'its items': ({ objects }) =>
    objects.line.items(THREAD, { after: -Infinity, before: Infinity, order: 'desc', limit: 10 }),
  'an item': ({ objects }) => objects.line.find(THREAD, 'msg_1'),
  'an item that is not there': ({ objects }) => objects.line.find(THREAD, 'item_none'),
  'the thoughts of its steps': async ({ objects }) => [...(await objects.line.thoughts(THREAD, ['step_1']))],
  'whether a response was forgotten': ({ objects }) => objects.line.isForgotten(refOf()),
  'a response that is to be forgotten': async ({ objects }) => {
    await objects.line.forgetResponse(refOf());
    return objects.line.isForgotten(refOf());
  },
  'an item that is to go': ({ objects }) => objects.line.remove(THREAD, 'item_1'),
  'the prompt of a thread that goes on from it': async (store) => {
    const ref = refOf('run_2', { project: PROJECT, threadId: 'thread_2' });
    const base = { thread_id: THREAD.threadId, before: 100 };
    await create(store, ref, { thread: newThread('thread_2'), base });
    const reading = store.objects.histories.open(ref, { maxBytes: 1e6, largeBytes: 1e6 });
    return reading.within({ maxTokens: 1e6, lastMessages: null });
  },
  'the events of a run': async (store) => {
    const { hub } = await openHub(store);
    for await (const entries of hub.follow(refOf(), new AbortController().signal)) return entries;
    return null;
  },
};

/** An answer as text, but for the versions of runs, which are random. */
const comparable = (answer: unknown): string =>
  JSON.stringify(answer, (key, value: unknown) => (key === 'version' ? 'any' : value)) ?? 'nothing';

describe('a thread that is frozen', () => {
  test('leaves a mark of some bytes in Redis, and comes back as it was', async () => {
    const store = await withThread();
    const before = await stored(store);
    expect(Object.keys(before).length).toBeGreaterThan(8);
    expect(await freeze(store)).toBe('frozen');
    const mark = await markOf(store);
    expect(await stored(store)).toStrictEqual({ [store.keys.thread(THREAD)]: { ':cold': mark } });
    expect(mark).toMatch(/^\w{20}:\d+$/);
    await store.objects.threads.get(THREAD);
    expect(await stored(store)).toStrictEqual(before);
  });

  test.each(Object.keys(TOUCHES))('answers as if it had never left: %s', async (name) => {
    const [store, other] = [await withThread(), await withThread()];
    expect(await freeze(store)).toBe('frozen');
    const ask = must(TOUCHES[name]);
    expect(comparable(await ask(store))).toBe(comparable(await ask(other)));
    expect(await isCold(store)).toBe(false);
  });

  test('keeps what it goes on from', async () => {
    const store = await openStore(server.url);
    const base = { thread_id: 'thread_0', before: 7 };
    await store.runs.commit(await start(store, refOf(), { base }), [...OPEN_MESSAGE, ...COMPLETED]);
    expect(await freeze(store)).toBe('frozen');
    expect(await store.objects.line.base(THREAD)).toEqual(base);
  });

  test('is there for whoever asks no more than that, and held by nobody', async () => {
    const store = await withThread();
    await freeze(store);
    expect(await store.objects.threads.exists(THREAD)).toBe(true);
    expect(await store.objects.threads.activeRun(THREAD)).toEqual({ exists: true, runId: null });
    expect(await isCold(store)).toBe(true);
  });

  test('has its runs in the list of its project, and stays where it is', async () => {
    const [store, other] = [await withThread(), await withThread()];
    await freeze(store);
    const list = async ({ objects }: Store): Promise<string> =>
      comparable(await objects.recentRuns.list(PROJECT, PAGE));
    expect(await list(store)).toBe(await list(other));
    expect(await isCold(store)).toBe(true);
  });

  test('is listed with its metadata, and stays where it is', async () => {
    const store = await withThread();
    await store.objects.threads.update(THREAD, (old) => ({ ...old, metadata: { device: 'lamp' } }));
    const before = await store.objects.threads.list(PROJECT, PAGE, { device: 'lamp' });
    await freeze(store);
    expect(await store.objects.threads.list(PROJECT, PAGE, { device: 'lamp' })).toEqual(before);
    expect(await store.objects.threads.list(PROJECT, PAGE, { device: 'door' })).toMatchObject({ items: [] });
    expect(await isCold(store)).toBe(true);
  });

  test('is deleted with its row', async () => {
    const store = await withThread();
    await freeze(store);
    expect(store.rows.rows.size).toBe(1);
    expect(await store.objects.threads.delete(THREAD)).toBe(true);
    expect(store.rows.rows.size).toBe(0);
    expect(await stored(store)).toEqual({});
    expect(await store.objects.threads.get(THREAD)).toBeNull();
    expect(await store.threadIndex.count()).toBe(0);
  });

  test('is deleted with its row after it has come back, and after it was frozen anew', async () => {
    const store = await withThread();
    await freeze(store);
    await store.objects.threads.get(THREAD);
    expect(await freeze(store)).toBe('frozen');
    expect(store.rows.rows.size).toBe(2);
    await store.objects.threads.get(THREAD);
    await store.objects.threads.delete(THREAD);
    expect(store.rows.rows.size).toBe(1);
    // The first row is named by nobody any more, and so it is found.
    expect(await later(store, 3).tidy(undefined, true)).toBe(1);
  });

  test('is deleted by age, cold or not', async () => {
    const store = await withThread();
    await store.freezer.sweep(-1_000);
    expect(await isCold(store)).toBe(true);
    expect(await store.threadIndex.endUnused(store.objects.threads, 1, store.nowMs() + 3 * 86_400_000)).toBe(
      1,
    );
    expect(store.rows.rows.size).toBe(0);
    expect(await store.threadIndex.count()).toBe(0);
  });

  test('keeps the instructions that its runs share', async () => {
    const store = await openStore(server.url);
    const instructions = 'Say little. '.repeat(200);
    const made = newRun();
    const begun = await start(store, refOf(), { run: { ...made.run, instructions } });
    await store.runs.commit(begun, [...OPEN_MESSAGE, ...COMPLETED]);
    expect(await freeze(store)).toBe('frozen');
    await store.contents.sweep(store.nowMs() + 7_200_000);
    expect(must(await store.runs.get(refOf())).stored.state.run.instructions).toBe(instructions);
  });

  test('keeps the end of what expires', async () => {
    const store = await withThread();
    const log = store.keys.log(refOf());
    const before = await store.redis.pexpiretime(log);
    await freeze(store);
    await store.objects.threads.get(THREAD);
    expect(Math.abs((await store.redis.pexpiretime(log)) - before)).toBeLessThan(1_000);
    await freeze(store);
    const later = new ColdThreads({ ...store, nowMs: () => before + 5_000, log: silent });
    expect(await later.find(THREAD, async () => ((await isCold(store)) ? null : 'back'))).toBe('back');
    expect(await store.redis.exists(log)).toBe(0);
    expect(await store.runs.get(refOf())).not.toBeNull();
  });
});

describe('a thread that is used while it is read', () => {
  const uses: Readonly<Record<string, (store: Store) => Promise<unknown>>> = {
    'a response that is forgotten': ({ objects }) => objects.line.forgetResponse(refOf()),
    'an item that goes': ({ objects }) => objects.line.remove(THREAD, 'item_1'),
    'a message': ({ objects }) => objects.line.add(THREAD, newMessage('msg_2')),
    'a deleted message': ({ objects }) => objects.messages.delete(THREAD, newMessage('msg_0')),
    'metadata of a message': ({ objects }) => objects.labels.set(THREAD, 'msg_0', { said: 'again' }),
    'metadata of its own': ({ objects }) =>
      objects.threads.update(THREAD, (old) => ({ ...old, metadata: { a: 'b' } })),
    'a run': (store) => create(store, refOf('run_2'), { thread: null }),
    'a run that has ended': (store) => run(store, refOf('run_2')),
    'an import': (store) =>
      new Imports(store, store.objects.assistants).messages(PROJECT, newThread(), [newMessage('msg_2')]),
    'its deletion': ({ objects }) => objects.threads.delete(THREAD),
    'another thread of its name': async ({ objects }) => {
      await objects.threads.delete(THREAD);
      await objects.threads.create(PROJECT, newThread(), [newMessage('msg_other')]);
    },
  };

  test.each(Object.keys(uses))('stays: %s', async (name) => {
    const store = await withThread();
    const use = must(uses[name]);
    let after: unknown;
    store.rows.onKeep = async () => {
      await use(store);
      after = await stored(store);
    };
    expect(await freeze(store)).toBe('changed');
    expect(await stored(store)).toEqual(after);
  });

  test('a run that has begun holds its thread', async () => {
    const store = await withThread();
    await start(store, refOf('run_2'), { thread: null });
    expect(await freeze(store)).toBe('changed');
    expect(store.rows.rows.size).toBe(0);
  });

  test('a run that has not ended keeps its thread, also without the lock', async () => {
    const store = await withThread();
    await start(store, refOf('run_2'), { thread: null });
    await store.redis.del(store.keys.active(THREAD));
    expect(await freeze(store)).toBe('stays');
  });
});

describe('what breaks in between', () => {
  /** Sends a script twice, as a client library does that has reconnected; the reply is the second one's. */
  const twice =
    (name: 'freeze' | 'thaw' | 'strike' | 'takein') =>
    (redis: ScriptedRedis): ScriptedRedis =>
      withMethod(redis, name, async (...args: (string | number)[]) => {
        await redis[name](...args);
        return redis[name](...args);
      });

  test('a thread that is frozen twice is frozen', async () => {
    const store = await withThread(twice('freeze'));
    const before = await stored(store);
    expect(await freeze(store)).toBe('frozen');
    expect(store.cold.counts.frozen).toBe(1);
    await store.objects.threads.get(THREAD);
    expect(await stored(store)).toStrictEqual(before);
  });

  test('a thread that is put back twice is there once', async () => {
    const store = await withThread(twice('thaw'));
    const before = await stored(store);
    await freeze(store);
    await store.objects.line.add(THREAD, newMessage('msg_2'));
    await store.objects.messages.delete(THREAD, newMessage('msg_2'));
    expect((await stored(store))[store.keys.messages(THREAD).index]).toEqual(
      before[store.keys.messages(THREAD).index],
    );
  });

  test('a process that dies behind the row leaves the thread where it was', async () => {
    const store = await withThread();
    const before = await stored(store);
    store.rows.onKeep = async () => {
      throw new Error('killed');
    };
    await expect(freeze(store)).rejects.toThrow('killed');
    expect(await stored(store)).toStrictEqual(before);
    store.rows.onKeep = async () => {};
    expect(await freeze(store)).toBe('frozen');
    expect(store.rows.rows.size).toBe(2);
    // Only the row that is named stays, and the other one not before an hour is over.
    expect(await store.freezer.tidy(undefined, true)).toBe(0);
    expect(await later(store, 2).tidy(undefined, true)).toBe(1);
    expect(await store.objects.messages.get(THREAD, 'msg_0')).not.toBeNull();
  });

  test('the row of a thread that came back stays for an hour, for a replica that has not heard of it', async () => {
    const store = await withThread();
    await freeze(store);
    for (const [version, row] of store.rows.rows)
      store.rows.rows.set(version, { ...row, madeMs: row.madeMs - 86_400_000 });
    await store.objects.threads.get(THREAD);
    expect(await store.freezer.tidy(undefined, true)).toBe(0);
    expect(await later(store, 2).tidy(undefined, true)).toBe(1);
  });

  test('whoever comes first brings it back, and all others wait for that', async () => {
    const store = await withThread();
    const before = await store.objects.messages.list(THREAD, null, PAGE);
    await freeze(store);
    const pages = await Promise.all(
      Array.from({ length: 20 }, async () => store.objects.messages.list(THREAD, null, PAGE)),
    );
    expect(pages).toEqual(pages.map(() => before));
    expect(store.rows.fetches).toBe(1);
    expect(store.cold.counts.thawed).toBe(1);
  });

  test('of two processes one brings it back', async () => {
    const store = await withThread();
    const other = new ColdThreads({ ...store, log: silent });
    await freeze(store);
    const mark = must(await markOf(store));
    await Promise.all([store.cold.bringBack(THREAD, mark), other.bringBack(THREAD, mark)]);
    expect(store.cold.counts.thawed + other.counts.thawed).toBe(1);
    expect(await store.objects.messages.get(THREAD, 'msg_0')).not.toBeNull();
  });

  test('what is written while another brings it back is kept', async () => {
    const store = await withThread();
    await freeze(store);
    const mark = must(await markOf(store));
    const other = new ColdThreads({ ...store, log: silent });
    store.rows.onFetch = async () => {
      store.rows.onFetch = async () => {};
      await other.bringBack(THREAD, mark);
      await store.objects.line.add(THREAD, newMessage('msg_2'));
    };
    await store.cold.bringBack(THREAD, mark);
    expect(await store.objects.messages.get(THREAD, 'msg_2')).not.toBeNull();
  });

  test('a thread that is deleted while it comes back is gone', async () => {
    const store = await withThread();
    await freeze(store);
    store.rows.onFetch = async () => void (await store.objects.threads.delete(THREAD));
    expect(await store.objects.threads.get(THREAD)).toBeNull();
    expect(await stored(store)).toEqual({});
  });

  test('a row that is missing is an error that says so, and never an empty thread', async () => {
    const store = await withThread();
    await freeze(store);
    store.rows.rows.clear();
    for (const [name, ask] of Object.entries(TOUCHES)) {
      const error: unknown = await ask(store).catch((reason: unknown) => reason);
      expect(error, name).toBeInstanceOf(ApiError);
      expect(error, name).toMatchObject({ status: 500, code: 'thread_lost', message: /no row of it/ });
    }
    expect(await store.objects.threads.delete(THREAD)).toBe(true);
    expect(await store.objects.threads.get(THREAD)).toBeNull();
  });

  test('a database that is away is an error that passes', async () => {
    const store = await withThread();
    await freeze(store);
    store.rows.away = new Error('away');
    await expect(store.objects.threads.get(THREAD)).rejects.toMatchObject({
      status: 503,
      code: 'thread_unavailable',
    });
    store.rows.away = null;
    expect(await store.objects.threads.get(THREAD)).toEqual(newThread());
  });

  test('a row that cannot be put back leaves the thread cold, and nothing of it', async () => {
    const store = await withThread();
    await freeze(store);
    const row = must([...store.rows.rows.values()][0]);
    const { version, body: good } = row;
    const keys: readonly FrozenKey[] = [
      ...(await unpacked(good, THREAD)),
      { name: 'runs', kind: 'zset', values: ['no number', 'x'] },
    ];
    store.rows.rows.set(version, { ...row, body: await packed(keys) });
    await expect(store.objects.threads.get(THREAD)).rejects.toThrow('not a valid float');
    expect(Object.keys(await stored(store))).toEqual([store.keys.thread(THREAD)]);
    store.rows.rows.set(version, { ...row, body: Buffer.from('no row') });
    await expect(store.objects.threads.get(THREAD)).rejects.toThrow('damaged');
    store.rows.rows.set(version, { ...row, body: good });
    expect(await store.objects.threads.get(THREAD)).toEqual(newThread());
  });

  test('a row of another thread is none of this one', async () => {
    const store = await withThread();
    await freeze(store);
    for (const [version, row] of store.rows.rows) store.rows.rows.set(version, { ...row, project: 'q' });
    await expect(store.objects.threads.get(THREAD)).rejects.toMatchObject({ code: 'thread_lost' });
  });

  test('a full Redis lets threads go, and takes them back when it has room', async () => {
    const full = await startPrivateRedis();
    onTestFinished(async () => full.stop());
    const store = await withThread(undefined, full);
    await freeze(store);
    await store.objects.threads.get(THREAD);
    await setEverywhere(store, 'maxmemory', '1');
    expect(await freeze(store)).toBe('frozen');
    const hasty = await openState(full.url, 'fail', silent);
    onTestFinished(() => hasty.disconnect());
    const cold = new ColdThreads({ ...store, redis: hasty, log: silent });
    const refused: unknown = await cold
      .bringBack(THREAD, must(await markOf(store)))
      .catch((err: unknown) => err);
    expect(isFull(refused)).toBe(true);
    expect(await stored(store)).toEqual({ [store.keys.thread(THREAD)]: expect.anything() as unknown });
    await setEverywhere(store, 'maxmemory', '0');
    expect(await store.objects.messages.get(THREAD, 'msg_0')).not.toBeNull();
  });

  test('an import that is sent twice is taken in once', async () => {
    const store = await openStore(server.url, twice('takein'));
    const imports = new Imports(store, store.objects.assistants);
    await imports.messages(PROJECT, newThread(), [newMessage('msg_1'), newMessage('msg_2')]);
    expect(await store.objects.messages.list(THREAD, null, PAGE)).toMatchObject({ items: { length: 2 } });
  });
});

describe('the sweep', () => {
  const idOf = (number: number): string => `thread_${number}`;

  async function withThreads(count: number): Promise<Store> {
    const store = await openStore(server.url);
    for (let number = 1; number <= count; number += 1) {
      const id = idOf(number);
      await store.objects.threads.create(PROJECT, newThread(id), [newMessage(`msg_${number}`, id)]);
      await store.redis.zadd(store.keys.threads, number * 1_000, `${PROJECT}/${id}`);
    }
    return store;
  }

  test('takes those that were not used for long, and leaves the others', async () => {
    const store = await withThreads(5);
    const { redis, keys, threadIndex } = store;
    const freezer = new Freezer({ ...store, nowMs: () => 10_000, log: silent });
    expect(await freezer.sweep(7_000)).toBe(3);
    const members = (numbers: readonly number[]): readonly string[] =>
      numbers.map((number) => `${PROJECT}/${idOf(number)}`);
    expect(await redis.zrange(keys.cold.threads, '0', '-1')).toEqual(members([1, 2, 3]));
    expect(await redis.zrange(keys.threads, '0', '-1')).toEqual(members([4, 5]));
    expect([await threadIndex.count(), await threadIndex.countCold()]).toEqual([5, 3]);
    await store.objects.threads.get({ project: PROJECT, threadId: idOf(1) });
    expect(await redis.zrange(keys.threads, '0', '-1')).toEqual(members([4, 5, 1]));
    await expect.poll(async () => threadIndex.countCold()).toBe(2);
    expect(await freezer.sweep(7_000)).toBe(0);
  });

  test('passes over what cannot be frozen', async () => {
    const store = await withThreads(3);
    const { redis, keys } = store;
    await redis.hset(keys.run(refOf('run_x', { project: PROJECT, threadId: idOf(1) })), 'doc', 'no document');
    await redis.zadd(keys.runs({ project: PROJECT, threadId: idOf(1) }), 1, 'run_x');
    const freezer = new Freezer({ ...store, nowMs: () => 10_000, log: silent });
    expect(await freezer.sweep(1_000)).toBe(2);
    expect(await freezer.sweep(1_000)).toBe(0);
  });

  test('finishes what another began: a thread that is cold, and listed among the others', async () => {
    const store = await withThreads(1);
    const ref = { project: PROJECT, threadId: idOf(1) };
    await freeze(store, ref);
    await store.redis.del(store.keys.cold.threads);
    await store.redis.zadd(store.keys.threads, 1_000, `${PROJECT}/${idOf(1)}`);
    expect(await store.freezer.sweep(1_000)).toBe(0);
    expect(await store.threadIndex.countCold()).toBe(1);
    expect(await store.redis.zcard(store.keys.threads)).toBe(0);
  });

  test('forgets what is not there', async () => {
    const store = await openStore(server.url);
    await store.redis.zadd(store.keys.threads, 1_000, `${PROJECT}/nowhere`);
    expect(await store.freezer.sweep(1_000)).toBe(0);
    await expect.poll(async () => store.redis.exists(store.keys.threads)).toBe(0);
    expect(await keysOf(store)).not.toContain(store.keys.thread({ project: PROJECT, threadId: 'nowhere' }));
  });
});

/** The freezer of a process that runs so many hours later. */
function later(store: Store, hours: number): Freezer {
  return new Freezer({ ...store, nowMs: () => store.nowMs() + hours * 3_600_000, log: silent });
}

async function markOf({ redis, keys }: Store): Promise<string | null> {
  return redis.hget(keys.thread(THREAD), ':cold');
}
