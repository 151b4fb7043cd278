/** RunStore: what several at once may do to one run, closing and giving back in mid-sentence, expiry, and key lifetimes. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PLAIN_ORIGIN, type RunEvent } from '../../src/runs/event.ts';
import { failedBy } from '../../src/runs/ending.ts';
import { isCancelling, isTerminal } from '../../src/runs/run.ts';
import { readLog, type LoggedEvent } from '../../src/store/log.ts';
import { Refused, type StoredRun } from '../../src/store/runs.ts';
import { runView } from '../../src/store/poll-grace.ts';
import { fold } from '../runs/histories.ts';
import { needsOneServer, startRedis, type RedisServer } from '../support/redis.ts';
import {
  ANSWERED,
  CALL,
  CANCELLING,
  COMPLETED,
  create,
  CREATED_AT,
  delta,
  EXPIRES_AT,
  keysOf,
  LOG_KEPT_S,
  must,
  newRun,
  OPEN_MESSAGE,
  openStore,
  PROJECT,
  read,
  refOf,
  start,
  STARTED,
  startTalking,
  storedText,
  textIn,
  THREAD,
  withMethod,
  type Store,
} from './fixture.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => server.stop());

const logOf = async (store: Store): Promise<readonly LoggedEvent[]> =>
  readLog(store.redis, store.keys, refOf(), 1);
const typesOf = async (store: Store): Promise<readonly string[]> =>
  (await logOf(store)).map(({ event }) => event.type);

/** Asks to cancel, as the API does: only what is not being cancelled already. */
const cancel = (stored: StoredRun): readonly RunEvent[] | null =>
  isCancelling(stored.state.run) || isTerminal(stored.state.run) ? null : [CANCELLING];

/** A worker that talks until it is refused, at a model's pace. @returns every fragment the store acknowledged. */
async function talk(store: Store, talking: StoredRun): Promise<string> {
  let held = talking;
  let acknowledged = '';
  for (let word = 0; ; word++) {
    // The model takes a few round trips' time for a word; a worker that never pauses leaves nobody else a turn.
    for (let trips = 0; trips < 5; trips++) await store.redis.ping();
    try {
      held = await store.runs.commit(held, [delta(`${word} `)]);
      acknowledged += `${word} `;
    } catch (error) {
      if (error instanceof Refused) return acknowledged;
      throw error;
    }
  }
}

/** Waits until the worker has said some words. */
async function heard(store: Store): Promise<void> {
  while ((await read(store)).seq < 8) await store.redis.ping();
}

describe('changing a run', () => {
  test('ten cancels at once are one cancel', async () => {
    const store = await openStore(server.url);
    await start(store);
    const changes = await Promise.all(
      Array.from({ length: 10 }, async () => store.runs.change(refOf(), cancel)),
    );
    expect(changes.map((change) => must(change).stored.state.run.status)).toStrictEqual(
      Array.from({ length: 10 }, () => 'cancelling'),
    );
    expect((await typesOf(store)).filter((type) => type === 'run.cancelling')).toHaveLength(1);
  });

  test('ten answers at once are one answer, and one further turn', async () => {
    const store = await openStore(server.url);
    await store.runs.commit(await start(store), CALL);
    const refused = new Error('does not accept tool outputs');
    const changes = await Promise.allSettled(
      Array.from({ length: 10 }, async () =>
        store.runs.change(refOf(), ({ state }) => {
          if (state.run.required_action === null) throw refused;
          return ANSWERED;
        }),
      ),
    );
    expect(changes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(changes.filter(({ status }) => status === 'rejected')).toStrictEqual(
      Array.from({ length: 9 }, () => ({ status: 'rejected', reason: refused })),
    );
    expect((await read(store)).state.turn).toBe(2);
  });

  /** Shows A-EXPIRY-08. */
  test('an answer and the expiry at once: one of them wins', async () => {
    const store = await openStore(server.url);
    await store.runs.commit(await start(store), CALL);
    const answer = store.runs.change(refOf(), ({ state }) => (state.run.required_action ? ANSWERED : null));
    await Promise.all([answer, store.runs.close(refOf(), { type: 'expired' })]);
    const log = await logOf(store);
    expect((await read(store)).state).toStrictEqual(fold(log.map(({ event }) => event)));
    expect(log.at(-1)?.event.type).toBe('run.expired');
    expect(log.filter(({ event }) => event.type.startsWith('step.')).length).toBe(2);
  });

  test('says after which event its own ones begin, even when fragments came between', async () => {
    const store = await openStore(server.url);
    const talking = await startTalking(store);
    const racing = store.runs.change(refOf(), cancel);
    await store.runs.commit(talking, [delta('a'), delta('b')]);
    const { after } = must(await racing);
    const [first] = await readLog(store.redis, store.keys, refOf(), after + 1);
    expect(first).toMatchObject({ seq: after + 1, event: { type: 'run.cancelling' } });
  });

  test('that decides for nothing leaves the run alone', async () => {
    const store = await openStore(server.url);
    const queued = await create(store);
    expect(await store.runs.change(refOf(), () => null)).toMatchObject({ stored: queued, after: 1 });
    expect(await read(store)).toStrictEqual(queued);
  });

  test('of a run that is not there is nothing', async () => {
    const store = await openStore(server.url);
    await create(store);
    expect(await store.runs.change(refOf('run_2'), () => [CANCELLING])).toBeNull();
    expect(await store.runs.get({ ...refOf(), threadId: 'thread_2' })).toBeNull();
  });
});

describe('a run in mid-sentence', () => {
  test('cancelled while its worker writes, it keeps exactly what was heard', async () => {
    const store = await openStore(server.url);
    const talking = talk(store, await startTalking(store));
    await heard(store);
    await store.runs.change(refOf(), cancel);
    const closed = must(await store.runs.close(refOf(), { type: 'cancelled' }));
    const said = await talking;
    expect(closed.state.run.status).toBe('cancelled');
    expect(said).not.toBe('');
    expect(textIn(await logOf(store))).toBe(said);
    expect(await storedText(store)).toBe(said);
    expect(await store.objects.messages.get(THREAD, 'msg_1')).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'run_cancelled' },
    });
  });

  test.each<['expired' | 'failed']>([['expired'], ['failed']])(
    'closed as %s while its worker writes, it keeps exactly what was heard',
    async (type) => {
      const store = await openStore(server.url);
      const talking = talk(store, await startTalking(store));
      await heard(store);
      const error = { code: 'server_error', message: 'no' } as const;
      await store.runs.close(refOf(), type === 'failed' ? failedBy(error) : { type });
      const said = await talking;
      expect((await read(store)).state.run.status).toBe(type);
      expect(textIn(await logOf(store))).toBe(said);
      expect(await storedText(store)).toBe(said);
    },
  );

  test('given back while its worker writes, it is queued without the sentence, and the worker is out', async () => {
    const store = await openStore(server.url);
    const talking = talk(store, await startTalking(store));
    await heard(store);
    const given = must(await store.runs.giveBack(refOf(), 'lost'));
    const said = await talking;
    expect(textIn(await logOf(store))).toBe(said);
    expect(given.state).toMatchObject({ run: { status: 'queued' }, step: null, message: null, attempts: 1 });
    expect(await store.objects.messages.get(THREAD, 'msg_1')).toBeNull();
  });

  test('ten that close it at once end it once', async () => {
    const store = await openStore(server.url);
    await store.runs.commit(await startTalking(store), [delta('Once')]);
    const all = await Promise.all(
      Array.from({ length: 10 }, async () => store.runs.close(refOf(), { type: 'expired' })),
    );
    expect(new Set(all.map((stored) => must(stored).version)).size).toBe(1);
    expect((await typesOf(store)).slice(-3)).toStrictEqual([
      'message.incomplete',
      'step.expired',
      'run.expired',
    ]);
    expect(await typesOf(store)).toHaveLength(8);
  });

  test('a run that has ended stays as it is', async () => {
    const store = await openStore(server.url);
    const ended = await store.runs.commit(await startTalking(store), COMPLETED);
    expect(must(await store.runs.close(refOf(), { type: 'expired' })).version).toBe(ended.version);
    expect(must(await store.runs.giveBack(refOf(), 'lost')).version).toBe(ended.version);
  });

  test('of a run that is not there is nothing', async () => {
    const store = await openStore(server.url);
    expect(await store.runs.close(refOf(), { type: 'expired' })).toBeNull();
    expect(await store.runs.giveBack(refOf(), 'lost')).toBeNull();
    expect(await store.runs.replay(refOf())).toBeNull();
    expect(await store.runs.current(refOf())).toBeNull();
  });
});

describe('somebody was faster', () => {
  /** A store in which, right before the next replay of the run, `first` happens. */
  async function overtaken(first: (store: Store) => Promise<unknown>): Promise<Store> {
    let happened = false;
    const store = await openStore(server.url, (redis) =>
      withMethod(redis, 'xrange', async (...args: [string, string, string]) => {
        if (!happened) {
          happened = true;
          await first(store);
        }
        return redis.xrange(...args);
      }),
    );
    return store;
  }
  const cancelFirst = async (store: Store): Promise<unknown> => store.runs.change(refOf(), cancel);

  test('a run that is cancelled while it expires ends as cancelled', async () => {
    const store = await overtaken(cancelFirst);
    await start(store);
    store.clock.s = EXPIRES_AT;
    expect(must(await store.runs.current(refOf())).stored.state.run.status).toBe('cancelled');
    expect(await typesOf(store)).toStrictEqual([
      'run.queued',
      'run.started',
      'run.cancelling',
      'run.cancelled',
    ]);
  });

  test('a run that is cancelled while it is given back stays cancelling, for its next worker to close', async () => {
    const store = await overtaken(cancelFirst);
    await start(store);
    expect(must(await store.runs.giveBack(refOf(), 'shutdown')).state.run.status).toBe('cancelling');
  });

  test('a run that is blocked while it is given back stays blocked', async () => {
    const store = await overtaken(async (store) => store.runs.commit(await read(store), CALL));
    await start(store);
    expect(must(await store.runs.giveBack(refOf(), 'lost')).state.run.status).toBe('requires_action');
  });

  test('a run that was given back already is not given back twice', async () => {
    const store = await overtaken(async (store) => store.runs.giveBack(refOf(), 'lost'));
    await start(store);
    expect(must(await store.runs.giveBack(refOf(), 'lost')).state.run.status).toBe('queued');
    expect((await typesOf(store)).filter((type) => type === 'run.released')).toHaveLength(1);
  });
});

describe('replay', () => {
  test('has the fragments that the stored document lacks', async () => {
    const store = await openStore(server.url);
    const talking = await store.runs.commit(await startTalking(store), [delta('Hel'), delta('lo')]);
    expect((await read(store)).state.message?.content).toStrictEqual([]);
    const replayed = must(await store.runs.replay(refOf()));
    expect(replayed).toStrictEqual(talking);
    expect(replayed.state).toStrictEqual(fold((await logOf(store)).map(({ event }) => event)));
  });

  test('of a run whose log has expired is what is stored', async () => {
    const store = await openStore(server.url);
    const ended = await store.runs.commit(await startTalking(store), COMPLETED);
    await store.redis.pexpire(store.keys.log(refOf()), 0);
    expect(await store.runs.replay(refOf())).toStrictEqual(ended);
  });

  test('and close work on a run that outlived its log, because nobody was there to end it', async () => {
    const store = await openStore(server.url);
    const queued = await create(store);
    await store.redis.pexpire(store.keys.log(refOf()), 0);
    store.clock.s = EXPIRES_AT + LOG_KEPT_S + 1;
    const closed = must(await store.runs.current(refOf())).stored;
    expect(closed.state.run.status).toBe('expired');
    expect(closed.seq).toBe(queued.seq + 1);
    // Its log begins with its end; what came before is only in the stored document.
    expect(await store.runs.replay(refOf())).toStrictEqual(closed);
    expect(must(await store.runs.close(refOf(), { type: 'expired' })).version).toBe(closed.version);
  });
});

describe('current', () => {
  /** Shows A-EXPIRY-03, A-EXPIRY-06. */
  test.each<[string, (store: Store) => Promise<unknown>]>([
    ['queued', async (store) => create(store)],
    ['in_progress', async (store) => startTalking(store)],
    ['requires_action', async (store) => store.runs.commit(await start(store), CALL)],
  ])('ends a run that is %s and out of time; before that it leaves it alone', async (status, prepare) => {
    const store = await openStore(server.url);
    await prepare(store);
    const before = await read(store);
    store.clock.s = EXPIRES_AT - 1;
    expect(must(await store.runs.current(refOf())).stored).toStrictEqual(before);
    expect(before.state.run.status).toBe(status);
    store.clock.s = EXPIRES_AT;
    const { run } = must(await store.runs.current(refOf())).stored.state;
    expect(run).toMatchObject({ status: 'expired', expires_at: EXPIRES_AT, required_action: null });
    expect(await store.redis.exists(store.keys.active(THREAD))).toBe(0);
  });

  test('leaves a run alone that is being cancelled in its time, or has ended', async () => {
    const store = await openStore(server.url);
    await create(store);
    const cancelling = must(await store.runs.change(refOf(), cancel)).stored;
    store.clock.s = EXPIRES_AT - 1;
    expect(must(await store.runs.current(refOf())).stored).toStrictEqual(cancelling);
    const cancelled = must(await store.runs.close(refOf(), { type: 'cancelled' }));
    expect(must(await store.runs.current(refOf())).stored).toStrictEqual(cancelled);
  });

  /** Shows A-EXPIRY-04. */
  test('ends a cancel that no worker was there to carry out', async () => {
    const store = await openStore(server.url);
    await create(store);
    await store.runs.change(refOf(), cancel);
    store.clock.s = EXPIRES_AT;
    expect(must(await store.runs.current(refOf())).stored.state.run.status).toBe('cancelled');
  });

  test('forgets what came with the request when it ends, secrets first', async () => {
    const store = await openStore(server.url);
    const { run, origin } = newRun();
    await store.runs.create('p', {
      ...newRun(),
      run,
      origin: { ...origin, sealed: 'sealed', context: { place: 'x' } },
    });
    const ended = must(await store.runs.close(refOf(), { type: 'expired' }));
    expect(ended.state.origin).toMatchObject({ sealed: null, context: {} });
    expect(must(await store.runs.get(refOf())).stored.state.origin).toMatchObject({
      sealed: null,
      context: {},
    });
  });

  test('carries the metadata a client gave the run since, which its fold knows nothing of', async () => {
    const store = await openStore(server.url);
    const queued = await create(store);
    await store.objects.labels.set(THREAD, 'run_1', { colour: 'red' });
    const { stored, ...shown } = must(await store.runs.current(refOf()));
    expect(stored).toStrictEqual(queued);
    const { run } = stored.state;
    expect(runView(run, shown, 0)).toStrictEqual({ ...queued.state.run, metadata: { colour: 'red' } });
    expect(runView(run, { ...shown, labels: null }, 0)).toStrictEqual(queued.state.run);
  });
});

describe('lifetimes', () => {
  test('a log lives as long as its run may, and a while longer; when the run ends, that while begins', async () => {
    const store = await openStore(server.url);
    const logTtlS = async (): Promise<number> =>
      Math.ceil((await store.redis.pttl(store.keys.log(refOf()))) / 1000);
    const queued = await create(store);
    expect(await logTtlS()).toBe(EXPIRES_AT - CREATED_AT + LOG_KEPT_S);
    store.clock.s += 100;
    const started = await store.runs.commit(queued, [STARTED]);
    // The moment was set when the run was created, and stays where it is.
    expect(await logTtlS()).toBe(EXPIRES_AT - CREATED_AT + LOG_KEPT_S);
    const talking = await store.runs.commit(started, OPEN_MESSAGE);
    const further = await store.runs.commit(talking, [delta('a')]);
    expect(await logTtlS()).toBeGreaterThan(LOG_KEPT_S);
    await store.runs.commit(further, COMPLETED);
    expect(await logTtlS()).toBe(LOG_KEPT_S);
  });

  test('a run without a thread never has a key without an expiry, and few commands see to that', async (context) => {
    needsOneServer(context);
    const store = await openStore(server.url);
    const origin = { ...PLAIN_ORIGIN, project: PROJECT, request_id: 'req_1', ephemeral: true };
    const ttlsMs = async (): Promise<readonly number[]> => {
      const names = (await keysOf(store)).filter((key) => key.includes('{thread_1}'));
      return Promise.all(names.map(async (key) => store.redis.pttl(key)));
    };
    const atMost = async (seconds: number): Promise<void> => {
      for (const ttlMs of await ttlsMs()) {
        expect(ttlMs).toBeGreaterThan(0);
        expect(ttlMs).toBeLessThanOrEqual(seconds * 1000);
      }
    };
    const lifeS = EXPIRES_AT - CREATED_AT + LOG_KEPT_S;
    await store.redis.config('RESETSTAT');
    const input = [{ role: 'user', content: 'hello' } as const];
    let held = await create(store, refOf(), { origin, thread: null, input });
    await atMost(lifeS);
    held = await store.runs.commit(held, [STARTED]);
    held = await store.runs.commit(held, CALL);
    await atMost(lifeS);
    await store.runs.change(refOf(), () => ANSWERED);
    held = await store.runs.commit(await read(store), [STARTED]);
    for (const events of [OPEN_MESSAGE, [delta('a')], [delta('b')]])
      held = await store.runs.commit(held, events);
    await atMost(lifeS);
    await store.runs.commit(held, COMPLETED);
    await atMost(LOG_KEPT_S);
    expect(await ttlsMs()).toHaveLength(10);
    const pexpire = /cmdstat_pexpire:calls=(\d+)/.exec(await store.redis.info('commandstats'))?.[1];
    // Five keys begin with the run, three with a step of calls, five with a message; all thirteen are looked at in the end.
    expect(pexpire).toBe(`${5 + 3 + 1 + 5 + 13}`);
  });

  test('a run without a thread leaves nothing for ever where a client deletes what it said', async () => {
    const store = await openStore(server.url);
    const origin = { ...PLAIN_ORIGIN, project: PROJECT, request_id: 'req_1', ephemeral: true };
    let held = await create(store, refOf(), { origin, thread: null, input: [] });
    for (const events of [[STARTED], OPEN_MESSAGE, [delta('a')], COMPLETED])
      held = await store.runs.commit(held, events);
    const listed = await store.objects.messages.list(THREAD, 'run_1', {
      limit: 10,
      order: 'asc',
      after: null,
      before: null,
    });
    const said = listed.type === 'page' ? listed.items : [];
    expect(said).toHaveLength(1);
    for (const message of said) expect(await store.objects.messages.delete(THREAD, message)).toBe(true);
    await store.objects.line.forgetResponse(refOf());
    await store.objects.line.forgetResponse({ ...THREAD, runId: 'run_expired' });
    const names = (await keysOf(store)).filter((key) => key.includes('{thread_1}'));
    const ttls = await Promise.all(names.map(async (key) => [key, await store.redis.pttl(key)]));
    expect(ttls.filter(([, ms]) => ms === -1)).toStrictEqual([]);
  });

  test('everything else of a thread stays until it is deleted', async () => {
    const store = await openStore(server.url);
    await store.runs.commit(await start(store), CALL);
    await store.runs.change(refOf(), () => ANSWERED);
    const talking = await store.runs.commit(
      await store.runs.commit(await read(store), [STARTED]),
      OPEN_MESSAGE,
    );
    await store.runs.commit(talking, COMPLETED);
    await store.objects.labels.set(THREAD, 'run_1', { colour: 'red' });
    const names = (await keysOf(store)).filter((key) => key.includes('{thread_1}'));
    const ttls = await Promise.all(names.map(async (key) => store.redis.pttl(key)));
    const expiring = names.filter((_, index) => ttls[index] !== -1);
    expect(expiring).toStrictEqual([store.keys.log(refOf())]);
    expect(names).toHaveLength(12);
  });
});
