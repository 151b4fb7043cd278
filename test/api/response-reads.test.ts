/** What a response reads before it begins: its caller waits for every answer of Redis. */
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { startPrivateRedis, type PrivateRedis } from '../support/redis.ts';
import { startService, type Service } from '../support/service.ts';
import { FakeUpstream } from '../support/upstream.ts';
import { Wire } from '../support/wire.ts';

let redis: PrivateRedis;
let upstream: FakeUpstream;
let service: Service;

beforeAll(async () => {
  [redis, upstream] = await Promise.all([startPrivateRedis(), FakeUpstream.start()]);
  service = await startService({ redisUrl: redis.url, upstream });
});

afterAll(async () => {
  await service?.stop();
  await upstream?.stop();
  await redis?.stop();
});

test.each([true, false])(
  'one that begins a thread reads nothing of it first; it is stored: %s',
  async (store) => {
    const heard = await overheard();
    const body = { model: 'm', input: 'hello', store };
    const { id } = await new Wire(service.baseUrl).ok('POST', '/responses', body);
    const threadId = `thread_${id.split('_')[2]}`;
    const ofThread = (await heard()).filter((command) => command.some((word) => word.includes(threadId)));
    const names = ofThread.map(([name = '']) => name);
    // Before the script that begins it, only the thread's use is noted.
    expect(names.find((name) => name !== 'zadd')).toMatch(/^eval/);
  },
);

/** Listens to Redis from now on. @returns what tells the commands that it has heard */
async function overheard(): Promise<() => Promise<readonly (readonly string[])[]>> {
  const admin = new Redis(redis.url);
  const monitor = await admin.monitor();
  onTestFinished(() => {
    monitor.disconnect();
    admin.disconnect();
  });
  const said: string[][] = [];
  const { promise: isOver, resolve } = Promise.withResolvers<void>();
  monitor.on('monitor', (_, [name = '', ...args]: readonly string[]) => {
    said.push([name.toLowerCase(), ...args]);
    if (args[0] === 'all heard') resolve();
  });
  return async () => {
    await admin.ping('all heard');
    await isOver;
    return said;
  };
}
