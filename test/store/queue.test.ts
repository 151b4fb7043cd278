/** The queue: a queued run has one job, whoever adds it how often; and what becomes of jobs that are taken. */
import { Queue } from 'bullmq';
import { once } from 'node:events';
import { createConnection, createServer } from 'node:net';
import { setImmediate as nextTick } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { JobConsumer, JobQueue, type ConsumerOptions, type JobOutcome } from '../../src/store/queue.ts';
import type { JobKind } from '../../src/store/job-kind.ts';
import { jobOf, RUN_JOBS, runOf, type RunJob } from '../../src/store/run-jobs.ts';
import { connect, isSharded } from '../../src/store/redis.ts';
import type { ScriptedRedis } from '../../src/store/scripts.ts';
import { needsOneServer, startRedis, type RedisServer } from '../support/redis.ts';
import {
  ANSWERED,
  CALL,
  CANCELLING,
  create,
  must,
  newRun,
  openStore,
  PROJECT,
  read,
  refOf,
  silent,
  start,
  STARTED,
  startTalking,
  type Store,
} from './fixture.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => server.stop());

/** The ids of the jobs that wait. */
async function waiting({ url, keys }: Store): Promise<readonly (string | undefined)[]> {
  const connection = connect(url, { use: 'queue', whenAway: 'wait' });
  const queue = new Queue('runs', { prefix: keys.queue, connection });
  try {
    return (await queue.getJobs()).map(({ id }) => id);
  } finally {
    await queue.close();
    connection.disconnect();
  }
}

/** A worker process, as far as the queue sees it, whose jobs end as `work` says. */
async function consume(
  { url, keys }: Store,
  work: ConsumerOptions<RunJob>['work'],
  more: Partial<ConsumerOptions<RunJob>> = {},
): Promise<JobConsumer<RunJob>> {
  const consumer = new JobConsumer(RUN_JOBS, {
    redisUrl: url,
    keys,
    log: silent,
    nowMs: Date.now,
    concurrency: 5,
    holder: 'host/worker',
    lockMs: 10_000,
    work,
    ...more,
  });
  onTestFinished(async () => consumer.close());
  await consumer.ready();
  return consumer;
}

/** Takes every job for one that was added just now. */
const noWait = { nowMs: () => 0 };

/** The commands of these names that Redis hears from now on, in small letters, and `end` for a ping with that word. */
async function overheard({ url }: Store, names: RegExp): Promise<readonly string[]> {
  const admin = new Redis(url);
  const monitor = await admin.monitor();
  onTestFinished(() => {
    monitor.disconnect();
    admin.disconnect();
  });
  const said: string[] = [];
  monitor.on('monitor', (_, args: readonly string[]) => {
    if (names.test(args[0] ?? '')) said.push(String(args[0]).toLowerCase());
    if (args[0] === 'ping' && args[1] === 'end') said.push('end');
  });
  return said;
}

/** Notes when a run is written and when a job is added, as they are sent. */
function listening(redis: ScriptedRedis, sent: string[]): ScriptedRedis {
  return new Proxy(redis, {
    get: (target, key) => {
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== 'function') return value;
      const name = String(key).replace(/:.*/, '');
      if (!['commit', 'addStandardJob'].includes(name)) return value.bind(target) as unknown;
      return (...args: unknown[]): unknown => {
        sent.push(name);
        return Reflect.apply(value, target, args);
      };
    },
  });
}

/** Resolves when the queue is empty: what was taken is done. */
async function drained(store: Store): Promise<void> {
  while ((await waiting(store)).length > 0);
}

describe('the job of a run', () => {
  test('is there as soon as the run is, and says which run and which request, and shows the run', async () => {
    const store = await openStore(server.url);
    const { state, version, seq } = await create(store);
    expect(await waiting(store)).toStrictEqual(['run_1-1']);
    const taken = Promise.withResolvers<RunJob>();
    await consume(store, async (job) => {
      taken.resolve(job);
      return 'done';
    });
    const job = await taken.promise;
    expect(job).toStrictEqual({ ...refOf(), requestId: 'req_1', turn: 1, run: { state, version, seq } });
    expect(runOf(job)).toStrictEqual(await read(store));
  });

  test('shows the run of a later turn as it is then', async () => {
    const store = await openStore(server.url);
    await store.runs.commit(await start(store), CALL);
    const changed = must(await store.runs.change(refOf(), () => ANSWERED));
    const taken = Promise.withResolvers<RunJob>();
    await consume(store, async (job) => {
      if (job.turn === 2) taken.resolve(job);
      return 'done';
    });
    expect(runOf(await taken.promise)).toStrictEqual(changed.stored);
  });

  test('does not show a run that is large, or that is not queued', async () => {
    const queued = await create(await openStore(server.url));
    const { state } = queued;
    const large = { ...state, run: { ...state.run, instructions: 'x'.repeat(16_384) } };
    expect(jobOf({ ...queued, state: large }).run).toBeUndefined();
    const executing = { ...state, run: { ...state.run, status: 'in_progress' as const } };
    expect(jobOf({ ...queued, state: executing }).run).toBeUndefined();
  });

  test('leaves with the run, behind it and in the same tick, where one server has both', async () => {
    const sent: string[] = [];
    const store = await openStore(server.url, (redis) => listening(redis, sent));
    const creating = create(store);
    await nextTick();
    expect(sent).toStrictEqual(isSharded(store.redis) ? ['commit'] : ['commit', 'addStandardJob']);
    await creating;
    expect(sent).toStrictEqual(['commit', 'addStandardJob']);
  });

  test('of a run that is refused is taken back, and added when the same run is tried again', async () => {
    const store = await openStore(server.url);
    const holder = await create(store, refOf('run_1'));
    const again = newRun(refOf('run_2'), { thread: null });
    expect(await store.runs.create(PROJECT, again)).toMatchObject({ type: 'locked', runId: 'run_1' });
    expect(await waiting(store)).toStrictEqual(['run_1-1']);
    await store.runs.change(holder.ref, () => [CANCELLING]);
    await store.runs.close(holder.ref, { type: 'cancelled' });
    expect(await store.runs.create(PROJECT, again)).toMatchObject({ type: 'created' });
    expect(new Set(await waiting(store))).toStrictEqual(new Set(['run_1-1', 'run_2-1']));
  });

  test('can be added again once it is taken back, though a worker had it', async () => {
    const store = await openStore(server.url);
    const looks: PromiseWithResolvers<void>[] = [Promise.withResolvers(), Promise.withResolvers()];
    const ending = Promise.withResolvers<JobOutcome>();
    let taken = 0;
    await consume(store, async () => {
      looks[taken]?.resolve();
      taken += 1;
      return ending.promise;
    });
    const job = jobOf(await create(store));
    await looks[0]?.promise;
    const withdrawing = store.queue.withdraw(job);
    ending.resolve('done');
    await withdrawing;
    await store.queue.add(job);
    await looks[1]?.promise;
    await drained(store);
    expect(taken).toBe(2);
  });

  test('added again and again is one job, which is done once', async () => {
    const store = await openStore(server.url);
    const queued = await create(store);
    await Promise.all(Array.from({ length: 10 }, async () => store.runs.enqueue(queued)));
    expect(await waiting(store)).toStrictEqual(['run_1-1']);
    let taken = 0;
    await consume(store, async () => {
      taken += 1;
      return 'done';
    });
    await drained(store);
    expect(taken).toBe(1);
  });

  test('is locked for as long as its worker was told, not for the library’s half a minute', async () => {
    const store = await openStore(server.url);
    const taken = Promise.withResolvers<void>();
    const done = Promise.withResolvers<JobOutcome>();
    await consume(store, async () => {
      taken.resolve();
      return done.promise;
    });
    await create(store);
    await taken.promise;
    expect(await store.redis.pttl(`${store.keys.queue}:runs:run_1-1:lock`)).toBeLessThanOrEqual(10_000);
    done.resolve('done');
  });

  test('is one for each turn: after an answer the run has another, though the first was done', async () => {
    const store = await openStore(server.url);
    const taken: string[] = [];
    const consumer = await consume(store, async (job) => {
      taken.push(job.runId);
      return 'done';
    });
    const queued = await create(store);
    await drained(store);
    await store.runs.commit(await store.runs.commit(queued, [STARTED]), CALL);
    await consumer.close();
    await store.runs.change(refOf(), () => ANSWERED);
    expect(await waiting(store)).toStrictEqual(['run_1-2']);
    expect(taken).toStrictEqual(['run_1']);
  });

  test('that is done leaves nothing behind that would swallow the same job later', async () => {
    const store = await openStore(server.url);
    const consumer = await consume(store, async () => 'done');
    const queued = await create(store);
    await drained(store);
    await consumer.close();
    await store.runs.enqueue(queued);
    expect(await waiting(store)).toStrictEqual(['run_1-1']);
  });

  test('is not added by changes that leave the run to nobody', async () => {
    const store = await openStore(server.url);
    const consumer = await consume(store, async () => 'done');
    await startTalking(store);
    await drained(store);
    await consumer.close();
    await store.runs.change(refOf(), () => [CANCELLING]);
    await store.runs.close(refOf(), { type: 'cancelled' });
    expect(await waiting(store)).toStrictEqual([]);
  });

  test('is not needed for the run to be created: without the queue the sweeper finds it', async () => {
    const store = await openStore(server.url);
    await store.queue.close();
    expect((await store.runs.create(PROJECT, newRun())).type).toBe('created');
    expect((await read(store)).state.run.status).toBe('queued');
    expect(await store.redis.zrange(store.keys.open, '0', '-1')).toStrictEqual(['p/thread_1/run_1']);
  });
});

describe('a job that is taken', () => {
  test('is begun before another is asked for, and ends without asking for one', async (context) => {
    needsOneServer(context);
    const store = await openStore(server.url);
    const done = Promise.withResolvers<void>();
    await consume(
      store,
      async () => {
        await store.redis.echo('begun');
        done.resolve();
        return 'done';
      },
      noWait,
    );
    const said = await overheard(store, /^(echo|rpoplpush)$/i);
    await create(store);
    await done.promise;
    await drained(store);
    await store.redis.ping('end');
    await vi.waitUntil(() => said.includes('end'));
    // The second look is for the mark that the first one left: other jobs could have come with it.
    expect(said).toStrictEqual(['rpoplpush', 'echo', 'rpoplpush', 'end']);
  });

  test('and comes alone is begun before the queue is looked at again', async (context) => {
    needsOneServer(context);
    const store = await openStore(server.url);
    const work: ConsumerOptions<RunJob>['work'] = async (_, goesFirst) => {
      const question = store.redis.echo('begun');
      goesFirst(question);
      await question;
      await store.redis.echo('going on');
      return 'done';
    };
    await consume(store, work, noWait);
    const said = await overheard(store, /^(echo|bzpopmin|rpoplpush)$/i);
    await create(store);
    await drained(store);
    await store.redis.ping('end');
    await vi.waitUntil(() => said.includes('end'));
    const order = ['rpoplpush', 'echo', 'echo', 'bzpopmin', 'rpoplpush'];
    expect(said.slice(said.indexOf('rpoplpush')).slice(0, order.length)).toStrictEqual(order);
  });

  test('keeps others waiting no longer than its first question, even if that fails', async () => {
    const store = await openStore(server.url);
    const question = Promise.withResolvers<void>();
    const taken: string[] = [];
    const work: ConsumerOptions<RunJob>['work'] = async ({ runId }, goesFirst) => {
      if (taken.push(runId) === 1) goesFirst(question.promise);
      return 'done';
    };
    await consume(store, work, noWait);
    await create(store);
    await drained(store);
    await create(store, refOf('run_2', { project: PROJECT, threadId: 'thread_2' }));
    question.reject(new Error('no answer'));
    await drained(store);
    expect(taken).toStrictEqual(['run_1', 'run_2']);
  });

  test('after it has waited for long is a sign that others wait, which are then asked for at once', async (context) => {
    needsOneServer(context);
    const store = await openStore(server.url);
    const refs = ['run_1', 'run_2', 'run_3'].map((id) =>
      refOf(id, { project: PROJECT, threadId: `thread_${id}` }),
    );
    for (const ref of refs) await create(store, ref);
    const said = await overheard(store, /^(echo|bzpopmin)$/i);
    const taken = new Set<string>();
    await consume(
      store,
      async ({ runId }) => {
        taken.add(runId);
        await store.redis.echo('begun');
        return 'done';
      },
      { nowMs: () => Date.now() + 60_000 },
    );
    await vi.waitUntil(() => taken.size === 3);
    await drained(store);
    await store.redis.ping('end');
    await vi.waitUntil(() => said.includes('end'));
    expect(said.slice(said.indexOf('echo'), said.lastIndexOf('echo') + 1)).toStrictEqual([
      'echo',
      'echo',
      'echo',
    ]);
  });

  test('does not keep a worker that leaves while its connection is lost', async (context) => {
    needsOneServer(context);
    const store = await openStore(server.url);
    const admin = new Redis(server.url);
    onTestFinished(() => admin.disconnect());
    const end = Promise.withResolvers<JobOutcome>();
    const taken = Promise.withResolvers<void>();
    const consumer = await consume(store, async () => {
      taken.resolve();
      return end.promise;
    });
    await create(store);
    await taken.promise;
    await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    // By the answer, the worker has noticed, and has not yet connected again.
    await admin.client('LIST');
    const closing = consumer.close();
    end.resolve('done');
    await closing;
    expect(await waiting(store)).toStrictEqual([]);
  });

  test('and handed over goes to the next worker at once', async () => {
    const store = await openStore(server.url);
    const log: string[] = [];
    const second = Promise.withResolvers<RunJob>();
    const first = await consume(store, async () => {
      log.push('handed over');
      // The process that hands its jobs over is one that stops taking any.
      void first.stopTaking();
      return 'handed over';
    });
    await create(store);
    while (log.length === 0) await store.redis.ping();
    await consume(store, async (job) => {
      log.push('done');
      second.resolve(job);
      return 'done';
    });
    expect(await second.promise).toMatchObject({ runId: 'run_1' });
    await drained(store);
    expect(log).toStrictEqual(['handed over', 'done']);
  });

  test('and fails is not tried again: the run says what there is to do, and the sweeper looks', async () => {
    const store = await openStore(server.url);
    let taken = 0;
    await consume(store, async () => {
      taken += 1;
      throw new Error('a bug');
    });
    await create(store);
    await drained(store);
    expect(taken).toBe(1);
    expect(must(await store.runs.get(refOf())).stored.state.run.status).toBe('queued');
  });

  test('is one of several that run at the same time', async () => {
    const store = await openStore(server.url);
    const all = Promise.withResolvers<void>();
    const running = new Set<string>();
    await consume(store, async ({ runId }) => {
      running.add(runId);
      if (running.size === 5) all.resolve();
      await all.promise;
      return 'done';
    });
    const ids = ['run_1', 'run_2', 'run_3', 'run_4', 'run_5'];
    await Promise.all(
      ids.map(async (id) => start(store, refOf(id, { project: 'p', threadId: `thread_${id}` }))),
    );
    await all.promise;
    expect([...running].toSorted()).toStrictEqual(ids);
    await drained(store);
  });
});

test('a queue whose connection breaks while it opens is ready all the same', async (context) => {
  needsOneServer(context);
  const { keys } = await openStore(server.url);
  const { hostname, port } = new URL(server.url);
  let cuts = 0;
  // ioredis asks for INFO to see whether the server is ready, BullMQ once more for its version: there it is cut off.
  const proxy = createServer((client) => {
    const redis = createConnection({ host: hostname, port: Number(port) });
    let asked = 0;
    client.on('data', (data) => {
      asked += /\binfo\b/i.test(data.toString()) ? 1 : 0;
      if (asked === 2 && cuts === 0) {
        cuts += 1;
        client.destroy();
      }
    });
    for (const socket of [client, redis]) socket.on('error', () => {});
    client.pipe(redis).pipe(client);
  });
  await once(proxy.listen(0, '127.0.0.1'), 'listening');
  const address = proxy.address();
  const redisUrl = `redis://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
  const redis = connect(redisUrl, { use: 'state', whenAway: 'fail' });
  const queue = new JobQueue(RUN_JOBS, { redis, keys, log: silent, nowMs: Date.now });
  onTestFinished(async () => {
    await queue.close();
    redis.disconnect();
    proxy.close();
  });
  await queue.ready();
  expect(cuts).toBe(1);
  await queue.add({ ...refOf(), requestId: 'req_1', turn: 1 });
  expect((await queue.backlog()).waiting).toBe(1);
});

test('a job that finds no slot is laid aside, counts as waiting, and comes when it is woken', async () => {
  const store = await openStore(server.url);
  const queue = new JobQueue(RUN_JOBS, {
    redis: store.redis,
    keys: store.keys,
    log: silent,
    nowMs: Date.now,
  });
  onTestFinished(async () => queue.close());
  await queue.ready();
  await create(store);
  const aside = Promise.withResolvers<RunJob>();
  const done = Promise.withResolvers<void>();
  let looks = 0;
  await consume(
    store,
    async () => {
      looks += 1;
      if (looks === 1) return 'no slot';
      done.resolve();
      return 'done';
    },
    { onLaidAside: aside.resolve },
  );
  const job = await aside.promise;
  expect(await queue.next()).toBeNull();
  expect((await queue.backlog()).waiting).toBe(1);
  // The sweeper rings for it, too: it is there already.
  await queue.add(job);
  expect(await queue.wake(job)).toBe(true);
  await done.promise;
  await drained(store);
  expect(await queue.wake(job)).toBe(false);
  expect(looks).toBe(2);
});

test('a second kind of job has a queue of its own, and the queue of runs the keys it always had', async () => {
  const store = await openStore(server.url);
  const { redis, keys } = store;
  const kind: JobKind<{ readonly fileId: string }> = {
    queue: 'files',
    name: 'file',
    idOf: ({ fileId }) => fileId,
    fieldsOf: ({ fileId }) => ({ file_id: fileId }),
  };
  const options = { redisUrl: store.url, keys, log: silent, nowMs: Date.now };
  const queue = new JobQueue(kind, { ...options, redis });
  onTestFinished(async () => queue.close());
  await queue.ready();
  await create(store);
  await queue.add({ fileId: 'file_1' });
  expect(await redis.hget(`${keys.queue}:runs:run_1-1`, 'name')).toBe('run');
  expect(await redis.hget(`${keys.queue}:files:file_1`, 'name')).toBe('file');
  expect(await store.queue.next()).toBe('run_1-1');
  const taken = Promise.withResolvers<string>();
  const consumer = new JobConsumer(kind, {
    ...options,
    concurrency: 1,
    holder: 'host/worker',
    lockMs: 10_000,
    work: async ({ fileId }) => {
      taken.resolve(fileId);
      return 'done';
    },
  });
  onTestFinished(async () => consumer.close());
  expect(await taken.promise).toBe('file_1');
  expect(await store.queue.next()).toBe('run_1-1');
});

describe('jobs of a worker that is known to be dead', () => {
  /** A worker that takes every job and ends it only when it is let. @returns the first job it takes */
  async function taking(store: Store, holder: string, end: Promise<void>): Promise<RunJob> {
    const taken = Promise.withResolvers<RunJob>();
    const work = async (job: RunJob): Promise<JobOutcome> => {
      taken.resolve(job);
      await end;
      return 'done';
    };
    // One that had a place left could take again what was taken from it.
    await consume(store, work, { holder, concurrency: 1 });
    return taken.promise;
  }

  test('are taken by another at once, those included that it had not begun, and stay with that one', async () => {
    const store = await openStore(server.url);
    const [dead, living] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    await create(store);
    await taking(store, 'host/dead', dead.promise);
    const prepared: string[] = [];
    const reclaim = async (): Promise<number> =>
      store.queue.reclaim(['host/older', 'host/dead'], async ({ runId }) => void prepared.push(runId));
    const again = taking(store, 'host/living', living.promise);
    expect(await reclaim()).toBe(1);
    expect((await again).runId).toBe('run_1');
    expect(await reclaim()).toBe(0);
    expect(prepared).toEqual(['run_1']);

    // It was not dead after all.
    dead.resolve();
    const lock = `${store.keys.queue}:runs:run_1-1:lock`;
    expect(await store.redis.get(lock)).toMatch(/^host\/living\|/);
    living.resolve();
    await drained(store);
  });

  test('stay where they are when their locks are those of others', async () => {
    const store = await openStore(server.url);
    const end = Promise.withResolvers<void>();
    await create(store);
    await taking(store, 'host/dead-not', end.promise);
    expect(await store.queue.reclaim(['host/dead'], vi.fn())).toBe(0);
    end.resolve();
    await drained(store);
  });

  test('stay with the worker that takes one while it is prepared', async () => {
    const store = await openStore(server.url);
    const end = Promise.withResolvers<void>();
    await create(store);
    await taking(store, 'host/dead', end.promise);
    const lock = `${store.keys.queue}:runs:run_1-1:lock`;
    const count = await store.queue.reclaim(
      ['host/dead'],
      async () => void (await store.redis.set(lock, 'host/other|0')),
    );
    expect(count).toBe(0);
    expect(await store.redis.get(lock)).toBe('host/other|0');
    end.resolve();
  });
});
