/** Whether Redis takes writes: asked seldom, however many want to know. */
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { WriteProbe } from '../../src/store/write-probe.ts';
import { needsOneServer, startRedis, type RedisServer } from '../support/redis.ts';
import { openStore, withMethod } from './fixture.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => server.stop());

test('is asked of Redis once for all who ask within a second', async (context) => {
  needsOneServer(context);
  const store = await openStore(server.url);
  const probed = vi.fn<() => Promise<string>>().mockResolvedValue('OK');
  const probe = new WriteProbe(withMethod(store.redis, 'probe', probed), store.keys);
  const answers = await Promise.all(Array.from({ length: 100 }, async () => probe.refusal()));
  expect(new Set(answers)).toStrictEqual(new Set([null]));
  expect(probed).toHaveBeenCalledTimes(1);
});

test.each([
  ["OOM command not allowed when used memory > 'maxmemory'.", 'storage_full'],
  [
    'MISCONF Redis is configured to save RDB snapshots, but it is currently unable to persist on disk.',
    'redis_refuses_writes',
  ],
  ["READONLY You can't write against a read only replica.", 'redis_refuses_writes'],
  ['NOREPLICAS Not enough good replicas to write.', 'redis_refuses_writes'],
])('is told by its words: %s', async (reply, refusal) => {
  const store = await openStore(server.url);
  const probe = new WriteProbe(
    withMethod(store.redis, 'probe', async () => reply),
    store.keys,
  );
  expect(await probe.refusal()).toBe(refusal);
});
