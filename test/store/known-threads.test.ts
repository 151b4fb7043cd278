/** What a worker knows of a thread from earlier turns: it is not read again, and never stands for what the thread has become. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { History } from '../../src/runs/blocks.ts';
import { buildPrompt, type Prompt } from '../../src/runs/prompt.ts';
import type { RunState } from '../../src/runs/run.ts';
import type { Message, ThreadItem } from '../../src/runs/thread.ts';
import { HistoryItem } from '../../src/store/history-item.ts';
import { sumsOf, type KnownItems } from '../../src/store/history-page.ts';
import { Imports } from '../../src/store/imports.ts';
import { decodePart } from '../../src/store/json.ts';
import type { RunRef, ThreadRef } from '../../src/store/keys.ts';
import { KnownThreads } from '../../src/store/known-threads.ts';
import type { ScriptedRedis } from '../../src/store/scripts.ts';
import { Damage } from '../../src/store/damage.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import {
  ANSWERED,
  CALL,
  COMPLETED,
  must,
  newMessage,
  newThread,
  OPEN_MESSAGE,
  openStore,
  PROJECT,
  read,
  silent,
  start,
  STARTED,
  withMethod,
  type Store,
} from './fixture.ts';
import type { RunEvent } from '../../src/runs/event.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => server.stop());

const LIMITS = { maxBytes: 1e9, largeBytes: 1e9 };
const WHOLE = { maxTokens: 1e9, lastMessages: null };

/** A store, and the sizes of the replies that reading histories has cost. */
async function listeningStore(): Promise<{ store: Store; replies: number[] }> {
  const replies: number[] = [];
  const store = await openStore(server.url, (redis: ScriptedRedis) =>
    withMethod(redis, 'history', async (...args: (string | number)[]) => {
      const reply = await redis.history(...args);
      replies.push(JSON.stringify(reply).length);
      return reply;
    }),
  );
  return { store, replies };
}

const said = (id: string, words: string, role: Message['role'] = 'user'): Message => ({
  ...newMessage(id),
  role,
  content: [{ type: 'text', text: { value: words, annotations: [] } }],
});

/** A thread of so many messages, the first of which says what it is about. */
async function thread(store: Store, threadId: string, count: number): Promise<ThreadRef> {
  const ref = { project: PROJECT, threadId };
  const messages = Array.from({ length: count }, (_, index) => said(`m${index}`, `message ${index}`));
  await store.objects.threads.create(PROJECT, newThread(threadId), messages);
  return ref;
}

/** The events of a test run, with ids of their own. */
const renamed = (events: readonly RunEvent[], runId: string): readonly RunEvent[] =>
  events.map((event) => ({
    ...event,
    ...('step_id' in event && { step_id: `${event.step_id}_${runId}` }),
    ...('message_id' in event && event.message_id !== null && { message_id: `${event.message_id}_${runId}` }),
  }));

/** What a run does after its prompt is built: perhaps a call and its answer, then a message. */
async function finish(store: Store, ref: RunRef, calls: boolean): Promise<void> {
  let held = await read(store, ref);
  if (calls) {
    await store.runs.commit(held, renamed(CALL, ref.runId));
    await store.runs.change(ref, () => ANSWERED);
    held = await store.runs.commit(await read(store, ref), [STARTED]);
  }
  held = await store.runs.commit(held, renamed(OPEN_MESSAGE, ref.runId));
  held = await store.runs.commit(held, [{ type: 'message.delta', text: `answer of ${ref.runId}` }]);
  await store.runs.commit(held, COMPLETED);
}

/** All of a thread, as it is stored now. */
async function everything({ redis, keys }: Store, ref: ThreadRef): Promise<readonly ThreadItem[]> {
  const placed: { place: number; item: ThreadItem }[] = [];
  for (const { index, docs } of [keys.messages(ref), { index: keys.toolSteps(ref), docs: keys.steps(ref) }]) {
    const rows = await redis.zrange(index, '0', '-1', 'WITHSCORES');
    for (let at = 0; at < rows.length; at += 2) {
      const [id = '', place = ''] = rows.slice(at, at + 2);
      const item = decodePart<ThreadItem>(must(await redis.hget(docs, id)), id, ref.threadId);
      placed.push({ place: Number(place), item });
    }
  }
  return placed.toSorted((a, b) => a.place - b.place).map(({ item }) => item);
}

interface Cut {
  readonly maxTokens: number;
  readonly lastMessages: number | null;
}

function promptOf({ run, ...state }: RunState, history: History, { maxTokens, lastMessages }: Cut): Prompt {
  const truncation_strategy = { type: 'last_messages', last_messages: lastMessages } as const;
  return buildPrompt({ ...state, run: { ...run, truncation_strategy } }, history, {
    contextTokens: maxTokens,
    first: true,
    last: false,
  });
}

describe('the next turn of a thread', () => {
  test('reads what is new, whatever the length of the thread', async () => {
    const { store, replies } = await listeningStore();
    const ref = await thread(store, 'thread_long', 1_500);
    const sizes: number[] = [];
    for (const runId of ['run_1', 'run_2', 'run_3']) {
      const own = { ...ref, runId };
      await start(store, own, { thread: null, messages: [said(`q_${runId}`, 'And now?')] });
      replies.length = 0;
      const { items } = must(await store.objects.histories.open(own, LIMITS).within(WHOLE));
      expect(items).toStrictEqual(await everything(store, ref));
      sizes.push(replies.reduce((sum, size) => sum + size, 0));
      await finish(store, own, false);
    }
    const [cold = 0, ...warm] = sizes;
    expect(cold).toBeGreaterThan(200_000);
    for (const size of warm) expect(size).toBeLessThan(3_000);
    expect(replies).toHaveLength(1);
  });

  test('reads no more than the last messages that are wanted, in one request', async () => {
    const { store, replies } = await listeningStore();
    const ref = { ...(await thread(store, 'thread_last', 1_500)), runId: 'run_1' };
    await start(store, ref, { thread: null });
    const cut = { ...WHOLE, lastMessages: 10 };
    const { items } = must(await store.objects.histories.open(ref, LIMITS).within(cut));
    expect(items.map(({ id }) => id)).toStrictEqual([
      'm0',
      ...Array.from({ length: 10 }, (_, index) => `m${1_490 + index}`),
    ]);
    expect(replies).toHaveLength(1);
    expect(replies[0]).toBeLessThan(40_000);
  });

  test('has what the thread has, after whatever was said, called, deleted and imported', async () => {
    const { store } = await listeningStore();
    const imports = new Imports(store, store.objects.assistants);
    const move = fc.oneof(
      {
        weight: 3,
        arbitrary: fc.record({ type: fc.constant('add' as const), words: fc.string({ maxLength: 300 }) }),
      },
      { weight: 2, arbitrary: fc.record({ type: fc.constant('delete' as const), at: fc.nat(100) }) },
      {
        weight: 2,
        arbitrary: fc.record({
          type: fc.constant('import' as const),
          at: fc.nat(5),
          words: fc.string({ minLength: 1, maxLength: 50 }),
        }),
      },
      {
        weight: 4,
        arbitrary: fc.record({
          type: fc.constant('run' as const),
          calls: fc.boolean(),
          maxTokens: fc.oneof(fc.integer({ min: 1, max: 3_000 }), fc.constant(1e9)),
          lastMessages: fc.oneof(fc.constant(null), fc.integer({ min: 1, max: 60 })),
        }),
      },
    );
    let threads = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(move, { minLength: 5, maxLength: 14 }), async (moves) => {
        const threadId = `thread_p${(threads += 1)}`;
        const ref = await thread(store, threadId, 0);
        const prompts: [Prompt, Prompt][] = [];
        const about = said('about', 'What this is about.');
        await imports.messages(PROJECT, newThread(threadId), [{ ...about, created_at: 1 }]);
        for (let index = 0; index < 90; index++) {
          const role = index % 2 === 0 ? 'user' : 'assistant';
          await store.objects.line.add(
            ref,
            said(`m${index}`, index % 7 === 5 ? '' : `message ${index}`, role),
          );
        }
        for (const [index, one] of moves.entries()) {
          const all = await everything(store, ref);
          if (one.type === 'add') await store.objects.line.add(ref, said(`a${index}`, one.words));
          else if (one.type === 'import') {
            const imported = { ...said(`i${one.at}`, one.words), created_at: 2 + one.at };
            await imports.messages(PROJECT, newThread(threadId), [imported]);
          } else if (one.type === 'delete') {
            const gone = all[1 + (one.at % (all.length - 1))];
            if (gone?.object === 'thread.message') await store.objects.messages.delete(ref, gone);
          } else {
            const own = { ...ref, runId: `run_${index}` };
            const { state } = await start(store, own, { thread: null, messages: [said(`q${index}`, '?')] });
            const history = must(await store.objects.histories.open(own, LIMITS).within(one));
            const whole = { input: [], items: await everything(store, ref) };
            prompts.push([promptOf(state, history, one), promptOf(state, whole, one)]);
            await finish(store, own, one.calls);
          }
        }
        for (const [prompt, ofWhole] of prompts) expect(prompt).toStrictEqual(ofWhole);
      }),
      { numRuns: 12, endOnFailure: true },
    );
  });

  test('is not fooled by a thread that was deleted and imported with the same ids', async () => {
    const { store } = await listeningStore();
    const imports = new Imports(store, store.objects.assistants);
    const words = async (runId: string, text: string): Promise<unknown> => {
      const messages = Array.from({ length: 30 }, (_, index) => ({
        ...said(`i${index}`, `${text} ${index}`),
        created_at: index + 1,
      }));
      await imports.messages(PROJECT, newThread('thread_again'), messages);
      const ref = { project: PROJECT, threadId: 'thread_again', runId };
      await start(store, ref, { thread: null });
      const { items } = must(await store.objects.histories.open(ref, LIMITS).within(WHOLE));
      expect(items).toStrictEqual(await everything(store, ref));
      await finish(store, ref, false);
      return items[0];
    };
    expect(JSON.stringify(await words('run_1', 'before'))).toContain('before 0');
    await store.objects.threads.delete({ project: PROJECT, threadId: 'thread_again' });
    expect(JSON.stringify(await words('run_2', 'after'))).toContain('after 0');
  });

  test('reads again what was still open, such as the steps of a run that lost its document', async () => {
    const { store } = await listeningStore();
    const ref = await thread(store, 'thread_open', 40);
    const first = { ...ref, runId: 'run_1' };
    await store.runs.commit(await start(store, first, { thread: null }), renamed(CALL, 'run_1'));
    // As when the run is given up: it no longer has the thread, and its worker may still write what it holds.
    await store.redis.del(store.keys.active(ref));
    const second = { ...ref, runId: 'run_2' };
    await start(store, second, { thread: null });
    await store.objects.histories.open(second, LIMITS).within(WHOLE);
    await store.runs.change(first, () => ANSWERED);
    const { items } = must(await store.objects.histories.open(second, LIMITS).within(WHOLE));
    expect(items).toStrictEqual(await everything(store, ref));
    expect(JSON.stringify(items)).toContain('news');
  });
});

describe('memory for known threads', () => {
  const known = async (count: number, bytes: number): Promise<KnownItems> => {
    const { redis, keys } = await openStore(server.url);
    const damage = new Damage(redis, keys, silent);
    const items = Array.from({ length: count }, (_, index) => {
      const where = { threadId: 'thread_1', id: `m${index}`, place: count - index, isMessage: true };
      return new HistoryItem(where, { item: 'x'.repeat(bytes), thoughts: '', asides: '' }, damage);
    });
    return { anchor: { runId: 'run', place: count + 1 }, items, sums: sumsOf(items), first: null };
  };

  test('is that of the threads that were used last', async () => {
    const threads = new KnownThreads(1_000_000);
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) {
      threads.keep(name, await known(20, 4_000));
      threads.find('a');
    }
    const kept = ['a', 'b', 'c', 'd', 'e', 'f'].filter((name) => threads.find(name) !== null);
    expect(kept).toStrictEqual(['a', 'c', 'd', 'e', 'f']);
  });

  test('holds the newest part of a thread that is too large, and nothing of a short one', async () => {
    const threads = new KnownThreads(1_000_000);
    threads.keep('long', await known(500, 4_000));
    const { items, sums } = must(threads.find('long'));
    expect(items.length).toBeGreaterThan(20);
    expect(items.length).toBeLessThan(40);
    expect(sums).toStrictEqual(sumsOf(items));
    expect(items[0]?.id).toBe('m0');
    threads.keep('short', await known(5, 100));
    expect(threads.find('short')).toBeNull();
  });
});
