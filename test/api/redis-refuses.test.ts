/** A Redis that is there but refuses to write, because it is full: clients are told to come back, and runs wait for it. */
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startPrivateRedis, type PrivateRedis } from '../support/redis.ts';
import { startService, type Service } from '../support/service.ts';
import { FakeUpstream, finish, gate, text } from '../support/upstream.ts';
import { textOf, Wire } from '../support/wire.ts';

/** pino's number for it. */
const WARN = 40;

let redis: PrivateRedis;
let admin: Redis;
let upstream: FakeUpstream;
let service: Service;
let wire: Wire;

beforeAll(async () => {
  redis = await startPrivateRedis();
  admin = new Redis(redis.url);
  upstream = await FakeUpstream.start();
  const env = { LOG_LEVEL: 'debug' };
  service = await startService({ redisUrl: redis.url, upstream, workers: 1, env });
  wire = new Wire(service.baseUrl);
});

afterAll(async () => {
  await service?.stop();
  await upstream?.stop();
  await admin?.quit();
  await redis?.stop();
});

const fill = () => admin.config('SET', 'maxmemory', 1);
const empty = () => admin.config('SET', 'maxmemory', 0);

/** Shows A-ERR-03, A-RETRY-03. */
test('requests that would write are refused with 503, and when to come back', async () => {
  await fill();
  const refused = await wire.ask('POST', '/threads', { body: {} });
  expect(refused).toMatchObject({
    status: 503,
    body: { error: { type: 'server_error', code: 'storage_full' } },
  });
  expect(JSON.stringify(refused.body)).toMatch(
    /storage is full.*maxmemory.*delete threads.*THREAD_KEPT_DAYS/,
  );
  await service.waitForLog(({ level, msg }) => level === WARN && msg.startsWith('Redis is full'));
  expect(refused.headers.get('retry-after')).toBe('1');
  expect(refused.headers.get('x-should-retry')).toBeNull();
  await empty();
});

test('reading goes on, and so does deleting, which makes room', async () => {
  const thread = await wire.thread('hello');
  await fill();
  expect((await wire.ask('GET', `/threads/${thread}/messages`)).status).toBe(200);
  expect((await wire.ask('DELETE', `/threads/${thread}`)).body).toMatchObject({ deleted: true });
  await empty();
});

test('requests that meet a master that has just been deposed are refused in the same way, however many', async () => {
  await admin.replicaof('127.0.0.1', 1);
  const asked = Array.from({ length: 30 }, async () => wire.ask('POST', '/threads', { body: {} }));
  for (const { status } of await Promise.all(asked)) expect(status).toBe(503);
  await admin.replicaof('NO', 'ONE');
});

test('a worker starts all the same', async () => {
  await fill();
  await expect(service.startWorker()).resolves.toBe(1);
  await empty();
});

test('what the model says meanwhile is not lost, and its run does not fail', async () => {
  const [begun, full] = [gate(), gate()];
  upstream.reply(() => [text('Once'), begun, text(' upon'), full, text(' a time'), finish('stop')]);
  const { id } = await wire.ok('POST', '/assistants', { model: 'm' });
  const run = await wire.run(await wire.thread('a story'), { assistant_id: id });
  await begun.reached;
  await fill();
  begun.open();
  await full.reached;
  await service.waitForLog(
    ({ msg, script }) => script === 'commit' && msg === 'Redis refuses for now; sending again',
  );
  await empty();
  full.open();
  expect(await wire.rested(run)).toMatchObject({ status: 'completed', last_error: null });
  const messages = await wire.list(`/threads/${run.thread_id}/messages`);
  expect(messages.map(textOf)).toEqual(['Once upon a time', 'a story']);
});
