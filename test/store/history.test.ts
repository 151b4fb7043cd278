/** What is read of a thread for a prompt: enough for the very prompt that all of it would make, and never all of it. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { outputOf } from '../../src/runs/calls/kinds.ts';
import type { RunEvent } from '../../src/runs/event.ts';
import { callsOf } from '../../src/runs/parts.ts';
import { buildPrompt } from '../../src/runs/prompt.ts';
import { thinker } from '../../src/runs/thoughts.ts';
import type { ContentPart, Message, RunStep, ThreadItem } from '../../src/runs/thread.ts';
import { HistoryTooLarge, type ReadHistory } from '../../src/store/history.ts';
import type { HistoryBudget } from '../../src/store/history-choice.ts';
import type { RunRef } from '../../src/store/keys.ts';
import type { ScriptedRedis } from '../../src/store/scripts.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import {
  ANSWERED,
  CALL,
  COMPLETED,
  create,
  newMessage,
  must,
  newThread,
  OPEN_MESSAGE,
  openStore,
  PROJECT,
  read,
  refOf,
  start,
  STARTED,
  THREAD,
  withMethod,
  type Store,
} from './fixture.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => server.stop());

/** Reads a history whole. */
async function historyOf(
  store: Store,
  ref = refOf(),
  budget: Partial<HistoryBudget> = {},
): Promise<ReadHistory> {
  return must(await smallOf(store, ref, budget, Infinity));
}

/** Reads a history that is not large. */
async function smallOf(
  { objects }: Store,
  ref: RunRef,
  { maxBytes = 1e9, maxTokens = 1e9, lastMessages = null }: Partial<HistoryBudget>,
  largeBytes: number,
): Promise<ReadHistory | null> {
  return objects.histories.open(ref, { maxBytes, largeBytes }).within({ maxTokens, lastMessages });
}

/** A thread with these messages and nothing else. */
async function withMessages(...ids: readonly string[]): Promise<Store> {
  return withItems(
    await openStore(server.url),
    ids.map((id) => newMessage(id)),
  );
}

/** A thread with these items, in this order. */
async function withItems(store: Store, items: readonly ThreadItem[], ref = THREAD): Promise<Store> {
  const { redis, keys } = store;
  const messages = keys.messages(ref);
  await store.objects.threads.create(PROJECT, newThread(ref.threadId), []);
  const write = redis.pipeline();
  for (const item of items) {
    const [index, docs] =
      item.object === 'thread.message'
        ? [messages.index, messages.docs]
        : [keys.toolSteps(ref), keys.steps(ref)];
    write.hset(docs, item.id, JSON.stringify(item));
    write.eval(
      "redis.call('ZADD', KEYS[1], redis.call('INCR', KEYS[2]), ARGV[1])",
      2,
      index,
      keys.order(ref),
      item.id,
    );
  }
  await write.exec();
  return store;
}

describe('the history of a run', () => {
  test('is the messages with the tool steps between them, where they happened', async () => {
    const store = await withMessages('a');
    await store.runs.commit(await start(store, refOf(), { thread: null }), CALL);
    await store.runs.change(refOf(), () => ANSWERED);
    const talking = await store.runs.commit(await read(store), [STARTED]);
    await store.runs.commit(await store.runs.commit(talking, OPEN_MESSAGE), COMPLETED);
    await store.objects.line.add(THREAD, newMessage('b'));
    expect((await historyOf(store)).items.map(({ id }) => id)).toStrictEqual([
      'a',
      'step_tools',
      'msg_1',
      'b',
    ]);
  });

  test('has what servers said beside the calls of its runs, and of which model', async () => {
    const store = await withMessages('a');
    const asides = { message: { reasoning_details: ['x'] }, calls: { 0: { extra_content: 'sig' } } };
    const [blocked, ...calls] = CALL.toReversed();
    if (blocked?.type !== 'run.blocked') throw new Error('the call does not end in waiting');
    const told: RunEvent = { type: 'asides.told', asides };
    const held = await start(store, refOf(), { thread: null });
    await store.runs.commit(held, [...calls.toReversed(), told, blocked]);
    await store.runs.change(refOf(), () => ANSWERED);
    const { state } = await read(store);
    // Those of the calls that are answered belong to no other.
    expect(state.asides).toBeNull();
    const kept = { ...asides, by: thinker(state.run.model, null) };
    const found = await historyOf(store);
    expect(found.asides).toStrictEqual(new Map([['step_tools', kept]]));
    const query = { limit: 9, order: 'asc', after: null, before: null } as const;
    expect(JSON.stringify(await store.objects.steps.list(refOf(), query))).not.toContain('sig');
  });

  test('leaves out asides that a process of an older version let stand', async () => {
    const store = await withMessages('a');
    const held = await start(store, refOf(), { thread: null });
    const asides = { message: { extra_content: 'sig' }, calls: {}, step: 'step_before' };
    await store.runs.commit({ ...held, state: { ...held.state, asides } }, CALL);
    await store.runs.change(refOf(), () => ANSWERED);
    expect(await historyOf(store)).not.toHaveProperty('asides');
  });

  test('has what was thought before the calls of its runs, and who thought it', async () => {
    const store = await withMessages('a');
    const thought: RunEvent = { type: 'thought.delta', field: 'reasoning', text: 'Hm.' };
    await store.runs.commit(await start(store, refOf(), { thread: null }), [thought, ...CALL]);
    await store.runs.change(refOf(), () => ANSWERED);
    const { thoughts, bytes } = await historyOf(store);
    const kept = { field: 'reasoning', text: 'Hm.', by: thinker((await read(store)).state.run.model, null) };
    expect(thoughts).toStrictEqual(new Map([['step_tools', [kept]]]));
    const talking = await store.runs.commit(await read(store), [STARTED, thought, ...OPEN_MESSAGE]);
    await store.runs.commit(talking, COMPLETED);
    expect(await store.redis.hget(store.keys.steps(THREAD), 'step_1:thoughts')).toContain('Hm.');
    await create(store, refOf('run_2'), { thread: null });
    const later = await historyOf(store, refOf('run_2'));
    expect(later.thoughts).toStrictEqual(thoughts);
    expect(bytes).toBeGreaterThan(0);
    // Steps are what they were.
    const steps = await store.objects.steps.list(refOf(), {
      limit: 9,
      order: 'asc',
      after: null,
      before: null,
    });
    expect(JSON.stringify(steps)).not.toContain('Hm.');
  });

  test('shows the photos that earlier versions kept as bare URLs, and no other URL', async () => {
    const url = 'https://example.test/1.jpg';
    const photographed = step('photo', url);
    const named = (name: string): RunStep => ({
      ...photographed,
      id: `step_${name}`,
      step_details: {
        type: 'tool_calls',
        tool_calls: [
          { id: `call_${name}`, type: 'function', function: { name, arguments: '{}', output: url } },
        ],
      },
    });
    const store = await withItems(await openStore(server.url), [named('take_a_photo'), named('look_up')]);
    const { items } = await historyOf(store);
    const outputs = items.flatMap((item) =>
      item.object === 'thread.run.step' ? callsOf(item).map(outputOf) : [],
    );
    expect(outputs).toEqual([JSON.stringify({ image_url: url }), url]);
  });

  test('of a very long thread is its beginning and its newest part', async () => {
    const ids = Array.from({ length: 2_010 }, (_, index) => `msg_${index}`);
    const store = await withMessages(...ids);
    const history = (await historyOf(store)).items.map(({ id }) => id);
    expect(history).toStrictEqual(['msg_0', ...ids.slice(10)]);
  });

  test('leaves out what was deleted, and is empty where there is no thread', async () => {
    const store = await withMessages('a', 'b');
    await store.objects.messages.delete(THREAD, newMessage('a'));
    expect((await historyOf(store)).items.map(({ id }) => id)).toStrictEqual(['b']);
    const elsewhere = await historyOf(store, { ...refOf(), threadId: 'thread_2' });
    expect(elsewhere).toStrictEqual({ input: [], items: [], bytes: 0 });
  });
});

const text = (value: string): ContentPart => ({ type: 'text', text: { value, annotations: [] } });
const photo = (bytes: number): ContentPart => ({
  type: 'image_url',
  image_url: { url: `data:image/png;base64,${'A'.repeat(bytes)}`, detail: 'auto' },
});

function message(id: string, role: Message['role'], ...content: readonly ContentPart[]): Message {
  return { ...newMessage(id), role, content };
}

function step(id: string, output: string, run_id = 'run_0'): RunStep {
  return {
    id,
    object: 'thread.run.step',
    created_at: 1,
    run_id,
    assistant_id: 'asst_1',
    thread_id: THREAD.threadId,
    type: 'tool_calls',
    status: 'completed',
    step_details: {
      type: 'tool_calls',
      tool_calls: [{ id: `call_${id}`, type: 'function', function: { name: 'f', arguments: '{}', output } }],
    },
    last_error: null,
    cancelled_at: null,
    completed_at: null,
    failed_at: null,
    expired_at: null,
    expires_at: null,
    metadata: {},
    usage: null,
  };
}

const sizeOf = (item: ThreadItem): number => Buffer.byteLength(JSON.stringify(item));
const idsOf = (items: readonly ThreadItem[]): readonly string[] => items.map(({ id }) => id);

describe('the budget of bytes', () => {
  const small = Array.from({ length: 10 }, (_, index) =>
    message(`m${index}`, 'user', text('x'.repeat(1_000))),
  );
  const each = sizeOf(message('m0', 'user', text('x'.repeat(1_000))));

  test('holds the beginning, and of the rest the newest', async () => {
    const store = await withItems(await openStore(server.url), small);
    const { items } = await historyOf(store, refOf(), { maxBytes: 4 * each });
    expect(idsOf(items)).toStrictEqual(['m0', 'm7', 'm8', 'm9']);
  });

  test('goes to what is newer where the beginning would take more than a quarter', async () => {
    const store = await withItems(await openStore(server.url), small);
    const { items } = await historyOf(store, refOf(), { maxBytes: 3 * each });
    expect(idsOf(items)).toStrictEqual(['m7', 'm8', 'm9']);
  });

  test('ends at the first item that does not fit, so that nothing is missing in the middle', async () => {
    const big = [...small.slice(0, 8), message('big', 'user', photo(100_000)), ...small.slice(8)];
    const store = await withItems(await openStore(server.url), big);
    const { items } = await historyOf(store, refOf(), { maxBytes: 50_000 });
    expect(idsOf(items)).toStrictEqual(['m0', 'm8', 'm9']);
  });

  test('never leaves out the question, however much the assistant said since', async () => {
    const said = Array.from({ length: 5 }, (_, index) =>
      message(`a${index}`, 'assistant', text('x'.repeat(1_000))),
    );
    const store = await withItems(await openStore(server.url), [...small, ...said]);
    const { items } = await historyOf(store, refOf(), { maxBytes: 5 * each });
    expect(idsOf(items)).toStrictEqual(['m0', 'm9', 'a3', 'a4']);
    const enough = await historyOf(store, refOf(), { maxTokens: 700 });
    expect(idsOf(enough.items)).toStrictEqual(['m0', 'm9', 'a4']);
  });

  test('never leaves out what the run did; a run that did too much cannot be asked on', async () => {
    const store = await openStore(server.url);
    await create(store, refOf(), { messages: [message('question', 'user', text('x'))] });
    await withItems(store, [step('own', 'y'.repeat(5_000), 'run_1')]);
    const { items } = await historyOf(store, refOf(), { maxBytes: 10_000, maxTokens: 1 });
    expect(idsOf(items)).toStrictEqual(['question', 'own']);
    const asked = historyOf(store, refOf(), { maxBytes: 5_000 });
    await expect(asked).rejects.toThrow(HistoryTooLarge);
  });

  test('is kept before anything is sent: what comes is no more than that, in a few pages', async () => {
    let sent = 0;
    let replied = 0;
    const listening = (redis: ScriptedRedis): ScriptedRedis =>
      withMethod(redis, 'history', async (...args: (string | number)[]) => {
        sent += 1;
        const reply = await redis.history(...args);
        replied += Buffer.byteLength(JSON.stringify(reply));
        return reply;
      });
    const photos = Array.from({ length: 40 }, (_, index) => message(`p${index}`, 'user', photo(300_000)));
    const store = await withItems(await openStore(server.url, listening), photos);
    const { items } = await historyOf(store, refOf(), { maxBytes: 1_000_000 });
    expect(idsOf(items)).toStrictEqual(['p37', 'p38', 'p39']);
    expect(sent).toBeLessThanOrEqual(4);
    expect(replied).toBeLessThan(1_100_000);
  });
});

describe('a large history', () => {
  test('is not read before its reader has made room', async () => {
    const store = await withItems(await openStore(server.url), [
      message('first', 'user', text('x')),
      message('photo', 'user', photo(50_000)),
      message('answer', 'assistant', text('x')),
    ]);
    const all = await historyOf(store);
    expect(idsOf(all.items)).toStrictEqual(['first', 'photo', 'answer']);
    expect(all.bytes).toBe(all.items.reduce((sum, item) => sum + sizeOf(item), 0));
    expect(await smallOf(store, refOf(), {}, all.bytes)).toStrictEqual(all);
    expect(await smallOf(store, refOf(), {}, all.bytes - 1)).toBeNull();
    expect(await smallOf(store, refOf(), { maxBytes: 60_000 }, 5_000)).toBeNull();
  });

  test('is one of a request without a thread as well', async () => {
    const store = await openStore(server.url);
    const input = [{ role: 'user', content: 'x'.repeat(10_000) }] as const;
    await create(store, refOf(), { input });
    const { bytes } = await historyOf(store);
    expect(await smallOf(store, refOf(), {}, bytes)).toMatchObject({ input });
    expect(await smallOf(store, refOf(), {}, bytes - 1)).toBeNull();
  });
});

describe('text beyond what the prompt is cut to', () => {
  test('is not read', async () => {
    const messages = Array.from({ length: 2_000 }, (_, index) =>
      message(`m${index}`, 'user', text('x'.repeat(4_000))),
    );
    const store = await withItems(await openStore(server.url), messages);
    const { items } = await historyOf(store, refOf(), { maxTokens: 10_000 });
    // A word of 4,000 letters is taken for 1,239 tokens.
    expect(items).toHaveLength(9);
  });

  const content = fc.oneof(
    { weight: 4, arbitrary: fc.string({ maxLength: 1_000, size: 'max' }).map(text) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 30_000 }).map(photo) },
    // Worst for a guess by size: every character is escaped.
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 3_000 }).map((count) => text('"'.repeat(count))) },
  );
  const item = fc.oneof(
    fc.record({ role: fc.constantFrom('user', 'assistant'), part: content }),
    fc.record({
      output: fc.string({ maxLength: 1_000, size: 'max' }),
      run: fc.constantFrom('run_0', 'run_1'),
    }),
  );

  test('would be cut anyway: the prompt is the one that the whole thread makes', async () => {
    const store = await openStore(server.url);
    let threads = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(item, { maxLength: 30 }),
        fc.integer({ min: 1, max: 3_000 }),
        async (drawn, maxTokens) => {
          const ref = { ...refOf(), threadId: `thread_${(threads += 1)}` };
          const all = drawn.map((one, index): ThreadItem =>
            'part' in one ? message(`m${index}`, one.role, one.part) : step(`s${index}`, one.output),
          );
          await withItems(store, [message('first', 'user', text('What this is about.')), ...all], ref);
          const run = await start(store, ref, {
            thread: null,
            messages: [message('q', 'user', text('?'))],
          });
          const prompt = async (budget: Partial<HistoryBudget>): Promise<unknown> => {
            const history = await historyOf(store, ref, budget);
            return buildPrompt(run.state, history, { contextTokens: maxTokens, first: true, last: false });
          };
          expect(await prompt({ maxTokens })).toStrictEqual(await prompt({}));
        },
      ),
      { numRuns: 60, endOnFailure: true },
    );
  });
});
