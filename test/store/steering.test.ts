/** Messages that wait for a run: whatever becomes of the run, each joins the thread once, where the log says so. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { failedBy } from '../../src/runs/ending.ts';
import type { RunEvent } from '../../src/runs/event.ts';
import type { StoredItem } from '../../src/runs/items.ts';
import type { RunRef } from '../../src/store/keys.ts';
import { readLog } from '../../src/store/log.ts';
import { Refused, type StoredRun } from '../../src/store/runs.ts';
import { MOST_WAITING } from '../../src/store/steering.ts';
import { fold } from '../runs/histories.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import {
  ANSWERED,
  CALL,
  CANCELLING,
  COMPLETED,
  create,
  delta,
  must,
  newMessage,
  newRun,
  newThread,
  openStore,
  OPEN_MESSAGE,
  overheard,
  read,
  refOf,
  send,
  sendAgain,
  start,
  startTalking,
  STARTED,
  THREAD,
  type Sent,
  type Store,
} from './fixture.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => server.stop());

const AT = { at: 1_001 };
const ROUND: readonly RunEvent[] = [
  { type: 'step.created', ...AT, step_id: 'step_tools', message_id: null },
  { type: 'tool.called', index: 0, call_id: 'call_1', name: 'SEARCH' },
  { type: 'tool.delta', index: 0, arguments: '{}' },
];

/** What the thread says and calls, in order. */
async function line(store: Store): Promise<readonly string[]> {
  const page = await store.objects.line.items(THREAD, {
    after: -Infinity,
    before: Infinity,
    order: 'asc',
    limit: 100,
  });
  return page.items.map(({ item }) => item.id);
}

/** The types of the log's events; what has joined the thread stands behind its event. */
async function told(store: Store, ref = refOf()): Promise<readonly string[]> {
  const log = await readLog(store.redis, store.keys, ref, 1);
  expect(log.map(({ seq }) => seq)).toStrictEqual(log.map((_, index) => index + 1));
  return log.map(({ event }) => (event.type === 'run.steered' ? event.messages.join('+') : event.type));
}

async function steer(store: Store, ...ids: readonly string[]): Promise<unknown> {
  const answer = await store.runs.steer(
    refOf(),
    ids.map((id) => newMessage(id)),
  );
  return typeof answer === 'string' ? answer : answer.stored.ref.runId;
}

/** The log folds to what is stored, and nothing waits any more. */
async function expectWhole(store: Store): Promise<void> {
  const log = await readLog(store.redis, store.keys, refOf(), 1);
  const { state } = must(await store.runs.replay(refOf()));
  expect(fold(log.map(({ event }) => event))).toStrictEqual(state);
  expect(await store.redis.hget(store.keys.run(refOf()), 'waiting')).toBeNull();
}

describe('what waits for a run', () => {
  test('keeps it from completing: its answer stays, and it goes on', async () => {
    const store = await openStore(server.url);
    const talking = await startTalking(store);
    expect(await steer(store, 'msg_a')).toBe('run_1');
    expect(await steer(store, 'msg_b')).toBe('run_1');
    expect(await line(store)).toStrictEqual(['msg_1']);
    const said = await store.runs.commit(talking, [delta('one')]);
    const { joined, ...held } = await store.runs.commit(said, COMPLETED);
    expect(joined).toStrictEqual([newMessage('msg_a'), newMessage('msg_b')]);
    expect(held).toStrictEqual(await read(store));
    expect(held.state).toMatchObject({ run: { status: 'in_progress' }, step: null, preface: null });
    expect((await told(store)).slice(-3)).toStrictEqual([
      'message.completed',
      'step.completed',
      'msg_a+msg_b',
    ]);
    expect(await line(store)).toStrictEqual(['msg_1', 'msg_a', 'msg_b']);
    await expectWhole(store);
    // A worker that is lost now takes nothing back that was followed by a message.
    await store.runs.giveBack(refOf(), 'lost');
    expect(await line(store)).toStrictEqual(['msg_1', 'msg_a', 'msg_b']);
  });

  test('joins behind a round of calls that the worker answers, and not before', async () => {
    const store = await openStore(server.url);
    const asking = await store.runs.commit(await start(store), ROUND);
    expect(await steer(store, 'msg_a')).toBe('run_1');
    const answered = await store.runs.commit(asking, [{ type: 'tool.answered', index: 0, output: 'news' }]);
    expect(answered.joined).toBeUndefined();
    const { joined } = await store.runs.commit(answered, [
      { type: 'step.completed', ...AT, usage: null, outputs: {} },
    ]);
    expect(joined).toStrictEqual([newMessage('msg_a')]);
    expect(await line(store)).toStrictEqual(['step_tools', 'msg_a']);
    await expectWhole(store);
  });

  test('joins neither between words and the calls behind them, nor when the model is asked again', async () => {
    const store = await openStore(server.url);
    const thinking = await store.runs.commit(await start(store), [
      { type: 'thought.delta', field: 'reasoning', text: 'hm' },
    ]);
    expect(await steer(store, 'msg_a')).toBe('run_1');
    const again = await store.runs.commit(thinking, [{ type: 'thought.dropped' }]);
    const talking = await store.runs.commit(again, OPEN_MESSAGE);
    const [closed, done] = COMPLETED;
    const asking = await store.runs.commit(talking, [must(closed), must(done), ...ROUND]);
    expect(asking.joined).toBeUndefined();
    expect(asking.state.preface).not.toBeNull();
  });

  test.each([
    ['run.cancelled', { type: 'cancelled' }],
    ['run.expired', { type: 'expired' }],
    ['run.failed', failedBy({ code: 'server_error', message: 'No.' })],
  ] as const)('joins before the end of a run that is closed: %s', async (type, how) => {
    const store = await openStore(server.url);
    await startTalking(store);
    expect(await steer(store, 'msg_a')).toBe('run_1');
    if (how.type === 'cancelled') await store.runs.change(refOf(), () => [CANCELLING]);
    await store.runs.close(refOf(), how);
    expect((await told(store)).slice(-2)).toStrictEqual(['msg_a', type]);
    expect(await line(store)).toStrictEqual(['msg_1', 'msg_a']);
    await expectWhole(store);
  });

  test('joins before the end of a run that is incomplete, and of one that leaves its calls', async () => {
    const store = await openStore(server.url);
    const made = newRun(refOf(), { thread: newThread() });
    const leaving = { ...made.origin, leaves_calls: true };
    const asking = await store.runs.commit(await start(store, refOf(), { origin: leaving }), ROUND);
    expect(await steer(store, 'msg_a')).toBe('run_1');
    const ended = await store.runs.commit(asking, [
      { type: 'step.left', ...AT, usage: null },
      { type: 'run.completed', ...AT },
    ]);
    expect(ended.state.run.status).toBe('completed');
    expect((await told(store)).slice(-3)).toStrictEqual(['step.left', 'msg_a', 'run.completed']);
    expect(await line(store)).toStrictEqual(['step_tools', 'msg_a']);
    expect(await store.redis.get(store.keys.active(THREAD))).toBeNull();
    await expectWhole(store);
  });

  test('joins when the run is given back, so that whoever executes it next reads it with the rest', async () => {
    const store = await openStore(server.url);
    await startTalking(store);
    expect(await steer(store, 'msg_a')).toBe('run_1');
    await store.runs.giveBack(refOf(), 'lost');
    expect((await told(store)).slice(-2)).toStrictEqual(['msg_a', 'run.released']);
    // The message that was half said is gone.
    expect(await line(store)).toStrictEqual(['msg_a']);
    await expectWhole(store);
  });

  test('joins at once where no worker has the run', async () => {
    const store = await openStore(server.url);
    const queued = await create(store);
    expect(await steer(store, 'msg_a')).toBe('run_1');
    expect(await line(store)).toStrictEqual(['msg_a']);
    await expect(store.runs.commit(queued, [STARTED])).rejects.toThrow(Refused);
    await store.runs.commit(await store.runs.commit(await read(store), [STARTED]), CALL);
    expect(await steer(store, 'msg_b')).toBe('run_1');
    expect(await line(store)).toStrictEqual(['msg_a', 'step_tools', 'msg_b']);
    const resumed = must(await store.runs.change(refOf(), () => ANSWERED));
    expect(resumed.stored.seq - resumed.after).toBe(ANSWERED.length);
    expect(await told(store)).toStrictEqual([
      'run.queued',
      'msg_a',
      'run.started',
      'step.created',
      'tool.called',
      'tool.delta',
      'run.blocked',
      'msg_b',
      'step.completed',
      'run.resumed',
    ]);
    await expectWhole(store);
  });

  test('joins with the start of the run where nobody took it in before', async () => {
    const store = await openStore(server.url);
    const queued = await create(store);
    const line = `${JSON.stringify(newMessage('msg_a'))}\n`;
    await store.redis.hset(store.keys.run(refOf()), 'waiting', line);
    const { joined } = await store.runs.commit(queued, [STARTED]);
    expect(joined).toStrictEqual([newMessage('msg_a')]);
    expect(await told(store)).toStrictEqual(['run.queued', 'msg_a', 'run.started']);
  });

  test('may be an item', async () => {
    const store = await openStore(server.url);
    const talking = await startTalking(store);
    const item: StoredItem = {
      id: 'item_a',
      object: 'thread.item',
      created_at: 1,
      thread_id: THREAD.threadId,
      run_id: null,
      status: 'completed',
      item: { type: 'message', role: 'developer', content: 'Be\nbrief.' },
    };
    await store.runs.steer(refOf(), [item]);
    const { joined } = await store.runs.commit(talking, COMPLETED);
    expect(joined).toStrictEqual([item]);
    expect(await line(store)).toStrictEqual(['msg_1', 'item_a']);
  });

  test(`is refused beyond ${MOST_WAITING}, and leaves what waits as it is`, async () => {
    const store = await openStore(server.url);
    const talking = await startTalking(store);
    const ids = Array.from({ length: MOST_WAITING }, (_, n) => `msg_w${n}`);
    expect(await steer(store, ...ids)).toBe('run_1');
    expect(await steer(store, 'msg_late')).toBe('full');
    const { joined } = await store.runs.commit(talking, COMPLETED);
    expect(joined?.map(({ id }) => id)).toStrictEqual(ids);
    expect(await steer(store, 'msg_late')).toBe('run_1');
  });
});

describe('a run is not steered', () => {
  test('once it has ended, is about to, or is gone', async () => {
    const store = await openStore(server.url);
    const talking = await startTalking(store);
    await store.runs.change(refOf(), () => [CANCELLING]);
    expect(await steer(store, 'msg_a')).toBe('over');
    await store.runs.close(refOf(), { type: 'cancelled' });
    expect(await steer(store, 'msg_a')).toBe('over');
    await expect(store.runs.commit(talking, COMPLETED)).rejects.toThrow(Refused);
    await store.objects.threads.delete(THREAD);
    expect(await steer(store, 'msg_a')).toBe('over');
  });

  test('where a process of an older version executes it, which would leave what waits behind', async () => {
    const store = await openStore(server.url);
    await startTalking(store);
    await store.redis.hset(store.keys.run(refOf()), 'version', 'AbCdEfGhIjKl');
    expect(await steer(store, 'msg_a')).toBe('over');
    expect(await store.redis.hget(store.keys.run(refOf()), 'waiting')).toBeNull();
  });
});

describe('a message joins once', () => {
  test('however often it is sent, and is found again', async () => {
    const store = await openStore(server.url);
    const talking = await startTalking(store);
    await Promise.all([steer(store, 'msg_a'), steer(store, 'msg_a'), steer(store, 'msg_a')]);
    const { joined, ...held } = await store.runs.commit(talking, COMPLETED);
    expect(joined).toHaveLength(1);
    expect(await steer(store, 'msg_a')).toBe('run_1');
    await store.runs.commit(held, [{ type: 'run.completed', ...AT }]);
    expect(await steer(store, 'msg_a')).toBe('run_1');
    expect(await line(store)).toStrictEqual(['msg_1', 'msg_a']);
    expect(await store.runs.steeredBy(THREAD, 'msg_a')).toStrictEqual(refOf());
    expect(await store.runs.steeredBy(THREAD, 'msg_')).toBeNull();
  });

  test('when the commit that takes it in is sent twice', async () => {
    const sent: Sent[] = [];
    const store = await openStore(server.url, (redis) =>
      overheard(redis, async (call) => {
        sent.push(call);
        return send(redis, call);
      }),
    );
    const talking = await startTalking(store);
    await steer(store, 'msg_a');
    const { seq } = await store.runs.commit(talking, COMPLETED);
    expect(await sendAgain(store.redis, must(sent.at(-1)))).toBe(seq);
    expect(await line(store)).toStrictEqual(['msg_1', 'msg_a']);
    await expectWhole(store);
  });

  test('or never, in a race with the end: then whoever sent it is told that the run is over', async () => {
    const store = await openStore(server.url);
    const races = Array.from({ length: 40 }, async (_, n) => {
      const ref: RunRef = refOf('run_1', { ...THREAD, threadId: `thread_r${n}` });
      const talking: StoredRun = await startTalking(store, ref);
      const message = newMessage(`msg_r${n}`, ref.threadId);
      const ending = async () => {
        for (let trips = 0; trips < n % 4; trips += 1) await store.redis.ping();
        return store.runs.commit(talking, COMPLETED);
      };
      const [ended, steered] = await Promise.all([ending(), store.runs.steer(ref, [message])]);
      const joined = await store.objects.messages.get(ref, message.id);
      expect(joined !== null).toBe(steered !== 'over');
      expect(ended.joined !== undefined).toBe(steered !== 'over');
      expect(ended.state.run.status).toBe(steered === 'over' ? 'completed' : 'in_progress');
      return steered === 'over';
    });
    const over = await Promise.all(races);
    expect(new Set(over)).toStrictEqual(new Set([true, false]));
  });
});
