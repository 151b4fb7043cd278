/** Connections to a Redis that changes its role under them. */
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
  // One pipeline: the first is answered, the second waits.
  const both = Promise.allSettled([state.set('key', 'x'), state.blpop('nothing', 0)]);
  await vi.waitUntil(async () => (await admin.info('clients')).includes('blocked_clients:1'));
  await server.crash();
  const [answered, broken] = await both;
  expect(answered).toMatchObject({ status: 'fulfilled', value: 'OK' });
  expect(broken.status === 'rejected' && isUnavailable(broken.reason)).toBe(true);
});
