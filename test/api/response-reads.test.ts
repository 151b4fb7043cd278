/** What a response reads before it begins: its caller waits for every answer of Redis. */
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { startPrivateRedis, type PrivateRedis } from '../support/redis.ts';
import { startService, type Service } from '../support/service.ts';
import { FakeUpstream } from '../support/upstream.ts';
import { Wire } from '../support/wire.ts';

/** A command, its name in small letters. */
type Command = readonly string[];

let redis: PrivateRedis;
let upstream: FakeUpstream;
let service: Service;
let wire: Wire;

beforeAll(async () => {
  [redis, upstream] = await Promise.all([startPrivateRedis(), FakeUpstream.start()]);
  service = await startService({ redisUrl: redis.url, upstream });
  wire = new Wire(service.baseUrl);
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
    const { id } = await wire.ok('POST', '/responses', { model: 'm', input: 'hello', store });
    const names = commandsOf(id, await heard()).map(([name = '']) => name);
    // Before the script that begins it, only the thread's use is noted.
    expect(names.find((name) => name !== 'zadd')).toMatch(/^eval/);
  },
);

test('one that goes on asks for the last response, the end of its thread, calls, and what the thread goes on from', async () => {
  const { id } = await wire.ok('POST', '/responses', { model: 'm', input: 'hello' });
  const heard = await overheard();
  await wire.ok('POST', '/responses', { model: 'm', input: 'and?', previous_response_id: id });
  // Each of them also asks whether the thread is there.
  const asked = commandsOf(id, await heard()).filter(
    ([name, key]) => name === 'hexists' && key?.endsWith(':thread'),
  );
  expect(asked).toHaveLength(4);
});

/** The commands about the thread of a response. */
function commandsOf(id: string, heard: readonly Command[]): readonly Command[] {
  const threadId = `thread_${id.split('_')[2]}`;
  return heard.filter((command) => command.some((word) => word.includes(threadId)));
}

/** Listens to what clients ask of Redis from now on. @returns what tells the commands that it has heard */
async function overheard(): Promise<() => Promise<readonly Command[]>> {
  const admin = new Redis(redis.url);
  const monitor = await admin.monitor();
  onTestFinished(() => {
    monitor.disconnect();
    admin.disconnect();
  });
  const said: Command[] = [];
  const { promise: isOver, resolve } = Promise.withResolvers<void>();
  monitor.on('monitor', (_, [name = '', ...args]: Command, source: string) => {
    if (source !== 'lua') said.push([name.toLowerCase(), ...args]);
    if (args[0] === 'all heard') resolve();
  });
  return async () => {
    await admin.ping('all heard');
    await isOver;
    return said;
  };
}
