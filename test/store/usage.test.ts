/** Transitions are told once, after their commit and never for one that was refused; and what projects have used is counted by them. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Damage } from '../../src/store/damage.ts';
import type { ScriptedRedis } from '../../src/store/scripts.ts';
import type { CommittedTransition } from '../../src/store/report.ts';
import { RunStore } from '../../src/store/runs.ts';
import { UsageCounts } from '../../src/store/usage.ts';
import { usage } from '../runs/histories.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import {
  CANCELLING,
  COMPLETED,
  create,
  CREATED_AT,
  delta,
  LOG_KEPT_S,
  openStore,
  PROJECT,
  refOf,
  silent,
  start,
  startTalking,
  withMethod,
  type Store,
} from './fixture.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => server.stop());

/** A store whose transitions somebody hears. */
async function listening(
  onTransition: (transition: CommittedTransition) => void,
  wrap?: (redis: ScriptedRedis) => ScriptedRedis,
): Promise<Store> {
  const store = await openStore(server.url, wrap);
  const { redis, keys, queue, open, threadIndex, recentRuns, contents, cold, clock } = store;
  const damage = new Damage(redis, keys, silent);
  const now = (): number => clock.s;
  const common = { redis, keys, queue, open, threadIndex, recentRuns, contents, cold, damage, now };
  const runs = new RunStore({ ...common, log: silent, logKeptS: LOG_KEPT_S, confirm: null, onTransition });
  return { ...store, runs };
}

/** Sends every command twice, as a client library does that has reconnected; the reply is the second one's. */
const twice =
  (name: 'commit' | 'usage') =>
  (redis: ScriptedRedis): ScriptedRedis =>
    withMethod(redis, name, async (...args: string[]) => {
      await redis[name](...args);
      return redis[name](...args);
    });

describe('transitions', () => {
  test('are told with what the run is after its commit', async () => {
    const heard: CommittedTransition[] = [];
    const store = await listening((transition) => heard.push(transition));
    await store.runs.commit(await startTalking(store), [delta('Hello'), ...COMPLETED]);
    expect(heard.map(({ type, status }) => [type, status])).toStrictEqual([
      ['run.queued', 'queued'],
      ['run.started', 'in_progress'],
      ['run.completed', 'completed'],
    ]);
    const seqs = heard.map(({ seq }) => seq);
    expect(seqs).toStrictEqual(seqs.toSorted((one, other) => one - other));
    expect(heard.at(-1)).toStrictEqual({
      seq: seqs.at(-1),
      project: PROJECT,
      run_id: 'run_1',
      thread_id: 'thread_1',
      assistant_id: 'asst_1',
      model: 'model',
      backend: null,
      type: 'run.completed',
      status: 'completed',
      created_at: CREATED_AT,
      started_at: CREATED_AT + 1,
      completed_at: CREATED_AT + 1,
      failed_at: null,
      cancelled_at: null,
      last_error: null,
      usage: usage(1),
      at: CREATED_AT + 1,
    });
  });

  test('are told once each, however often their commit was sent', async () => {
    const heard: string[] = [];
    const store = await listening(({ type }) => heard.push(type), twice('commit'));
    await store.runs.commit(await startTalking(store), COMPLETED);
    expect(heard).toStrictEqual(['run.queued', 'run.started', 'run.completed']);
  });

  test('are told by the process that committed them alone', async () => {
    const heard: string[] = [];
    const store = await listening(({ type }) => heard.push(type));
    const held = await start(store);
    await store.runs.change(refOf(), () => [CANCELLING]);
    await expect(store.runs.commit(held, [{ type: 'run.completed', at: 1 }])).rejects.toThrow('conflict');
    await create(store);
    expect(heard).toStrictEqual(['run.queued', 'run.started', 'run.cancelling']);
  });

  test('are not told where nobody knows whether they were committed', async () => {
    const heard: string[] = [];
    const away = (redis: ScriptedRedis): ScriptedRedis =>
      withMethod(redis, 'commit', async (...args: string[]) => {
        await redis.commit(...args);
        throw new Error('Connection is closed');
      });
    const store = await listening(({ type }) => heard.push(type), away);
    await expect(create(store)).rejects.toThrow('closed');
    expect(heard).toStrictEqual([]);
  });
});

describe('what a project has used', () => {
  const DAY_S = 86_400;

  async function counting(
    wrap?: (redis: ScriptedRedis) => ScriptedRedis,
  ): Promise<{ store: Store; used: UsageCounts; redis: ScriptedRedis }> {
    let counts: UsageCounts | null = null;
    const store = await listening((transition) => counts?.count(transition), wrap);
    counts = new UsageCounts(store.redis, store.keys, silent);
    return { store, used: counts, redis: store.redis };
  }

  const NO_RUNS = { completed: 0, incomplete: 0, failed: 0, cancelled: 0, expired: 0 };
  const tokens = (times: number) => ({
    prompt_tokens: usage(1).prompt_tokens * times,
    completion_tokens: usage(1).completion_tokens * times,
    total_tokens: usage(1).total_tokens * times,
    costMicros: 0,
  });

  test('is the runs that ended, by how, and their tokens', async () => {
    const { store, used } = await counting();
    for (const name of ['a', 'b'])
      await store.runs.commit(
        await startTalking(store, refOf(`run_${name}`, { project: PROJECT, threadId: `thread_${name}` })),
        COMPLETED,
      );
    await start(store);
    await store.runs.close(refOf(), { type: 'expired' });
    expect(await used.days(PROJECT, '1970-01-01', '1970-01-01')).toStrictEqual([
      { date: '1970-01-01', runs: { ...NO_RUNS, completed: 2, expired: 1 }, ...tokens(2) },
    ]);
    expect(await used.days('q', '1970-01-01', '1970-01-01')).toStrictEqual([]);
  });

  const ended = (run_id: string, at: number, spent = usage(1)): CommittedTransition => ({
    seq: 1,
    project: PROJECT,
    run_id,
    thread_id: 'thread_1',
    assistant_id: 'asst_1',
    model: 'm',
    backend: null,
    type: 'run.completed',
    status: 'completed',
    created_at: 0,
    started_at: null,
    completed_at: null,
    failed_at: null,
    cancelled_at: null,
    last_error: null,
    usage: spent,
    at,
  });

  test('is told by UTC days, those without a run left out', async () => {
    const { used } = await counting();
    used.count(ended('run_last_second', 3 * DAY_S - 1));
    used.count(ended('run_next', 3 * DAY_S));
    used.count(ended('run_later', 5 * DAY_S));
    const days = await used.days(PROJECT, '1970-01-01', '1970-01-05');
    expect(days.map(({ date, runs }) => [date, runs.completed])).toStrictEqual([
      ['1970-01-03', 1],
      ['1970-01-04', 1],
    ]);
  });

  test('counts a run once, however often that is sent', async () => {
    const { store, used } = await counting(twice('usage'));
    await store.runs.commit(await startTalking(store), COMPLETED);
    used.count(ended('run_1', CREATED_AT));
    expect(await used.days(PROJECT, '1970-01-01', '1970-01-01')).toMatchObject([tokens(1)]);
  });

  test('has what runs have cost, where that is known', async () => {
    const { used } = await counting(twice('usage'));
    used.count(ended('run_1', 1), 250);
    used.count(ended('run_2', 1), 0);
    used.count(ended('run_3', 1), null);
    used.count(ended('run_4', 1), 1_000_000);
    expect(await used.days(PROJECT, '1970-01-01', '1970-01-01')).toMatchObject([{ costMicros: 1_000_250 }]);
  });

  test('is kept for more than a year, and for an hour where no model has answered', async () => {
    const { store, used } = await counting();
    const lifeMs = async (): Promise<number> => store.redis.pttl(store.keys.usage(PROJECT, '1970-01-01'));
    used.count(ended('run_1', 1, usage(0)));
    expect(await lifeMs()).toBeLessThanOrEqual(3_600_000);
    used.count(ended('run_2', 1));
    expect(await lifeMs()).toBeGreaterThan(366 * DAY_S * 1_000);
    used.count(ended('run_3', 1, usage(0)));
    expect(await lifeMs()).toBeGreaterThan(366 * DAY_S * 1_000);
    const markMs = await store.redis.pttl(store.keys.counted(PROJECT, 'run_1'));
    expect(markMs).toBeGreaterThan(0);
  });

  test('is not waited for, and where it cannot be written the run ends all the same', async () => {
    const { store, used } = await counting((redis) =>
      withMethod(redis, 'usage', () => Promise.reject(new Error('OOM'))),
    );
    await store.runs.commit(await startTalking(store), COMPLETED);
    expect(await used.days(PROJECT, '1970-01-01', '1970-01-01')).toStrictEqual([]);
  });
});
