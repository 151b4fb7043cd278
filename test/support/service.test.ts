/** Tests what the other tests rely on when they start and stop the service: a broken service cannot pass unnoticed. */
import { expect, inject, test } from 'vitest';
import { startService } from './service.ts';

test('a service that cannot start says why, in its own words', async () => {
  const starting = startService({ redisUrl: inject('redisUrl'), workers: 0, env: { PORT: 'eighty' } });
  await expect(starting).rejects.toThrow(/api ended before it was ready[\s\S]*PORT/);
});

test('a worker that the test kills is no problem, and the log of every process is at hand', async () => {
  const service = await startService({ redisUrl: inject('redisUrl'), workers: 1 });
  await service.killWorker(0, 'SIGKILL');
  expect(await service.startWorker()).toBe(1);
  await service.stop();
  const ready = service.logs.filter(({ msg }) => msg === 'worker ready').map(({ process }) => process);
  expect(ready).toEqual(['worker 0', 'worker 1']);
});
