/** What workers note for traces: bounded, for as long as it is kept, and never of a run that is gone. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PLAIN_ORIGIN } from '../../src/runs/event.ts';
import { MOST_NOTES, type TraceNote } from '../../src/runs/trace/notes.ts';
import { TraceNotes } from '../../src/store/traces.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import {
  COMPLETED,
  create,
  openStore,
  PROJECT,
  refOf,
  silent,
  start,
  startTalking,
  THREAD,
  type Store,
} from './fixture.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => server.stop());

const KEPT_S = 1_000;
const note = (begun: number): TraceNote => ({ begun, at: begun, worker: 'host/worker' });

/** Notes of one run, as a process gathers and sends them. */
async function noted({ redis, keys }: Store, notes: readonly TraceNote[], ref = refOf()): Promise<void> {
  const gathered = new TraceNotes({ redis, keys, log: silent, keptS: KEPT_S });
  for (const each of notes) gathered.add(ref, () => each);
  await gathered.close();
}

test('they are read in the order in which they came, and stay for as long as they are kept', async () => {
  const store = await openStore(server.url);
  await start(store);
  await noted(store, [note(1), note(2)]);
  await noted(store, [note(3)]);
  expect(await store.objects.traces.of(refOf())).toEqual([note(1), note(2), note(3)]);
  const leftMs = await store.redis.pttl(store.keys.trace(refOf()));
  expect(leftMs).toBeGreaterThan((KEPT_S - 100) * 1_000);
  expect(leftMs).toBeLessThanOrEqual(KEPT_S * 1_000);
});

test('a script that is sent twice notes them once', async () => {
  const store = await openStore(server.url);
  await start(store);
  const names = [store.keys.run(refOf()), store.keys.trace(refOf())];
  const send = (): Promise<unknown> => store.redis.trace(2, ...names, MOST_NOTES, 1_000, '"one"', '"two"');
  expect([await send(), await send()]).toEqual([1, 1]);
  expect(await store.redis.lrange(store.keys.trace(refOf()), 0, -1)).toEqual(['"one"', '"two"']);
});

test('there are never more than so many', async () => {
  const store = await openStore(server.url);
  await start(store);
  await noted(
    store,
    Array.from({ length: MOST_NOTES - 1 }, (_, index) => note(index)),
  );
  await noted(store, [note(1_001), note(1_002), note(1_003)]);
  const found = await store.objects.traces.of(refOf());
  expect(found).toHaveLength(MOST_NOTES);
  expect(found.at(-1)).toEqual(note(1_001));
});

test('a run that was deleted leaves nothing, also where a worker goes on with it', async () => {
  const store = await openStore(server.url);
  await start(store);
  await noted(store, [note(1)]);
  await store.objects.threads.delete(THREAD);
  await noted(store, [note(2)]);
  expect(await store.redis.exists(store.keys.trace(refOf()))).toBe(0);
});

test('those of a chat without a thread end with it', async () => {
  const store = await openStore(server.url);
  const origin = { ...PLAIN_ORIGIN, project: PROJECT, request_id: 'req_1', ephemeral: true };
  await create(store, refOf(), { origin, thread: null, input: [{ role: 'user', content: 'x' }] });
  await store.redis.pexpire(store.keys.run(refOf()), 5_000);
  await noted(store, [note(1)]);
  expect(await store.redis.pttl(store.keys.trace(refOf()))).toBeLessThanOrEqual(5_000);
});

test('a cold thread has none, so that nothing is left when it is deleted', async () => {
  const store = await openStore(server.url);
  await store.runs.commit(await startTalking(store), COMPLETED);
  await noted(store, [note(1)]);
  const [outcome] = await store.freezer.freeze([{ ref: THREAD, usedMs: 0 }]);
  expect(outcome).toBe('frozen');
  expect(await store.redis.exists(store.keys.trace(refOf()))).toBe(0);
});
