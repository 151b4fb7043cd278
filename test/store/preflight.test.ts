/** What a server says of itself decides whether Longrun starts on it. */
import { expect, inject, onTestFinished, test } from 'vitest';
import { preflight, fitnessOf, type Fitness } from '../../src/store/preflight.ts';
import { openState } from '../../src/store/redis.ts';
import { startServer } from '../support/redis-process.ts';
import { startService } from '../support/service.ts';
import { silent } from './fixture.ts';

const GOOD = { redis_version: '7.0.15', maxmemory_policy: 'noeviction', aof_enabled: '1' };
const FIT: Fitness = { problems: [], warnings: [] };

const judged = (fields: Readonly<Record<string, string>>): Fitness =>
  fitnessOf(
    Object.entries(fields)
      .map(([name, value]) => `${name}:${value}\r\n`)
      .join(''),
    'r:1',
  );

test.for([
  ['Redis 7', GOOD],
  ['Redis 10', { ...GOOD, redis_version: '10.0.0' }],
  // Valkey goes on saying which Redis it grew from.
  ['Valkey 8', { ...GOOD, redis_version: '7.2.4', valkey_version: '8.1.0' }],
] as const)('%s is fit', ([, fields]) => {
  expect(judged(fields)).toStrictEqual(FIT);
});

test.for([
  [{ ...GOOD, redis_version: '6.2.14' }, 'r:1 is Redis 6.2.14'],
  [{ ...GOOD, redis_version: '7.2.4', valkey_version: '7.2.8' }, 'r:1 is Valkey 7.2.8'],
  [{ ...GOOD, maxmemory_policy: 'allkeys-lru' }, 'its policy is allkeys-lru'],
] as const)(
  'what would lose runs or cannot do what it must is a reason not to start: %o',
  ([fields, why]) => {
    expect(judged(fields)).toStrictEqual({ problems: [expect.stringContaining(why)], warnings: [] });
  },
);

test.for([
  [{ ...GOOD, aof_enabled: '0' }, 'no append-only file'],
  [{ redis_version: '7.4.0' }, 'does not say its eviction policy'],
  [{ maxmemory_policy: 'noeviction' }, 'does not say its version'],
] as const)('what may be meant so, or cannot be seen, is a warning: %o', ([fields, why]) => {
  expect(judged(fields)).toStrictEqual({ problems: [], warnings: [expect.stringContaining(why)] });
});

test('every server is asked', async () => {
  const redis = await openState(inject('redisUrl'), 'fail', silent);
  onTestFinished(() => redis.disconnect());
  const { problems, warnings } = await preflight(redis);
  expect(problems).toStrictEqual([]);
  // The servers of these tests keep nothing on disk.
  for (const warning of warnings) expect(warning).toMatch(/^127\.0\.0\.1:\d+ keeps no append-only file/);
  expect(warnings.length).toBeGreaterThan(0);
});

test('the service does not start on a server that evicts, and says why in plain words', async () => {
  const server = await startServer({ 'maxmemory-policy': 'allkeys-lru' });
  onTestFinished(server.stop);
  const redisUrl = `redis://127.0.0.1:${server.port}`;
  const failure: unknown = await startService({ redisUrl }).catch((error: unknown) => error);
  expect(String(failure)).toContain(`127.0.0.1:${server.port} may delete runs when memory is short`);
  expect(String(failure)).not.toContain('.ts:');
});
