/** The grace of clients that poll: whom it shows what, where it is kept, and that it is no part of any run. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runView } from '../../src/store/poll-grace.ts';
import type { PageQuery } from '../../src/store/collection.ts';
import { stateAfter } from '../runs/histories.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import {
  ANSWERED,
  CALL,
  keysOf,
  must,
  openStore,
  read,
  refOf,
  start,
  THREAD,
  type Store,
} from './fixture.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => server.stop());

const ALL: PageQuery = { limit: 100, order: 'asc', after: null, before: null };
const FAR_MS = Number.MAX_SAFE_INTEGER;
const GOES_ON = { status: 'queued', required_action: null };

/** A run that waits for its client. */
async function blocked(): Promise<Store> {
  const store = await openStore(server.url);
  await store.runs.commit(await start(store), CALL);
  return store;
}

/** The run as GET and lists show it at that time. */
async function shown(store: Store, nowMs: number): Promise<unknown> {
  const found = must(await store.runs.get(refOf()));
  return runView(found.stored.state.run, found, nowMs);
}

describe('in its grace', () => {
  test('a run that asks is read as queued, alone and in lists, until the time', async () => {
    const store = await blocked();
    await store.runs.grace(refOf(), 5_000);
    expect(await shown(store, 4_999)).toMatchObject(GOES_ON);
    expect(await shown(store, 5_000)).toMatchObject({ status: 'requires_action' });
    await store.runs.grace(refOf(), FAR_MS);
    expect(await store.objects.runs.list(THREAD, ALL)).toMatchObject({ items: [GOES_ON] });
  });

  test('nothing of the run is changed, and no event says so', async () => {
    const store = await blocked();
    const before = await read(store);
    await store.runs.grace(refOf(), FAR_MS);
    expect(await read(store)).toStrictEqual(before);
    expect(before.state.run.status).toBe('requires_action');
  });

  test('another run of the thread is read as it is', () => {
    const { run } = stateAfter(['run.started', 'step.tools', 'tool.called', 'run.blocked']);
    const grace = { runId: 'run_0', untilMs: FAR_MS };
    expect(runView(run, { labels: null, grace }, 0)).toStrictEqual(run);
  });

  test('a run that does not ask is read as it is, whatever it is', () => {
    for (const moves of [[], ['run.started'], ['run.started', 'run.completed']] as const) {
      const { run } = stateAfter(moves);
      const grace = { runId: run.id, untilMs: FAR_MS };
      expect(runView(run, { labels: null, grace }, 0)).toStrictEqual(run);
    }
  });
});

test('begins with an answer, before anybody can read what the run asks next', async () => {
  const store = await blocked();
  await store.runs.change(refOf(), () => ANSWERED, FAR_MS);
  expect(must(await store.runs.get(refOf())).grace).toStrictEqual({ runId: 'run_1', untilMs: FAR_MS });
  // Only with a change that is made.
  await store.runs.grace(refOf(), 1);
  await store.runs.change(refOf(), () => null, FAR_MS);
  expect(must(await store.runs.get(refOf())).grace).toMatchObject({ untilMs: 1 });
});

test('of a thread that was deleted leaves nothing behind', async () => {
  const store = await blocked();
  await store.objects.threads.delete(THREAD);
  const before = await keysOf(store);
  await store.runs.grace(refOf(), FAR_MS);
  expect(await keysOf(store)).toStrictEqual(before);
});
