/** Machines whose clocks differ, and clocks that are set back: nothing ends for it, and the operator is told. */
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { z } from 'zod';
import { startService, type Service } from '../support/service.ts';
import { FakeUpstream, finish, gate, text } from '../support/upstream.ts';
import { Wire } from '../support/wire.ts';

const SKEWED = `--import=${fileURLToPath(new URL('../support/skewed-clock.ts', import.meta.url))}`;
const ahead = (ms: number) => ({ NODE_OPTIONS: SKEWED, SKEW_MS: String(ms) });
const TOLD = "this machine's clock differs from Redis', which is used instead; synchronise them";
const LOCK_MS = 1_000;
/** Long enough for a lock that is not renewed to be lost, and missed. */
const LONG_MS = 3_000;
const SLOW_MS = 60_000;

let upstream: FakeUpstream;
let service: Service;
beforeAll(async () => {
  upstream = await FakeUpstream.start();
});
afterEach(async () => service?.stop());
afterAll(async () => upstream?.stop());

const begin = async (env: Readonly<Record<string, string>>, workers = 0): Promise<Wire> => {
  const settings = { LOCK_MS: String(LOCK_MS), ...env };
  service = await startService({ redisUrl: inject('redisUrl'), upstream, workers, env: settings });
  return new Wire(service.baseUrl);
};
const ready = async (origin: string) => new Wire(origin).ask('GET', '/ready');
const skewIn = (body: unknown): number => z.object({ clock_skew_ms: z.number() }).parse(body).clock_skew_ms;

describe('clocks that differ', () => {
  test(
    'keep nobody from seeing who lives',
    async () => {
      await begin({});
      await service.startWorker();
      await service.startWorker(ahead(20_000));
      const origin = await service.startApi(undefined, ahead(60_000));
      const far = await ready(origin);
      expect(far).toMatchObject({ status: 200, body: { status: 'ready', because: [], workers: 2 } });
      expect(Math.round(skewIn(far.body) / 1_000)).toBe(60);
      const near = await ready(service.url);
      expect(near).toMatchObject({ status: 200, body: { workers: 2 } });
      expect(Math.round(skewIn(near.body) / 1_000)).toBe(0);
    },
    SLOW_MS,
  );

  test(
    'end no run, and are told once',
    async () => {
      const wire = await begin({ RUN_EXPIRES_AFTER_S: '300' });
      await service.startWorker(ahead(400_000));
      const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm' });
      const run = await wire.run(await wire.thread('hello'), { assistant_id });
      expect(await wire.rested(run)).toMatchObject({ status: 'completed' });
      const { started_at, created_at } = z
        .looseObject({ started_at: z.number(), created_at: z.number() })
        .parse(await wire.get(run));
      expect(started_at - created_at).toBeLessThan(300);
      const told = service.logs.filter(({ msg }) => msg === TOLD);
      expect(told.map(({ process, level }) => [process, level])).toEqual([['worker 0', 40]]);
    },
    SLOW_MS,
  );
});

test(
  'clocks that are set back by an hour end nothing',
  async () => {
    const wire = await begin(ahead(0), 1);
    const door = gate();
    upstream.reply(() => [text('Once'), door, text(' upon a time'), finish('stop')]);
    const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm' });
    const asked = upstream.requests.length;
    const run = await wire.run(await wire.thread('a story'), { assistant_id });
    await door.reached;
    const before = service.logs.length;
    for (const { pid } of service.living) process.kill(pid, 'SIGUSR2');
    await delay(LONG_MS);
    expect(await ready(service.url)).toMatchObject({ status: 200, body: { workers: 1 } });
    const another = await wire.run(await wire.thread('another'), { assistant_id });
    door.open();
    expect(await wire.rested(run)).toMatchObject({ status: 'completed' });
    expect(await wire.rested(another)).toMatchObject({ status: 'completed' });
    expect(upstream.requests.length - asked).toBe(2);
    const lines = service.logs.slice(before);
    expect(lines.filter(({ level, msg }) => level >= 40 && msg !== TOLD)).toEqual([]);
  },
  SLOW_MS,
);
