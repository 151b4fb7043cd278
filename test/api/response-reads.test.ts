/** What a response reads before it begins: its caller waits for every answer of Redis. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
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

/** A line of Redis' MONITOR: the time, who asks, and the command with its arguments, each in quotes. */
const LINE = /^\+[\d.]+ \[\d+ ([^\]]+)\] (.*)$/;

/**
 * Listens to what clients ask of Redis from now on. ioredis' own monitor breaks where the first lines come together with the answer
 * to its command. @returns what tells the commands that it has heard
 */
async function overheard(): Promise<() => Promise<readonly Command[]>> {
  const { hostname, port } = new URL(redis.url);
  const socket = connect({ host: hostname, port: Number(port) });
  onTestFinished(() => void socket.destroy());
  const lines = createInterface(socket);
  const said: Command[] = [];
  const isListening = once(lines, 'line');
  const { promise: isOver, resolve } = Promise.withResolvers<void>();
  lines.on('line', (line) => {
    const [, source, text = ''] = LINE.exec(line) ?? [];
    const [name = '', ...args] = (text.match(/"(?:[^"\\]|\\.)*"/g) ?? []).map((word) => word.slice(1, -1));
    if (source !== 'lua' && name !== '') said.push([name.toLowerCase(), ...args]);
    if (args[0] === 'all heard') resolve();
  });
  socket.write('MONITOR\r\n');
  await isListening;
  return async () => {
    const admin = new Redis(redis.url);
    await admin.ping('all heard');
    admin.disconnect();
    await isOver;
    return said;
  };
}
