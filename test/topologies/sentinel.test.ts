/** The service over a master with two replicas that three Sentinels watch, set as docs/configuration.md recommends. */
import { Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { createLog } from '../../src/log.ts';
import { openState } from '../../src/store/redis.ts';
import { startSentinel } from '../support/topologies.ts';
import { describeScenes } from './scenes.ts';

describeScenes('Sentinels', async () =>
  startSentinel({ settings: { 'min-replicas-to-write': '1', 'min-replicas-max-lag': '3' } }),
);

test('news of a failover that come while the new master is looked for already do no harm', async () => {
  const topology = await startSentinel();
  onTestFinished(topology.stop);
  const redis = await openState(topology.url, 'wait', createLog({ logLevel: 'silent' }, 'test'));
  onTestFinished(() => redis.disconnect());
  // The moment is too short to be met from outside, so the bringers of news are taken out of ioredis.
  const inside = (target: unknown, name: string): unknown =>
    target instanceof Object ? Reflect.get(target, name) : undefined;
  const bringers = (): unknown => inside(inside(inside(redis, 'connector'), 'failoverDetector'), 'sentinels');
  await expect.poll(bringers).toHaveLength(3);
  const clients = Object.values(bringers() ?? {}).map((bringer) => inside(bringer, 'client'));
  const looking = new Promise<void>((resolve) => redis.once('connecting', () => resolve()));
  const socket = inside(redis, 'stream');
  if (socket instanceof Socket) socket.destroy();
  await looking;
  for (const client of clients) {
    const emit = inside(client, 'emit');
    if (typeof emit === 'function') emit.call(client, 'message', '+switch-master', '');
  }
  expect(await redis.set('key', 'x')).toBe('OK');
});
