/**
 * Workers that only stood still: paused, or cut off from a Redis that refused to write. Nothing of what they were doing is
 * said or asked again, and nothing fails for it. A run that kills its workers is given up all the same.
 */
/* oxlint-disable vitest/expect-expect -- expectUndisturbed asserts. */
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startPrivateRedis, type PrivateRedis } from '../support/redis.ts';
import { startService, type LogLine, type Service, type ServiceProcess } from '../support/service.ts';
import { FakeUpstream, finish, gate, text } from '../support/upstream.ts';
import { textOf, Wire, type WireRun } from '../support/wire.ts';

const LOCK_MS = 1_000;
/** Long enough for every lock and lease to lapse. */
const STILL_MS = 2_500;
const SLOW_MS = 120_000;
const TAKEN_UP = ['a job has come again while it is being done', 'leaving a run to the worker that has it'];

let redis: PrivateRedis;
let admin: Redis;
let upstream: FakeUpstream;

beforeAll(async () => {
  redis = await startPrivateRedis();
  admin = new Redis(redis.url);
  upstream = await FakeUpstream.start();
});

afterAll(async () => {
  await kept?.service.stop();
  await upstream?.stop();
  await admin?.quit();
  await redis?.stop();
});

let asked: number;
beforeEach(() => {
  asked = upstream.requests.length;
});
/** How often the model was asked in this test. */
const questions = (): number => upstream.requests.length - asked;

/** The service of the last scene, which the next one has as well if it has the same settings. */
let kept: { readonly service: Service; readonly settings: string } | undefined;

interface Stage {
  readonly service: Service;
  /** Where the log of this scene begins. */
  readonly since: number;
  readonly wire: Wire;
  readonly workers: readonly ServiceProcess[];
  /** Runs that have said their first word; they say the others when the door is opened. */
  readonly begin: (count: number) => Promise<{ runs: readonly WireRun[]; open: () => void }>;
}

async function onStage(
  workers: number,
  env: Readonly<Record<string, string>>,
  scene: (stage: Stage) => Promise<void>,
): Promise<void> {
  const service = await serviceOf(env);
  for (const surplus of workersOf(service).slice(workers)) await surplus.end('SIGTERM');
  while (workersOf(service).length < workers) await service.startWorker();
  const wire = new Wire(service.baseUrl);
  const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm' });
  const begin: Stage['begin'] = async (count) => {
    const doors = Array.from({ length: count }, () => gate());
    let next = 0;
    upstream.reply(() => {
      const door = doors[next++];
      return [text('Once'), ...(door === undefined ? [] : [door]), text(' upon a time'), finish('stop')];
    });
    const threads = await Promise.all(doors.map(async () => wire.thread('a story')));
    const runs = await Promise.all(threads.map(async (thread) => wire.run(thread, { assistant_id })));
    await Promise.all(doors.map(async ({ reached }) => reached));
    return { runs, open: () => doors.forEach((door) => door.open()) };
  };
  await scene({ service, since: service.logs.length, wire, workers: workersOf(service), begin });
}

/** One with these settings: that of the last scene if it has them. */
async function serviceOf(env: Readonly<Record<string, string>>): Promise<Service> {
  const settings = { LOCK_MS: String(LOCK_MS), DRAIN_MS: '0', UPSTREAM_RETRIES: '0', ...env };
  const named = JSON.stringify(settings);
  if (kept?.settings === named) return kept.service;
  const before = kept;
  kept = undefined;
  await before?.service.stop();
  const service = await startService({ redisUrl: redis.url, upstream, workers: 0, env: settings });
  kept = { service, settings: named };
  return service;
}

const workersOf = ({ living }: Service): readonly ServiceProcess[] =>
  living.filter(({ name }) => name.startsWith('worker'));

/** Resolves when each of the runs, which the queue thought lost, is in the hands of the worker that has it. */
async function takenUp(service: Service, runs: readonly WireRun[]): Promise<void> {
  const isOf = (run: WireRun) => (line: LogLine) => TAKEN_UP.includes(line.msg) && line['run_id'] === run.id;
  await Promise.all(runs.map(async (run) => service.waitForLog(isOf(run))));
}

/** Each run was told once, in one step, by the first model that was asked. */
async function expectUndisturbed(wire: Wire, runs: readonly WireRun[]): Promise<void> {
  for (const run of runs) {
    expect(await wire.rested(run)).toMatchObject({ status: 'completed', last_error: null });
    const messages = await wire.list(`/threads/${run.thread_id}/messages`);
    expect(messages.map(textOf)).toEqual(['Once upon a time', 'a story']);
    expect(await wire.list(`/threads/${run.thread_id}/runs/${run.id}/steps`)).toHaveLength(1);
  }
  expect(questions()).toBe(runs.length);
}

async function pause(workers: readonly ServiceProcess[]): Promise<void> {
  for (const worker of workers) worker.freeze();
  await delay(STILL_MS);
  for (const worker of workers) worker.proceed();
}

describe('runs go on as if nothing had happened', () => {
  test(
    'when the only worker was paused',
    () =>
      onStage(1, {}, async ({ service, since, wire, workers, begin }) => {
        const { runs, open } = await begin(5);
        await pause(workers);
        await takenUp(service, runs);
        // Long enough to be lost once more, if its new lock were not renewed.
        await delay(STILL_MS);
        open();
        await expectUndisturbed(wire, runs);
        expect(service.logs.slice(since).filter(({ level }) => level >= 50)).toEqual([]);
      }),
    SLOW_MS,
  );

  test(
    'when two workers were paused together, as on a laptop that slept',
    () =>
      onStage(2, {}, async ({ service, since, wire, workers, begin }) => {
        const { runs, open } = await begin(20);
        await pause(workers);
        await takenUp(service, runs);
        await delay(STILL_MS);
        open();
        await expectUndisturbed(wire, runs);
        expect(service.logs.slice(since).filter(({ level }) => level >= 50)).toEqual([]);
      }),
    SLOW_MS,
  );

  test(
    'when Redis refused to write for longer than locks last',
    () =>
      onStage(2, {}, async ({ service, wire, begin }) => {
        const { runs, open } = await begin(10);
        await admin.config('SET', 'min-replicas-to-write', 1);
        await delay(STILL_MS);
        await admin.config('SET', 'min-replicas-to-write', 0);
        await takenUp(service, runs);
        open();
        await expectUndisturbed(wire, runs);
      }),
    SLOW_MS,
  );

  test(
    'when Redis stood still for longer than locks last',
    () =>
      onStage(2, {}, async ({ service, wire, begin }) => {
        const { runs, open } = await begin(10);
        await redis.freeze(STILL_MS);
        await takenUp(service, runs);
        open();
        await expectUndisturbed(wire, runs);
      }),
    SLOW_MS,
  );
});

describe('a run that was taken from worker after worker', () => {
  test(
    'does not fail for it while they live',
    () =>
      onStage(2, { MAX_ATTEMPTS: '2' }, async ({ service, wire, workers }) => {
        const doors = Array.from({ length: 4 }, () => gate());
        let next = 0;
        upstream.reply(() => [text('Once'), ...doors.slice(next, ++next), text(' more'), finish('stop')]);
        const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm' });
        const run = await wire.run(await wire.thread('a story'), { assistant_id });
        let holder: ServiceProcess | undefined;
        for (const door of doors) {
          await door.reached;
          const previous = holder;
          const starts = service.logs.filter(({ event }) => event === 'run.started');
          holder = workers.find(({ name }) => name === starts.at(-1)?.process);
          // The one before stands still until another has taken its run.
          previous?.proceed();
          expect(holder).not.toBe(previous);
          if (door !== doors.at(-1)) holder?.freeze();
        }
        doors.at(-1)?.open();
        expect(await wire.rested(run)).toMatchObject({ status: 'completed', last_error: null });
        expect(questions()).toBe(doors.length);
      }),
    SLOW_MS,
  );

  test(
    'is given up when it has killed as many as it may',
    () =>
      onStage(1, { MAX_ATTEMPTS: '2' }, async ({ service, wire, begin }) => {
        const { runs } = await begin(1);
        const [run] = runs;
        if (run === undefined) throw new Error('there is no run');
        upstream.reply(() => [text('Once'), { type: 'stall' }]);
        for (let killed = 0; killed < 2; killed++) {
          await upstream.asked(() => questions() > killed);
          const [holder] = workersOf(service);
          await service.waitForLog(
            ({ event, process, run_id }) =>
              event === 'run.started' && process === holder?.name && run_id === run.id,
          );
          const next = service.startWorker();
          await holder?.end('SIGKILL');
          await next;
        }
        expect(await wire.rested(run)).toMatchObject({
          status: 'failed',
          last_error: {
            code: 'server_error',
            message: expect.stringContaining('lost its worker 2 times') as unknown,
          },
        });
        expect(questions()).toBe(2);
      }),
    SLOW_MS,
  );
});
