/** fragments.lua: the fragments of many runs in one command, each run on its own. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readLog } from '../../src/store/log.ts';
import type { ScriptedRedis } from '../../src/store/scripts.ts';
import { Refused, type StoredRun } from '../../src/store/runs.ts';
import { needsOneServer, startRedis, type RedisServer } from '../support/redis.ts';
import {
  CANCELLING,
  delta,
  must,
  openStore,
  overheard,
  PROJECT,
  refOf,
  send,
  startTalking,
  textIn,
  type Sent,
  type Store,
} from './fixture.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => server.stop());

/** Runs that talk, each in a thread of its own, and the commands with which fragments were sent. */
async function talking(runs: number): Promise<{ store: Store; held: StoredRun[]; commands: Sent[] }> {
  const commands: Sent[] = [];
  const store = await openStore(server.url, (redis: ScriptedRedis) =>
    overheard(redis, async (sent) => {
      if (sent.script === 'fragments') commands.push(sent);
      return send(redis, sent);
    }),
  );
  const held: StoredRun[] = [];
  for (let index = 0; index < runs; index++)
    held.push(await startTalking(store, refOf('run_1', { project: PROJECT, threadId: `thread_${index}` })));
  return { store, held, commands };
}

/** What is said in the log of a run. */
const said = async (store: Store, { ref }: StoredRun): Promise<string> =>
  textIn(await readLog(store.redis, store.keys, ref, 1));

/** Each run says its own word, all at once. @returns the last seq of each, or why it was not committed. */
async function sayAll(store: Store, held: readonly StoredRun[]): Promise<readonly (number | string)[]> {
  return Promise.all(
    held.map(async (run, index) =>
      store.runs.commit(run, [delta(`word ${index}`)]).then(
        ({ seq }) => seq,
        (error: unknown) => (error instanceof Refused ? error.why : String(error)),
      ),
    ),
  );
}

describe('fragments of many runs', () => {
  test('that come at once are one command, and each run has its own', async (context) => {
    needsOneServer(context);
    const { store, held, commands } = await talking(5);
    const before = held.map(({ seq }) => seq);
    expect(await sayAll(store, held)).toStrictEqual(before.map((seq) => seq + 1));
    expect(commands).toHaveLength(1);
    expect(await Promise.all(held.map(async (run) => said(store, run)))).toStrictEqual(
      held.map((_, index) => `word ${index}`),
    );
  });

  test('are more commands where they are very many', async (context) => {
    needsOneServer(context);
    const { store, held, commands } = await talking(70);
    await sayAll(store, held);
    expect(commands).toHaveLength(2);
    expect(await said(store, must(held.at(-1)))).toBe('word 69');
  });

  test('are judged run by run: refused, gone and damaged ones keep nobody back', async () => {
    const { store, held } = await talking(5);
    const [fine, cancelled, deleted, damaged, last] = held;
    if (!fine || !cancelled || !deleted || !damaged || !last) throw new Error('a run is missing');
    await store.runs.change(cancelled.ref, () => [CANCELLING]);
    await store.objects.threads.delete(deleted.ref);
    await store.redis.set(store.keys.log(damaged.ref), 'no stream');
    const answers = await sayAll(store, held);
    expect(answers).toStrictEqual([
      fine.seq + 1,
      'conflict',
      'gone',
      expect.stringContaining('WRONGTYPE'),
      last.seq + 1,
    ]);
    expect(await Promise.all([fine, last].map(async (run) => said(store, run)))).toStrictEqual([
      'word 0',
      'word 4',
    ]);
  });
});

describe('a server that refuses to write for now', () => {
  test('is asked again for all of them, and nothing is written twice', async (context) => {
    needsOneServer(context);
    const { store, held, commands } = await talking(3);
    await store.redis.config('SET', 'min-replicas-to-write', '1');
    const saying = sayAll(store, held);
    await store.redis.ping();
    await store.redis.config('SET', 'min-replicas-to-write', '0');
    expect(await saying).toStrictEqual(held.map(({ seq }) => seq + 1));
    expect(commands).toHaveLength(1);
    expect(await store.redis.info('errorstats')).toContain('errorstat_NOREPLICAS');
    expect(await Promise.all(held.map(async (run) => said(store, run)))).toStrictEqual([
      'word 0',
      'word 1',
      'word 2',
    ]);
  });
});
