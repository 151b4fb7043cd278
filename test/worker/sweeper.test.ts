/** The index of open runs stays as small as the number of runs that may need somebody, however many come and go. */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { startSweeper } from '../../src/worker/sweeper.ts';
import {
  COMPLETED,
  create,
  EXPIRES_AT,
  newThread,
  NOTHING_TO_END,
  openStore,
  PROJECT,
  read,
  refOf,
  silent,
  start,
  startTalking,
  withMethod,
  type Store,
} from '../store/fixture.ts';
import { startPrivateRedis, startRedis, type RedisServer } from '../support/redis.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => server.stop());

/** Sweeps until the test ends. @returns how often it has begun to. */
function sweep({ runs, open, clock, nowMs }: Store): () => number {
  let leases = 0;
  const counted = withMethod(open, 'lease', async (holder: string, ms: number) => {
    leases += 1;
    return open.lease(holder, ms);
  });
  const sweeping = { runs, open: counted, now: () => clock.s, nowMs, log: silent, holder: 'a' };
  onTestFinished(startSweeper({ ...sweeping, ...NOTHING_TO_END }));
  return () => leases;
}

const indexed = async ({ redis, keys }: Store): Promise<number> => redis.zcard(keys.open);

test('threads whose time is over are deleted although a full Redis gives nobody the lease', async () => {
  const full = await startPrivateRedis();
  onTestFinished(async () => full.stop());
  const store = await openStore(full.url);
  const { runs, open, threadIndex, objects, clock, nowMs } = store;
  await objects.threads.create(PROJECT, newThread(), []);
  await store.redis.call('CONFIG', 'SET', 'maxmemory', '1');
  const deleted = Promise.withResolvers<number>();
  const monthsLaterMs = Date.now() + 100 * 86_400_000;
  const stop = startSweeper({
    runs,
    open,
    nowMs,
    log: silent,
    holder: 'a',
    now: () => clock.s,
    ...NOTHING_TO_END,
    endThreads: async () => deleted.resolve(await threadIndex.endUnused(objects.threads, 30, monthsLaterMs)),
  });
  expect(await deleted.promise).toBe(1);
  await stop();
});

describe('the index of open runs', () => {
  test('forgets a run that has ended, without a sweep', async () => {
    const store = await openStore(server.url);
    const talking = await startTalking(store);
    expect(await indexed(store)).toBe(1);
    await store.runs.commit(talking, COMPLETED);
    expect(await indexed(store)).toBe(0);
    await start(store, refOf('run_2'), { thread: null });
    await store.runs.close(refOf('run_2'), { type: 'expired' });
    expect(await indexed(store)).toBe(0);
  });

  test('is swept as a whole in one sweep, however many runs are due', async () => {
    const store = await openStore(server.url);
    await create(store);
    await store.open.lookAt(refOf(), 1);
    const gone = Array.from({ length: 2_000 }, (_, index) => refOf(`run_gone${index}`));
    await Promise.all(gone.map(async (ref) => store.open.lookAt(ref, 2)));
    store.clock.s = EXPIRES_AT;
    const sweeps = sweep(store);
    while ((await indexed(store)) > 0) await store.redis.ping();
    expect(sweeps()).toBe(1);
    expect(await read(store)).toMatchObject({ state: { run: { status: 'expired' } } });
  });
});
