/** Leases tell the dead from those that stood still; job locks tell the second delivery of a job from the first. */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { JobLocks } from '../../src/store/job-locks.ts';
import { Lease } from '../../src/store/lease.ts';
import { announceWorker, type WorkerFigures } from '../../src/store/presence.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { openStore, silent, withMethod, type Store, setEverywhere } from './fixture.ts';

const LEASE_MS = 400;
const never = new AbortController().signal;

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => server.stop());

async function leaseOf(store: Store, id: string, redis = store.redis): Promise<Lease> {
  const lease = new Lease({ redis, keys: store.keys, id, leaseMs: LEASE_MS, log: silent });
  await lease.begin();
  onTestFinished(async () => lease.end());
  return lease;
}

describe('a worker', () => {
  test('lives as long as it renews its lease', async () => {
    const store = await openStore(server.url);
    const a = await leaseOf(store, 'a');
    const b = await leaseOf(store, 'b');
    expect(await a.lives('b', never)).toBe(true);
    expect(await a.survivors(['b', 'c'], 'run_1')).toStrictEqual(new Set(['a', 'b']));
    await b.end();
    expect(await a.lives('b', never)).toBe(false);
    expect(await a.survivors(['b', 'c'], 'run_1')).toStrictEqual(new Set(['a']));
  });

  test('that outlived a run it had lost did not die of it, whenever it dies', async () => {
    const store = await openStore(server.url);
    const a = await leaseOf(store, 'a');
    const b = await leaseOf(store, 'b');
    await b.survived('run_1');
    await b.end();
    expect(await a.survivors(['b'], 'run_1')).toStrictEqual(new Set(['a', 'b']));
    expect(await a.survivors(['b'], 'run_2')).toStrictEqual(new Set(['a']));
  });

  test('leaves in good order also while Redis refuses writes', async () => {
    const store = await openStore(server.url);
    const a = await leaseOf(store, 'a');
    const figures = (): WorkerFigures => ({
      busy: 0,
      slots: 1,
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
    });
    const leave = await announceWorker(store, 'a', figures);
    await setEverywhere(store, 'min-replicas-to-write', '9');
    try {
      await leave();
      await a.end();
    } finally {
      await setEverywhere(store, 'min-replicas-to-write', '0');
    }
    expect(await store.redis.exists(store.keys.lease('a'))).toBe(1);
  });

  test('that stands still has time to come back before a verdict for good', async () => {
    const store = await openStore(server.url);
    const a = await leaseOf(store, 'a');
    const asked: boolean[] = [];
    const isDead = (survivors: ReadonlySet<string>): boolean => {
      const dead = !survivors.has('b');
      asked.push(dead);
      if (asked.length === 1) void leaseOf(store, 'b');
      return dead;
    };
    expect(await a.confirm(['b'], 'run_1', isDead, never)).toBe(false);
    expect(await a.confirm(['c'], 'run_1', (survivors) => !survivors.has('c'), never)).toBe(true);
    expect(asked).toStrictEqual([true, false]);
  });

  test('that died a moment ago is not taken for alive because its lease still stands', async () => {
    const store = await openStore(server.url);
    const a = await leaseOf(store, 'a');
    await store.redis.set(store.keys.lease('dead'), '', 'PX', LEASE_MS);
    expect(await a.lives('dead', never)).toBe(false);
    expect(await store.redis.exists(store.keys.lease('dead'))).toBe(0);
  });

  test('whose own lease had lapsed gives the others the time to renew theirs', async () => {
    const store = await openStore(server.url);
    // It renews at its next turn, but finds the lease gone: everybody stood still.
    const a = await leaseOf(store, 'a');
    const before = await a.survivors(['b'], 'run_1');
    await store.redis.del(store.keys.lease('a'));
    const verdict = a.lives('b', never);
    // It is back by then, and has not judged.
    while ((await store.redis.exists(store.keys.lease('a'))) === 0);
    await leaseOf(store, 'b');
    expect(before).toStrictEqual(new Set(['a']));
    expect(await verdict).toBe(true);
  });

  test('that waits to see whether another lives can be called away', async () => {
    const store = await openStore(server.url);
    const a = await leaseOf(store, 'a');
    await leaseOf(store, 'b');
    const controller = new AbortController();
    const verdict = a.lives('b', controller.signal);
    controller.abort(new Error('the shop closes'));
    await expect(verdict).rejects.toThrow('the shop closes');
  });

  test('goes on renewing after Redis refused', async () => {
    const store = await openStore(server.url);
    const refusals = { left: 3 };
    const moody = withMethod(store.redis, 'set', async (...args: ['k', 'v', 'PX', 1]) => {
      // Not the first time, or it would not begin.
      if (args.length > 4 && refusals.left-- > 0) throw new Error('MISCONF Errors writing to the AOF file');
      return store.redis.set(...args);
    });
    const a = await leaseOf(store, 'a');
    await leaseOf(store, 'b', moody);
    while (refusals.left > 0) await store.redis.ping();
    while ((await store.redis.exists(store.keys.lease('b'))) === 0);
    expect(await a.lives('b', never)).toBe(true);
  });
});

describe('job locks', () => {
  /** Locks whose renewals the test answers. */
  function locks(lost: () => readonly string[] = () => []) {
    const asked: Record<string, string>[] = [];
    const found: number[] = [];
    let next = Promise.withResolvers<void>();
    const made = new JobLocks({
      lockMs: 40,
      extend: async (ids, tokens) => {
        asked.push(Object.fromEntries(ids.map((id, index) => [id, tokens[index] ?? ''])));
        next.resolve();
        next = Promise.withResolvers();
        return lost();
      },
      onLost: (count) => found.push(count),
      onError: (error) => expect.fail(error.message),
    });
    onTestFinished(() => made.close());
    return { made, asked, found, renewed: async () => next.promise };
  }

  test('are renewed each with its token until the job is over', async () => {
    const { made, asked, renewed } = locks();
    made.hold('a', '1');
    made.hold('b', '2');
    await renewed();
    expect(made.release('a', '1')).toBe(true);
    await renewed();
    expect(asked).toStrictEqual([{ a: '1', b: '2' }, { b: '2' }]);
  });

  test('of a second delivery outlive the end of the first', async () => {
    const { made, asked, renewed } = locks();
    made.hold('a', 'first');
    made.hold('a', 'second');
    expect(made.release('a', 'first')).toBe(false);
    await renewed();
    expect(asked).toStrictEqual([{ a: 'second' }]);
    expect(made.release('a', 'second')).toBe(true);
  });

  test('that are lost are not asked for again', async () => {
    const { made, asked, found, renewed } = locks(() => ['a']);
    made.hold('a', '1');
    await renewed();
    made.hold('b', '2');
    await renewed();
    expect(asked).toStrictEqual([{ a: '1' }, { b: '2' }]);
    expect(found[0]).toBe(1);
    expect(made.release('a', '1')).toBe(false);
  });
});
