/**
 * Redis is there, but refuses: without enough replicas, without permission. What waits for it goes on afterwards, what should
 * fail at once does, and nobody asks in a fury meanwhile.
 */
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { isUnavailable } from '../../src/store/away.ts';
import { openState } from '../../src/store/redis.ts';
import { JobConsumer } from '../../src/store/queue.ts';
import { RUN_JOBS, type RunJob } from '../../src/store/run-jobs.ts';
import { startServer, type RedisProcess } from '../support/redis-process.ts';
import { create, openStore, refOf, silent, start, STARTED, type Store } from './fixture.ts';

/** Were it not for the rest after a few errors, thousands. */
const FEW = 100;
const WATCHED_MS = 2_500;

let server: RedisProcess;
let url: string;
let admin: Redis;

beforeAll(async () => {
  server = await startServer({});
  url = `redis://127.0.0.1:${server.port}`;
  // Somebody else than the connections under test, whose permissions change.
  admin = new Redis(url, { username: 'admin', password: 'admin', lazyConnect: true });
  const first = new Redis(url);
  await first.call('ACL', 'SETUSER', 'admin', 'on', '>admin', '~*', '&*', '+@all');
  first.disconnect();
  await admin.connect();
});

afterAll(async () => {
  admin.disconnect();
  await server.stop();
});

/** Until the test ends, or the returned function is called, writes are refused as by a master that has lost its replicas. */
async function withoutReplicas(): Promise<() => Promise<void>> {
  const set = async (count: number): Promise<void> => {
    await admin.config('SET', 'min-replicas-to-write', count);
  };
  onTestFinished(async () => set(0));
  await set(1);
  return async () => set(0);
}

/** How many calls of scripts Redis has refused so far. */
async function refusals(): Promise<number> {
  const stats = await admin.info('commandstats');
  const counts = [...stats.matchAll(/^cmdstat_eval(?:sha)?:.*rejected_calls=(\d+),failed_calls=(\d+)/gm)];
  return counts.reduce((sum, [, rejected, failed]) => sum + Number(rejected) + Number(failed), 0);
}

async function consume({ keys }: Store, work: (job: RunJob) => void): Promise<void> {
  const options = {
    redisUrl: url,
    keys,
    log: silent,
    nowMs: Date.now,
    concurrency: 5,
    holder: 'host/worker',
    lockMs: 10_000,
  };
  const consumer = new JobConsumer(RUN_JOBS, {
    ...options,
    work: async (job) => {
      work(job);
      return 'done';
    },
  });
  onTestFinished(async () => consumer.close());
  await consumer.ready();
}

describe('while a master has too few replicas', () => {
  test('a worker’s commit waits, and is done once when there are enough', async () => {
    const store = await openStore(url);
    const queued = await create(store);
    const enough = await withoutReplicas();
    const before = await refusals();
    const committing = store.runs.commit(queued, [STARTED]);
    while ((await refusals()) < before + 2);
    await enough();
    expect((await committing).seq).toBe(2);
  });

  test('a client’s command fails at once, as something that may succeed later', async () => {
    const store = await openStore(url);
    await start(store);
    const redis = await openState(url, 'fail', silent);
    onTestFinished(() => redis.disconnect());
    const enough = await withoutReplicas();
    for (const command of [
      async () =>
        redis.drop(
          3,
          store.keys.thread(refOf()),
          store.keys.runs(refOf()),
          store.keys.active(refOf()),
          '',
          '',
        ),
      async () => redis.set(store.keys.mark(refOf()), ''),
      async () => redis.multi().set(store.keys.mark(refOf()), '').exec(),
    ]) {
      const error: unknown = await command().catch((reason: unknown) => reason);
      expect(isUnavailable(error)).toBe(true);
    }
    await enough();
    expect(await redis.set(store.keys.mark(refOf()), '')).toBe('OK');
  });

  test('the queue asks for jobs now and then, and takes them when there are enough', async () => {
    const store = await openStore(url);
    await Promise.all(
      Array.from({ length: 20 }, async (_, index) =>
        create(store, refOf(`run_${index}`, { project: 'p', threadId: `thread_${index}` })),
      ),
    );
    const enough = await withoutReplicas();
    const before = await refusals();
    const taken = Promise.withResolvers<RunJob>();
    await consume(store, taken.resolve);
    while ((await refusals()) === before);
    await new Promise((resolve) => setTimeout(resolve, WATCHED_MS));
    expect((await refusals()) - before).toBeLessThan(FEW);
    await enough();
    expect(await taken.promise).toMatchObject({ project: 'p' });
  });
});

test('a mistake in the permissions makes no storm either, and is over when it is mended', async () => {
  const store = await openStore(url);
  await create(store);
  onTestFinished(async () => {
    await admin.call('ACL', 'SETUSER', 'default', '+evalsha', '+eval');
  });
  await admin.call('ACL', 'SETUSER', 'default', '-evalsha', '-eval');
  const before = await refusals();
  const taken = Promise.withResolvers<RunJob>();
  await consume(store, taken.resolve);
  await new Promise((resolve) => setTimeout(resolve, WATCHED_MS));
  expect((await refusals()) - before).toBeLessThan(FEW);
  await admin.call('ACL', 'SETUSER', 'default', '+evalsha', '+eval');
  expect(await taken.promise).toMatchObject({ runId: 'run_1' });
});
