/** A Redis that dies and comes back with what it had on disk: requests are told to come back, streams just go on. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startPrivateRedis, type PrivateRedis } from '../support/redis.ts';
import { finish, gate, text } from '../support/upstream.ts';
import { problemsOf } from '../support/order.ts';
import { runIn, saidIn } from '../support/wire.ts';
import { withService } from '../support/with-service.ts';

const LOOKED_AGAIN_MS = 5_000;

let redis: PrivateRedis;

beforeAll(async () => {
  redis = await startPrivateRedis('everysec');
});

// What was registered first ends last: the service leaves its Redis in good order.
afterAll(async () => {
  await redis?.stop();
});

const { upstream, wire } = withService(() => ({ redisUrl: redis.url, workers: 1 }));

test('a stream goes on where it was, and so does its run', async () => {
  const door = gate();
  upstream.reply(() => [text('Once'), door, text(' upon a time'), finish('stop')]);
  const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm' });
  const path = `/threads/${await wire.thread('a story')}/runs`;
  const stream = await wire.stream('POST', path, { body: { assistant_id, stream: true } });
  const begun = await stream.until('thread.message.delta');
  const run = runIn(begun[0]);
  await redis.crash();
  const refused = await wire.ask('GET', `${path}/${run.id}`);
  expect(refused).toMatchObject({ status: 503, body: { error: { type: 'server_error' } } });
  expect(refused.headers.get('retry-after')).toBe('1');
  door.open();
  // Streams look at a quiet log every now and then, and find nobody there.
  await delay(LOOKED_AGAIN_MS);
  await redis.restart();
  const frames = [...begun, ...(await stream.rest())];
  expect(problemsOf(frames)).toEqual([]);
  expect(saidIn(frames)).toBe('Once upon a time');
  expect(await wire.get(run)).toMatchObject({ status: 'completed' });
});
