/** `GET /ready` while Redis answers every question and takes no write. */
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { lookUntil } from '../support/looks.ts';
import { startPrivateRedis, type PrivateRedis } from '../support/redis.ts';
import { startService, type Service } from '../support/service.ts';
import { Wire } from '../support/wire.ts';

let redis: PrivateRedis;
let admin: Redis;
let service: Service;

beforeAll(async () => {
  redis = await startPrivateRedis();
  admin = new Redis(redis.url);
  service = await startService({ redisUrl: redis.url, workers: 1 });
});

afterAll(async () => {
  await service?.stop();
  await admin?.quit();
  await redis?.stop();
});

const ready = async () => new Wire(service.url).ask('GET', '/ready');

/** Asks until the answer changes to that status: Redis is asked once a second. */
async function until(status: number): Promise<unknown> {
  return (await lookUntil(ready, (reply) => reply.status === status)).body;
}

const WAYS: readonly (readonly [string, () => Promise<unknown>, () => Promise<unknown>, string])[] = [
  [
    'it is full',
    () => admin.config('SET', 'maxmemory', 1),
    () => admin.config('SET', 'maxmemory', 0),
    'storage_full',
  ],
  [
    'it has too few replicas',
    () => admin.config('SET', 'min-replicas-to-write', 1),
    () => admin.config('SET', 'min-replicas-to-write', 0),
    'redis_refuses_writes',
  ],
  [
    'it has been deposed',
    () => admin.replicaof('127.0.0.1', 1),
    () => admin.replicaof('NO', 'ONE'),
    'redis_refuses_writes',
  ],
];

describe('the service is not ready while Redis takes no writes', () => {
  test.each(WAYS)('because %s', async (_, refuse, accept, because) => {
    expect(await until(200)).toMatchObject({ because: [] });
    await refuse();
    expect(await until(503)).toMatchObject({ status: 'not ready', because: [because], redis: true });
    await accept();
    expect(await until(200)).toMatchObject({ status: 'ready', because: [], redis: true, workers: 1 });
  });
});
