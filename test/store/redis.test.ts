/** Connections: what they send together, and what becomes of them when a Redis changes its role under them. */
import { once } from 'node:events';
import { createConnection, createServer } from 'node:net';
import { Redis } from 'ioredis';
import { expect, onTestFinished, test, vi } from 'vitest';
import { isUnavailable } from '../../src/store/away.ts';
import { openState } from '../../src/store/redis.ts';
import { startPrivateRedis } from '../support/redis.ts';
import { silent } from './fixture.ts';

test('many commands that a deposed master refuses are no leak', async () => {
  const server = await startPrivateRedis();
  const admin = new Redis(server.url);
  const state = await openState(server.url, 'wait', silent);
  const warnings: Error[] = [];
  const onWarning = (warning: Error): void => void warnings.push(warning);
  process.on('warning', onWarning);
  onTestFinished(async () => {
    process.off('warning', onWarning);
    state.disconnect();
    admin.disconnect();
    await server.stop();
  });
  await admin.replicaof('127.0.0.1', 1);
  const refused = Promise.all(Array.from({ length: 30 }, async (_, index) => state.set(`key ${index}`, 'x')));
  await new Promise((resolve) => state.once('reconnecting', resolve));
  await admin.replicaof('NO', 'ONE');
  expect(await refused).toHaveLength(30);
  expect(warnings).toEqual([]);
});

test('a command whose answer was on its way when Redis died could not be reached, like any other', async () => {
  const server = await startPrivateRedis();
  const admin = new Redis(server.url);
  const state = await openState(server.url, 'fail', silent);
  onTestFinished(async () => {
    state.disconnect();
    admin.disconnect();
    await server.stop();
  });
  admin.on('error', () => {});
  // Sent in one piece: the first is answered, the second waits.
  const both = Promise.allSettled([state.set('key', 'x'), state.blpop('nothing', 0)]);
  await vi.waitUntil(async () => (await admin.info('clients')).includes('blocked_clients:1'));
  await server.crash();
  const [answered, broken] = await both;
  expect(answered).toMatchObject({ status: 'fulfilled', value: 'OK' });
  expect(broken.status === 'rejected' && isUnavailable(broken.reason)).toBe(true);
});

test('commands of one tick leave in one piece and in order, and later ones do not wait for answers', async () => {
  const server = await startPrivateRedis();
  const admin = new Redis(server.url);
  const { hostname, port } = new URL(server.url);
  const pieces: string[] = [];
  const relay = createServer((client) => {
    const redis = createConnection({ host: hostname, port: Number(port) });
    client.on('data', (piece) => void pieces.push(piece.toString()));
    for (const socket of [client, redis]) socket.on('error', () => {});
    client.pipe(redis).pipe(client);
  });
  await once(relay.listen(0, '127.0.0.1'), 'listening');
  const address = relay.address();
  const relayed = `redis://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
  const state = await openState(relayed, 'wait', silent);
  onTestFinished(async () => {
    state.disconnect();
    admin.disconnect();
    relay.close();
    await server.stop();
  });
  pieces.length = 0;
  const numbers = Array.from({ length: 30 }, (_, index) => `${index}`);
  // Redis answers nothing on a connection that blocks.
  const blocked = state.blpop('empty', 0);
  const first = numbers.map(async (number) => state.rpush('list', number));
  await vi.waitUntil(() => pieces.length > 0);
  const second = state.rpush('list', 'end');
  await vi.waitUntil(() => pieces.length > 1);
  expect(pieces.map((piece) => piece.match(/rpush/gi)?.length)).toStrictEqual([30, 1]);
  await admin.rpush('empty', 'x');
  await Promise.all([blocked, ...first, second]);
  expect(await admin.lrange('list', 0, -1)).toStrictEqual([...numbers, 'end']);
});
