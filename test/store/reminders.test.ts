/** What is remembered beside the runs: which of them to look at, which workers live, and first answers to requests. */
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  onTestFinished,
  test,
  vi,
} from 'vitest';
import { IdempotencyRecords, type FirstAnswer } from '../../src/store/idempotency-records.ts';
import {
  announceWorker,
  countWorkers,
  isHostAlive,
  readWorkers,
  workerId,
  type WorkerFigures,
} from '../../src/store/presence.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import {
  ANSWERED,
  CALL,
  create,
  openStore,
  PROJECT,
  refOf,
  setEverywhere,
  start,
  type Store,
} from './fixture.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => server.stop());

describe('the index of open runs', () => {
  const dueIds = async ({ open }: Store, limit = 10): Promise<readonly string[]> =>
    (await open.due(limit)).runs.map(({ runId }) => runId);

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'], now: 1_000_000 });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('names a run some seconds after it was added, when it may have been forgotten', async () => {
    const store = await openStore(server.url);
    await store.open.add(refOf(), 2_000);
    expect((await store.open.due(10)).runs).toStrictEqual([]);
    vi.setSystemTime(1_005_000);
    expect((await store.open.due(10)).runs).toStrictEqual([refOf()]);
  });

  test('names a run that ends sooner when it ends', async () => {
    const store = await openStore(server.url);
    await store.open.add(refOf(), 1_002);
    vi.setSystemTime(1_002_000);
    expect((await store.open.due(10)).runs).toStrictEqual([refOf()]);
  });

  test('names the longest waiting first, and no more than it is asked for', async () => {
    const store = await openStore(server.url);
    await store.open.lookAt(refOf('run_late'), 900);
    await store.open.lookAt(refOf('run_early'), 100);
    await store.open.lookAt(refOf('run_future'), 1_000_001);
    expect(await dueIds(store)).toStrictEqual(['run_early', 'run_late']);
    expect(await dueIds(store, 1)).toStrictEqual(['run_early']);
  });

  test('moves a run that is looked at again, and forgets one that has ended', async () => {
    const store = await openStore(server.url);
    await store.open.lookAt(refOf(), 100);
    await store.open.lookAt(refOf(), 2_000_000);
    expect(await dueIds(store)).toStrictEqual([]);
    vi.setSystemTime(2_000_000);
    expect(await dueIds(store)).toStrictEqual(['run_1']);
    await store.open.forget(refOf());
    expect(await dueIds(store)).toStrictEqual([]);
    expect(await store.redis.exists(store.keys.open)).toBe(0);
  });

  test('names a run again some seconds after its client has answered it, when its job may have been lost', async () => {
    const store = await openStore(server.url);
    await store.runs.commit(await start(store), CALL);
    await store.open.lookAt(refOf(), 9_000_000);
    await store.runs.change(refOf(), () => ANSWERED);
    vi.setSystemTime(1_005_000);
    expect(await dueIds(store)).toStrictEqual(['run_1']);
  });

  test('does not remember a run again that has ended while somebody looked at it', async () => {
    const store = await openStore(server.url);
    await store.open.postpone(refOf(), 100);
    expect(await dueIds(store)).toStrictEqual([]);
    await store.open.lookAt(refOf(), 100);
    await store.open.postpone(refOf(), 2_000_000);
    expect(await dueIds(store)).toStrictEqual([]);
  });

  test('is not put off by who looked at it before it was remembered anew', async () => {
    const store = await openStore(server.url);
    await store.open.lookAt(refOf(), 100);
    expect(await dueIds(store)).toStrictEqual(['run_1']);
    // Its client answers between the sweeper's look and what that leads to.
    await store.open.add(refOf(), null);
    await store.open.postpone(refOf(), 600_000_000);
    vi.setSystemTime(1_005_000);
    expect(await dueIds(store)).toStrictEqual(['run_1']);
  });

  test('waits, as a commit does, while Redis refuses writes', async () => {
    const store = await openStore(server.url);
    await setEverywhere(store, 'maxmemory', '1');
    const remembered = store.open.add(refOf(), null);
    const early = await Promise.race([remembered.then(() => 'done'), store.redis.ping()]);
    expect(early).toBe('PONG');
    await setEverywhere(store, 'maxmemory', '0');
    await remembered;
    expect(await store.redis.zcard(store.keys.open)).toBe(1);
  });

  test('forgets a run as soon as it has ended', async () => {
    const store = await openStore(server.url);
    await create(store);
    expect(await store.redis.zcard(store.keys.open)).toBe(1);
    await store.runs.close(refOf(), { type: 'expired' });
    await vi.waitUntil(async () => (await store.redis.zcard(store.keys.open)) === 0);
  });

  test('says how many runs each project has open, however many there are', async () => {
    const store = await openStore(server.url);
    expect(await store.open.countByProject()).toStrictEqual(new Map());
    for (let index = 0; index < 1_500; index += 1)
      void store.open.add({ project: 'many', threadId: 'thread_1', runId: `run_${index}` }, 2_000);
    await create(store);
    expect(await store.open.countByProject()).toStrictEqual(
      new Map([
        ['many', 1_500],
        [PROJECT, 1],
      ]),
    );
    await store.runs.close(refOf(), { type: 'expired' });
    await vi.waitUntil(async () => !(await store.open.countByProject()).has(PROJECT));
  });

  test('is swept by one at a time, and by the next when that one’s time is over', async () => {
    const store = await openStore(server.url);
    expect(await store.open.lease('a', 60_000)).toBe(true);
    expect(await store.open.lease('b', 60_000)).toBe(false);
    expect(await store.redis.pttl(store.keys.sweeper)).toBeGreaterThan(0);
    await store.redis.pexpire(store.keys.sweeper, 0);
    expect(await store.open.lease('b', 60_000)).toBe(true);
  });
});

describe('workers', () => {
  const figures = (): WorkerFigures => ({
    busy: 1,
    slots: 2,
    rebuilds: 3,
    stalls: 4,
    commits: { 'run.started': 5 },
    cold: { frozen: 6, thawed: 7, thawMs: 8 },
    failures: { server_error: { default: 6 } },
    sinceMs: null,
    saidMs: null,
    running: [],
    mcp: [],
    skewMs: 9,
    measured: { run_seconds: { completed: [1.5, 0, 1] } },
  });

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date', 'setInterval', 'clearInterval'], now: 1_000_000 });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('count from when they say that they are there until they say that they leave', async () => {
    const store = await openStore(server.url);
    expect(await countWorkers(store)).toBe(0);
    const leaves = await Promise.all(['a', 'b'].map(async (id) => announceWorker(store, id, figures)));
    expect(await countWorkers(store)).toBe(2);
    for (const leave of leaves) await leave();
    expect(await countWorkers(store)).toBe(0);
  });

  test('do not count when they have long said nothing, and are trimmed by those that live', async () => {
    const store = await openStore(server.url);
    const { redis, keys } = store;
    await redis.zadd(keys.workers, 1_000_000, 'killed');
    vi.setSystemTime(1_014_999);
    expect(await countWorkers(store)).toBe(1);
    vi.setSystemTime(1_015_001);
    expect(await countWorkers(store)).toBe(0);
    const leave = await announceWorker(store, 'alive', figures);
    expect(await redis.zrange(keys.workers, '0', '-1')).toStrictEqual(['alive']);
    await leave();
  });

  test('say every few seconds that they are alive, and no more once they have left', async () => {
    const store = await openStore(server.url);
    const { redis, keys } = store;
    const leave = await announceWorker(store, 'a', figures);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await countWorkers(store)).toBe(1);
    await leave();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await redis.exists(keys.workers)).toBe(0);
  });

  test('say how they are, by a name that does not tell where they run, until they leave', async () => {
    const store = await openStore(server.url);
    const { redis, keys } = store;
    const leave = await announceWorker(store, 'host/abc', figures);
    // One of an older version.
    await redis.zadd(keys.workers, 1_000_000, 'host/old');
    await redis.set(keys.worker('host/old'), '{"busy":1,"slots":5}');
    expect(await readWorkers(store)).toStrictEqual([
      { name: 'abc', ...figures() },
      {
        name: 'old',
        busy: 1,
        slots: 5,
        rebuilds: 0,
        stalls: 0,
        commits: {},
        cold: { frozen: 0, thawed: 0, thawMs: 0 },
        failures: {},
        sinceMs: null,
        saidMs: null,
        running: [],
        mcp: [],
        skewMs: 0,
        measured: {},
      },
    ]);
    expect(await redis.pttl(keys.worker('host/abc'))).toBeGreaterThan(0);
    await leave();
    expect(await redis.exists(keys.worker('host/abc'))).toBe(0);
  });

  test('are known by their host', async () => {
    const store = await openStore(server.url);
    const leave = await announceWorker(store, workerId('host-1'), figures);
    expect(await isHostAlive(store, 'host-1')).toBe(true);
    expect(await isHostAlive(store, 'host')).toBe(false);
    expect(workerId('host-1')).not.toBe(workerId('host-1'));
    vi.setSystemTime(1_016_000);
    expect(await isHostAlive(store, 'host-1')).toBe(false);
    await leave();
  });
});

describe('first answers', () => {
  const answer: FirstAnswer = { type: 'json', text: '{"a":1}', headers: { 'x-request-id': 'req_1' } };

  async function openAnswers(): Promise<{ store: Store; answers: IdempotencyRecords }> {
    const store = await openStore(server.url);
    return { store, answers: new IdempotencyRecords(store.redis, store.keys, Date.now) };
  }

  const request = { project: 'p', name: 'name', key: 'key', url: '/threads', body: 'body' };
  const answered = { type: 'answered', first: answer };
  const pending = { type: 'pending' };
  const refused = { type: 'other request' };

  test('are claimed by whoever comes first, pending until there is one, then the same for everybody', async () => {
    const { answers } = await openAnswers();
    const claims = await Promise.all(Array.from({ length: 10 }, async () => answers.claim(request)));
    expect(claims.filter(({ type }) => type === 'claimed')).toHaveLength(1);
    expect(await answers.claim(request)).toEqual(pending);
    await answers.settle(request, answer, 60_000);
    expect(await answers.claim(request)).toMatchObject(answered);
  });

  test('of one project are not another’s', async () => {
    const { answers } = await openAnswers();
    await answers.keep('p', 'digest', answer, 60_000);
    expect(await answers.take('q', 'digest')).toBeNull();
    await answers.claim(request);
    expect(await answers.claim({ ...request, project: 'q' })).toMatchObject({ type: 'claimed' });
  });

  test('are not for another body or another address, pending or not', async () => {
    const { store, answers } = await openAnswers();
    const otherBody = { ...request, body: 'other' };
    const otherUrl = { ...request, name: 'name there', url: '/assistants' };
    await answers.claim(request);
    expect(await answers.claim(otherBody)).toEqual(refused);
    expect(await answers.claim(otherUrl)).toEqual(refused);
    await answers.settle(request, answer, 60_000);
    expect(await answers.claim(otherBody)).toEqual(refused);
    expect(await answers.claim(otherUrl)).toEqual(refused);
    expect(await answers.claim(request)).toMatchObject(answered);
    expect(await store.redis.exists(store.keys.passing('p', 'answer', otherUrl.name))).toBe(0);
  });

  test('that got lost are handed out once, however many ask', async () => {
    const { answers } = await openAnswers();
    await answers.keep('p', 'digest', answer, 60_000);
    const takes = await Promise.all(Array.from({ length: 10 }, async () => answers.take('p', 'digest')));
    expect(takes.filter((taken) => taken !== null)).toEqual([answer]);
  });

  test('a claim that is given up is free again, for any request', async () => {
    const { answers } = await openAnswers();
    await answers.claim(request);
    await answers.release(request);
    expect(await answers.claim({ ...request, name: 'name there', url: '/assistants' })).toMatchObject({
      type: 'claimed',
    });
  });

  test('a claim that was left, or whose time is over, goes to the next with the same nonce', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: 1_000_000 });
    onTestFinished(() => void vi.useRealTimers());
    const { answers } = await openAnswers();
    const claimed = await answers.claim(request);
    const nonce = claimed.type === 'claimed' ? claimed.nonce : '';
    expect(await answers.claim(request)).toEqual(pending);
    vi.setSystemTime(1_011_000);
    expect(await answers.claim(request)).toEqual({ type: 'claimed', nonce });
    expect(await answers.claim(request)).toEqual(pending);
    await answers.leave(request, nonce);
    expect(await answers.claim(request)).toEqual({ type: 'claimed', nonce });
    await answers.settle(request, answer, 60_000);
    expect(await answers.claim(request)).toMatchObject(answered);
  });

  test('and claims expire', async () => {
    const { store, answers } = await openAnswers();
    const ttlMs = async (): Promise<number> =>
      store.redis.pttl(store.keys.passing('p', 'answer', request.name));
    await answers.claim(request);
    expect(await ttlMs()).toBeGreaterThan(0);
    expect(await store.redis.pttl(store.keys.passing('p', 'answer', request.key))).toBeGreaterThan(0);
    await answers.settle(request, answer, 500_000);
    expect(await ttlMs()).toBeGreaterThan(100_000);
    expect(await ttlMs()).toBeLessThanOrEqual(500_000);
  });

  test('of processes of before, which kept no digest of the body, are given to whoever has the key', async () => {
    const { store, answers } = await openAnswers();
    const record = store.keys.passing('p', 'answer', request.name);
    await store.redis.set(record, JSON.stringify({ type: 'claim', nonce: 'old', untilMs: 0 }));
    expect(await answers.claim(request)).toEqual({ type: 'claimed', nonce: 'old' });
    await store.redis.set(record, JSON.stringify(answer));
    expect(await answers.claim(request)).toEqual(answered);
  });
});
