/** How late events are heard: what a process says to itself over Redis. */
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { Echo } from '../../src/store/echo.ts';
import type { LogHub } from '../../src/store/follow.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { openHub, openStore } from './fixture.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => server.stop());

/** Begins an echo. @returns the first `count` delays */
async function heard(echo: Echo, count: number): Promise<readonly number[]> {
  const delays: number[] = [];
  const enough = Promise.withResolvers<void>();
  onTestFinished(() => echo.close());
  await echo.begin((seconds) => {
    if (delays.push(seconds) === count) enough.resolve();
  });
  await enough.promise;
  return delays;
}

test('two processes hear each their own', async () => {
  const store = await openStore(server.url);
  const { hub } = await openHub(store);
  const delays = await Promise.all(
    [1, 2].map(async () => heard(new Echo({ ...store, hub, everyMs: 20 }), 3)),
  );
  for (const delay of delays.flat()) expect(delay).toBeGreaterThan(0);
});

test('what is not heard counts as late, and what could not be said does not count', async () => {
  const { keys } = await openStore(server.url);
  const hub: Pick<LogHub, 'hear'> = { hear: async () => () => true };
  const said: string[] = [];
  const redis = {
    publish: async (_channel: unknown, text: unknown) => {
      said.push(String(text));
      if (said.length % 2 === 0) throw new Error('Redis is away');
      return 0;
    },
  };
  const delays = await heard(new Echo({ redis, keys, hub, everyMs: 20 }), 2);
  expect(said.length).toBeGreaterThanOrEqual(3);
  // Timers may fire a millisecond early.
  for (const delay of delays) expect(delay).toBeGreaterThan(0.015);
});
