/** How a worker comes to a run: by what its job shows where that holds, else by a look. Counted in trips to Redis. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Model } from '../../src/runs/model.ts';
import { newId } from '../../src/runs/ids.ts';
import type { RunState } from '../../src/runs/run.ts';
import { jobOf, type RunJob } from '../../src/store/run-jobs.ts';
import type { ScriptedRedis } from '../../src/store/scripts.ts';
import { FolderVault } from '../../src/vault/folder.ts';
import { Measures, WORKER_MEASURES } from '../../src/measures.ts';
import { Pictures } from '../../src/worker/pictures.ts';
import { RunWorker } from '../../src/worker/run-job.ts';
import type { StoredRun } from '../../src/store/runs.ts';
import { Room } from '../../src/worker/room.ts';
import { RunTraces } from '../../src/worker/run-traces.ts';
import { Slots } from '../../src/worker/slots.ts';
import { noHostedTools, noRemoteTools } from '../support/hosted.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import {
  CANCELLING,
  create,
  must,
  newMessage,
  openHub,
  openStore,
  read,
  refOf,
  silent,
  STARTED,
  type Store,
} from '../store/fixture.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => server.stop());

/** Answers with one word. */
const model: Model = {
  async *stream() {
    yield { type: 'text', text: 'Hello' };
    yield { type: 'finish', reason: 'stop', usage: null };
  },
};

/** What is sent in one tick goes to Redis in one trip. `item` reads a run, with what a client put beside it. */
const NOTED = ['item', 'commit', 'history'];

/** A store that notes the commands of each tick once `trips` is asked for. */
async function openNoted(): Promise<{ store: Store; trips: string[][] }> {
  const trips: string[][] = [];
  let current: string[] | null = null;
  const listening = (redis: ScriptedRedis): ScriptedRedis =>
    new Proxy(redis, {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key);
        if (typeof value !== 'function') return value;
        if (!NOTED.includes(String(key))) return value.bind(target) as unknown;
        return (...args: unknown[]): unknown => {
          if (current === null) {
            trips.push((current = []));
            setImmediate(() => (current = null));
          }
          current.push(String(key));
          return Reflect.apply(value, target, args);
        };
      },
    });
  return { store: await openStore(server.url, listening), trips };
}

async function workerOf(store: Store, slots = 10): Promise<RunWorker> {
  const { hub } = await openHub(store);
  return new RunWorker({
    ...store,
    hub,
    measures: new Measures(WORKER_MEASURES),
    traces: new RunTraces({
      worker: 'host/worker',
      nowMs: () => store.clock.s * 1_000,
      notes: null,
      collector: null,
    }),
    lease: {
      id: 'host/worker',
      lives: async () => false,
      confirm: async () => false,
      survived: async () => {},
    },
    slots: new Slots({ slots, upstreams: [{ name: 'main' }], wake: async () => true }),
    upstreamOf: () => 'main',
    maxAttempts: 3,
    model,
    runTool: async () => '',
    runRemote: noRemoteTools,
    hosted: { run: noHostedTools, ended: async () => {} },
    secretsIn: () => ({}),
    log: silent,
    now: () => store.clock.s,
    newId,
    contextTokens: 8_000,
    promptLimitBytes: 1_000_000,
    pictures: new Pictures(store.objects.files, new FolderVault('unused')),
    room: new Room(1_000_000),
    onAnswer: () => {},
  });
}

/** A run that is asked something. */
const asked = async (store: Store): Promise<StoredRun> =>
  create(store, refOf(), { messages: [newMessage('msg_question')] });

const statusOf = async (store: Store): Promise<string> => (await read(store)).state.run.status;

test('a run that is as its job shows it is claimed at once, and its history comes with the claim', async () => {
  const { store, trips } = await openNoted();
  const worker = await workerOf(store);
  const job = jobOf(await asked(store));
  trips.length = 0;
  expect(await worker.work(job)).toBe('done');
  expect(trips[0]).toStrictEqual(['commit', 'history']);
  expect(trips.flat()).not.toContain('item');
  expect(await statusOf(store)).toBe('completed');
});

test('a run that its job does not show is read first: it is large, or the job of an older version', async () => {
  const { store, trips } = await openNoted();
  const worker = await workerOf(store);
  const { run: _, ...job } = jobOf(await asked(store));
  trips.length = 0;
  expect(await worker.work(job)).toBe('done');
  expect(trips.slice(0, 2)).toStrictEqual([['item'], ['commit', 'history']]);
  expect(await statusOf(store)).toBe('completed');
});

test('a claim by what a job shows is refused where the run has changed since; then the run is read', async () => {
  const { store, trips } = await openNoted();
  const worker = await workerOf(store);
  const queued = await asked(store);
  const job = jobOf(queued);
  const started = await store.runs.commit(queued, [STARTED]);
  const { attempts } = must(await store.runs.giveBack(started.ref, 'lost')).state;
  trips.length = 0;
  expect(await worker.work(job)).toBe('done');
  expect(trips.slice(0, 3)).toStrictEqual([['commit', 'history'], ['item'], ['commit', 'history']]);
  expect(await read(store)).toMatchObject({
    state: { attempts: attempts + 1, run: { status: 'completed' } },
  });
});

test('a run that was cancelled behind its job is not executed', async () => {
  const store = await openStore(server.url);
  const worker = await workerOf(store);
  const job = jobOf(await asked(store));
  await store.runs.change(refOf(), () => [CANCELLING]);
  expect(await worker.work(job)).toBe('done');
  expect(await statusOf(store)).toBe('cancelled');
  expect((await read(store)).state.attempts).toBe(0);
});

test('the job of a run that was never created, or is deleted, does nothing', async () => {
  const store = await openStore(server.url);
  const worker = await workerOf(store);
  const job = jobOf(await asked(store));
  await store.objects.threads.delete(refOf());
  expect(await worker.work(job)).toBe('done');
  expect(await store.runs.get(refOf())).toBeNull();
  expect(await store.redis.exists(store.keys.log(refOf()))).toBe(0);
});

test('a run of a newer format is left to a newer worker, as its job shows it', async () => {
  const store = await openStore(server.url);
  const worker = await workerOf(store);
  const job = jobOf(await asked(store));
  const shown = must(job.run);
  const newer: RunState = { ...shown.state, v: 99 };
  expect(await worker.work({ ...job, run: { ...shown, state: newer } })).toBe('too new');
  expect(await statusOf(store)).toBe('queued');
});

test('a job that comes twice is executed once', async () => {
  const store = await openStore(server.url);
  const worker = await workerOf(store);
  const job: RunJob = jobOf(await asked(store));
  expect(await Promise.all([worker.work(job), worker.work(job)])).toStrictEqual(['done', 'done']);
  expect(await worker.work(job)).toBe('done');
  expect(await read(store)).toMatchObject({ state: { attempts: 1 } });
  expect(await store.redis.hlen(store.keys.messages(refOf()).docs)).toBe(2);
});
