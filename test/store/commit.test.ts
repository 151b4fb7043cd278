/** commit.lua: the fence, the thread's lock, commands that arrive twice, and what a commit leaves behind. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunEvent } from '../../src/runs/event.ts';
import { failedBy } from '../../src/runs/ending.ts';
import { readLog } from '../../src/store/log.ts';
import type { ScriptedRedis } from '../../src/store/scripts.ts';
import { Refused, type StoredRun } from '../../src/store/runs.ts';
import { fold } from '../runs/histories.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import {
  ANSWERED,
  CALL,
  CANCELLING,
  COMPLETED,
  contents,
  create,
  delta,
  keysOf,
  must,
  newMessage,
  newRun,
  newThread,
  OPEN_MESSAGE,
  openStore,
  overheard,
  PROJECT,
  read,
  refOf,
  remindersOf,
  send,
  sendAgain,
  start,
  STARTED,
  startTalking,
  storedText,
  THREAD,
  type Sent,
  type Store,
} from './fixture.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => server.stop());

const ASC = { limit: 100, order: 'asc', after: null, before: null } as const;

async function messageIds(store: Store, runId: string | null = null): Promise<readonly string[]> {
  const page = await store.objects.messages.list(THREAD, runId, ASC);
  return page.type === 'page' ? page.items.map(({ id }) => id) : [page.cursor];
}

/** Why a commit was refused; `committed` when it was not. */
async function outcome(commit: Promise<unknown>): Promise<string> {
  return commit.then(
    () => 'committed',
    (error: unknown) => (error instanceof Refused ? error.why : String(error)),
  );
}

describe('creating a run', () => {
  test('writes the run, its messages, its log and the thread’s lock together', async () => {
    const store = await openStore(server.url);
    const messages = [newMessage('msg_a'), newMessage('msg_b')];
    const stored = await create(store, refOf(), { messages });
    expect(stored).toStrictEqual(await read(store));
    expect(stored).toMatchObject({ seq: 1, state: { run: { id: 'run_1', status: 'queued' } } });
    const log = await readLog(store.redis, store.keys, refOf(), 1);
    expect(log.map(({ seq, event }) => [seq, event.type])).toStrictEqual([[1, 'run.queued']]);
    expect(await store.redis.get(store.keys.active(THREAD))).toBe('run_1');
    expect(await messageIds(store)).toStrictEqual(['msg_a', 'msg_b']);
    // They belong to the thread: this run's output are only the messages it writes.
    expect(await messageIds(store, 'run_1')).toStrictEqual([]);
    expect(await store.objects.threads.get(THREAD)).toStrictEqual(newThread());
  });

  test('in a thread that is not there leaves nothing behind but a reminder', async () => {
    const store = await openStore(server.url);
    const answer = await store.runs.create(PROJECT, newRun(refOf(), { thread: null }));
    expect(answer).toStrictEqual({ type: 'no thread' });
    expect(await keysOf(store)).toStrictEqual([store.keys.open]);
  });

  test('in a thread that a run holds names that run and adds nothing, messages included', async () => {
    const store = await openStore(server.url);
    await create(store);
    const before = await contents(store);
    const more = newRun(refOf('run_2'), { thread: null, messages: [newMessage('msg_late')] });
    expect(await store.runs.create(PROJECT, more)).toStrictEqual({ type: 'locked', runId: 'run_1' });
    const reminders = ['p/thread_1/run_1', 'p/thread_1/run_2'];
    expect(await contents(store)).toStrictEqual({ ...before, [store.keys.open]: reminders });
  });

  test('fifty times at once in one thread succeeds exactly once', async () => {
    const store = await openStore(server.url);
    await store.objects.threads.create(PROJECT, newThread(), []);
    const ids = Array.from({ length: 50 }, (_, index) => `run_${index}`);
    const answers = await Promise.all(
      ids.map(async (id) =>
        store.runs.create(PROJECT, newRun(refOf(id), { thread: null, messages: [newMessage(`msg_${id}`)] })),
      ),
    );
    const winners = answers.flatMap((answer) => (answer.type === 'created' ? [answer.stored.ref.runId] : []));
    expect(winners).toHaveLength(1);
    const [winner] = winners;
    expect(answers.filter(({ type }) => type === 'locked')).toStrictEqual(
      Array.from({ length: 49 }, () => ({ type: 'locked', runId: winner })),
    );
    expect(await messageIds(store)).toStrictEqual([`msg_${winner}`]);
    const runs = await store.objects.runs.list(THREAD, ASC);
    expect(runs).toMatchObject({ items: [{ id: winner }], hasMore: false });
  });

  test('under an id that exists is the same request again: the run stays as it is', async () => {
    const store = await openStore(server.url);
    await create(store);
    const before = await contents(store);
    expect(await outcome(store.runs.create(PROJECT, newRun()))).toBe('committed');
    expect(await contents(store)).toStrictEqual(before);
  });
});

describe('the fence', () => {
  test('lets one of two workers start a run', async () => {
    const store = await openStore(server.url);
    const queued = await create(store);
    const both = [store.runs.commit(queued, [STARTED]), store.runs.commit(queued, [STARTED])];
    expect((await Promise.all(both.map(outcome))).toSorted()).toStrictEqual(['committed', 'conflict']);
    expect(await readLog(store.redis, store.keys, refOf(), 1)).toHaveLength(2);
  });

  test.each<[string, readonly RunEvent[]]>([
    ['fragments', [delta('zombie')]],
    ['a transition', COMPLETED],
  ])('refuses %s of a worker whose run was given to somebody else', async (_, events) => {
    const store = await openStore(server.url);
    const zombie = await startTalking(store);
    await store.runs.giveBack(refOf(), 'lost');
    await store.runs.commit(await read(store), [STARTED]);
    const before = await contents(store);
    expect(await outcome(store.runs.commit(zombie, events))).toBe('conflict');
    expect(await contents(store)).toStrictEqual(before);
  });

  test('refuses what does not directly follow the last fragment', async () => {
    const store = await openStore(server.url);
    const talking = await startTalking(store);
    const further = await store.runs.commit(talking, [delta('a')]);
    expect(further.version).toBe(talking.version);
    expect(await outcome(store.runs.commit(talking, COMPLETED))).toBe('conflict');
    expect(await outcome(store.runs.commit({ ...talking, seq: 99 }, [delta('b')]))).toBe('conflict');
    expect(await outcome(store.runs.commit(further, [delta('b')]))).toBe('committed');
  });

  test('is not moved by fragments: a cancel that read the run before them goes through', async () => {
    const store = await openStore(server.url);
    let talking = await startTalking(store);
    const racing = store.runs.change(refOf(), () => [CANCELLING]);
    talking = await store.runs.commit(talking, [delta('a')]);
    expect(must(await racing).stored.state.run.status).toBe('cancelling');
    expect(await outcome(store.runs.commit(talking, [delta('b')]))).toBe('conflict');
  });

  test('every transition has a version of its own', async () => {
    const store = await openStore(server.url);
    const queued = await create(store);
    const started = await store.runs.commit(queued, [STARTED]);
    const talking = await store.runs.commit(started, OPEN_MESSAGE);
    const ended = await store.runs.commit(talking, COMPLETED);
    expect(new Set([queued, started, talking, ended].map(({ version }) => version)).size).toBe(4);
  });

  test('a run that was deleted is gone for its worker, and does not come back', async () => {
    const store = await openStore(server.url);
    const talking = await startTalking(store);
    await store.objects.threads.delete(THREAD);
    expect(await outcome(store.runs.commit(talking, [delta('a')]))).toBe('gone');
    expect(await outcome(store.runs.commit(talking, COMPLETED))).toBe('gone');
    expect(await store.runs.change(refOf(), () => [CANCELLING])).toBeNull();
    expect(await store.runs.close(refOf(), { type: 'cancelled' })).toBeNull();
    expect(await keysOf(store)).toStrictEqual(remindersOf(store));
  });
});

describe('a command that arrives twice', () => {
  /** A store every commit of which is sent a second time, and must answer the same and change nothing. */
  async function doubling(): Promise<{ store: Store; differences: unknown[] }> {
    const differences: unknown[] = [];
    const store = await openStore(server.url, (redis: ScriptedRedis) =>
      overheard(redis, async (sent) => {
        const first = await send(redis, sent);
        const before = await contents(store);
        const second = await send(redis, sent);
        const after = await contents(store);
        if (JSON.stringify([first, before]) !== JSON.stringify([second, after])) {
          differences.push({ sent, first, second, before, after });
        }
        return first;
      }),
    );
    return { store, differences };
  }

  test('is done once: the whole life of a run that calls a tool, talks and completes', async () => {
    const { store, differences } = await doubling();
    const started = await start(store, refOf(), { messages: [newMessage('msg_a')] });
    await store.runs.commit(started, CALL);
    await store.runs.change(refOf(), () => ANSWERED);
    let talking = await store.runs.commit(await read(store), [STARTED]);
    talking = await store.runs.commit(talking, OPEN_MESSAGE);
    talking = await store.runs.commit(talking, [delta('Hel')]);
    talking = await store.runs.commit(talking, [delta('l'), delta('o')]);
    await store.runs.commit(talking, COMPLETED);
    expect(differences).toStrictEqual([]);
    expect(await messageIds(store)).toStrictEqual(['msg_a', 'msg_1']);
    expect(await storedText(store)).toBe('Hello');
  });

  test('is done once: a run that is given back, locked against others, cancelled and closed', async () => {
    const { store, differences } = await doubling();
    const talking = await startTalking(store);
    await store.runs.commit(talking, [delta('lost')]);
    await store.runs.giveBack(refOf(), 'lost');
    await store.runs.create(PROJECT, newRun(refOf('run_2'), { thread: null }));
    await store.runs.change(refOf(), () => [CANCELLING]);
    await store.runs.close(refOf(), { type: 'cancelled' });
    expect(differences).toStrictEqual([]);
    expect(await messageIds(store)).toStrictEqual([]);
  });

  test('much later is refused, and changes nothing', async () => {
    const all: Sent[] = [];
    const store = await openStore(server.url, (redis: ScriptedRedis) =>
      overheard(redis, async (sent) => {
        all.push(sent);
        return send(redis, sent);
      }),
    );
    const talking = await startTalking(store);
    await store.runs.commit(await store.runs.commit(talking, [delta('a')]), COMPLETED);
    const before = await contents(store);
    const answers: unknown[] = [];
    for (const sent of all.slice()) answers.push(await sendAgain(store.redis, sent));
    expect(answers).toStrictEqual([0, 0, 0, 0, 8]);
    expect(await contents(store)).toStrictEqual(before);
  });
});

describe('the thread’s lock', () => {
  const endings: readonly (readonly [string, (store: Store, held: StoredRun) => Promise<unknown>])[] = [
    ['completed', async (store, held) => store.runs.commit(held, COMPLETED)],
    ['expired', async (store) => store.runs.close(refOf(), { type: 'expired' })],
    ['failed', async (store) => store.runs.close(refOf(), failedBy({ code: 'server_error', message: 'no' }))],
    [
      'cancelled',
      async (store) => {
        await store.runs.change(refOf(), () => [CANCELLING]);
        await store.runs.close(refOf(), { type: 'cancelled' });
      },
    ],
  ];

  test.each(endings)(
    'is freed when the run is %s, and then the next run may be created',
    async (status, end) => {
      const store = await openStore(server.url);
      const talking = await startTalking(store);
      await end(store, talking);
      expect((await read(store)).state.run.status).toBe(status);
      expect(await store.redis.exists(store.keys.active(THREAD))).toBe(0);
      await create(store, refOf('run_2'), { thread: null });
      expect(await store.redis.get(store.keys.active(THREAD))).toBe('run_2');
    },
  );

  test('stays while the run waits for its client, is cancelling or was given back', async () => {
    const store = await openStore(server.url);
    const holder = async (): Promise<string | null> => store.redis.get(store.keys.active(THREAD));
    const started = await start(store);
    await store.runs.giveBack(refOf(), 'shutdown');
    expect(await holder()).toBe('run_1');
    expect(await outcome(store.runs.commit(started, CALL))).toBe('conflict');
    await store.runs.commit(await store.runs.commit(await read(store), [STARTED]), CALL);
    expect(await holder()).toBe('run_1');
    await store.runs.change(refOf(), () => [CANCELLING]);
    expect(await holder()).toBe('run_1');
  });

  test('is freed only by the run that holds it', async () => {
    const store = await openStore(server.url);
    const talking = await startTalking(store);
    await store.redis.set(store.keys.active(THREAD), 'run_other');
    await store.runs.commit(talking, COMPLETED);
    expect(await store.redis.get(store.keys.active(THREAD))).toBe('run_other');
  });
});

describe('what a run writes', () => {
  test('its message stands in the thread from its beginning, and says everything at its end', async () => {
    const store = await openStore(server.url);
    let talking = await startTalking(store);
    expect(await messageIds(store, 'run_1')).toStrictEqual(['msg_1']);
    talking = await store.runs.commit(talking, [delta('Hel'), delta('lo')]);
    await store.runs.commit(talking, COMPLETED);
    expect(await storedText(store)).toBe('Hello');
    expect(await store.objects.messages.get(THREAD, 'msg_1')).toMatchObject({ status: 'completed' });
    expect(await store.objects.steps.get(THREAD, 'step_1')).toMatchObject({ status: 'completed' });
  });

  test('a message that is dropped leaves the thread and the run', async () => {
    const store = await openStore(server.url);
    await store.runs.commit(await startTalking(store), [delta('half')]);
    await store.runs.giveBack(refOf(), 'lost');
    expect(await messageIds(store)).toStrictEqual([]);
    expect(await messageIds(store, 'run_1')).toStrictEqual([]);
    expect(await store.objects.messages.get(THREAD, 'msg_1')).toBeNull();
    expect(await keysOf(store)).not.toContain(store.keys.runMessages(refOf()));
    expect(await store.objects.steps.get(THREAD, 'step_1')).toMatchObject({ status: 'failed' });
  });

  test('a message that its client deleted stays deleted when the run completes it', async () => {
    const store = await openStore(server.url);
    const talking = await startTalking(store);
    await store.objects.messages.delete(THREAD, must(await store.objects.messages.get(THREAD, 'msg_1')));
    await store.runs.commit(await store.runs.commit(talking, [delta('a')]), COMPLETED);
    expect(await store.objects.messages.get(THREAD, 'msg_1')).toBeNull();
    expect(await messageIds(store)).toStrictEqual([]);
    expect(await messageIds(store, 'run_1')).toStrictEqual([]);
    expect((await read(store)).state.run.status).toBe('completed');
  });

  test('the calls of a step can be read as soon as the client must answer them', async () => {
    const store = await openStore(server.url);
    await store.runs.commit(await start(store), CALL);
    expect(await store.objects.steps.get(THREAD, 'step_tools')).toMatchObject({
      status: 'in_progress',
      step_details: { tool_calls: [{ id: 'call_1', function: { arguments: '{}', output: null } }] },
    });
    await store.runs.change(refOf(), () => ANSWERED);
    expect(await store.objects.steps.get(THREAD, 'step_tools')).toMatchObject({
      status: 'completed',
      step_details: { tool_calls: [{ function: { output: 'news' } }] },
    });
  });

  test('its log has every event at its place, and folds to the run as it is stored', async () => {
    const store = await openStore(server.url);
    await store.runs.commit(await start(store), CALL);
    await store.runs.change(refOf(), () => ANSWERED);
    const log = await readLog(store.redis, store.keys, refOf(), 1);
    expect(log.map(({ seq }) => seq)).toStrictEqual(log.map((_, index) => index + 1));
    const stored = await read(store);
    expect(stored.seq).toBe(log.length);
    expect(fold(log.map(({ event }) => event))).toStrictEqual(stored.state);
  });
});
