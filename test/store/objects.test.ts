/** The objects of the wire: pages by cursor, races of two who change one object, deleting threads, and projects that see nothing of each other. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Assistant, Message } from '../../src/runs/thread.ts';
import { encodePart } from '../../src/store/compact.ts';
import { isSafeId } from '../../src/store/keys.ts';
import type { ListPage, PageQuery } from '../../src/store/collection.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import {
  CALL,
  COMPLETED,
  contents,
  create,
  CREATED_AT,
  keysOf,
  must,
  newMessage,
  newRun,
  newThread,
  openStore,
  PAGE_LIMIT_BYTES,
  PROJECT,
  read,
  refOf,
  remindersOf,
  start,
  startTalking,
  THREAD,
  withMethod,
  type Store,
} from './fixture.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => server.stop());

const query = (more: Partial<PageQuery> = {}): PageQuery => ({
  limit: 20,
  order: 'asc',
  after: null,
  before: null,
  ...more,
});

/** A page shortly: its ids, `…` when there are more; or the cursor nobody knows. */
function shown(page: ListPage<{ readonly id: string }>): string {
  if (page.type === 'unknown cursor') return `unknown ${page.cursor}`;
  return [...page.items.map(({ id }) => id), ...(page.hasMore ? ['…'] : [])].join(' ');
}

function newAssistant(id: string, more: Partial<Assistant> = {}): Assistant {
  return {
    id,
    object: 'assistant',
    created_at: CREATED_AT,
    name: id,
    description: null,
    model: 'model',
    instructions: null,
    tools: [],
    tool_resources: {},
    metadata: {},
    temperature: 1,
    top_p: 1,
    reasoning_effort: null,
    response_format: 'auto',
    ...more,
  };
}

/** A thread with messages of these ids. */
async function withMessages(...ids: readonly string[]): Promise<Store> {
  const store = await openStore(server.url);
  await store.objects.threads.create(
    PROJECT,
    newThread(),
    ids.map((id) => newMessage(id)),
  );
  return store;
}

const list = async (store: Store, more: Partial<PageQuery> = {}): Promise<string> =>
  shown(await store.objects.messages.list(THREAD, null, query(more)));

async function remove(store: Store, id: string): Promise<boolean> {
  return store.objects.messages.delete(THREAD, must(await store.objects.messages.get(THREAD, id)));
}

describe('pages', () => {
  /** Shows A-LIST-04. */
  test('come in the order of insertion, though all were created in the same second, or the other way round', async () => {
    const store = await withMessages('c', 'a', 'b');
    await store.objects.line.add(THREAD, newMessage('0'));
    expect(await list(store)).toBe('c a b 0');
    expect(await list(store, { order: 'desc' })).toBe('0 b a c');
  });

  test('are walked forwards with after, in both orders, until an empty one', async () => {
    const store = await withMessages('a', 'b', 'c', 'd', 'e');
    expect(await list(store, { limit: 2 })).toBe('a b …');
    expect(await list(store, { limit: 2, after: 'b' })).toBe('c d …');
    expect(await list(store, { limit: 2, after: 'd' })).toBe('e');
    expect(await list(store, { limit: 2, after: 'e' })).toBe('');
    expect(await list(store, { limit: 2, order: 'desc', after: 'd' })).toBe('c b …');
    expect(await list(store, { limit: 2, order: 'desc', after: 'a' })).toBe('');
  });

  test('are walked backwards with before: the page lies next to its cursor', async () => {
    const store = await withMessages('a', 'b', 'c', 'd', 'e');
    expect(await list(store, { limit: 2, before: 'e' })).toBe('c d …');
    expect(await list(store, { limit: 2, before: 'c' })).toBe('a b');
    expect(await list(store, { limit: 2, before: 'a' })).toBe('');
    expect(await list(store, { limit: 2, order: 'desc', before: 'a' })).toBe('c b …');
    expect(await list(store, { limit: 2, order: 'desc', before: 'e' })).toBe('');
  });

  test('between after and before are what lies between, from after on', async () => {
    const store = await withMessages('a', 'b', 'c', 'd', 'e');
    expect(await list(store, { after: 'a', before: 'e' })).toBe('b c d');
    expect(await list(store, { limit: 2, after: 'a', before: 'e' })).toBe('b c …');
    expect(await list(store, { order: 'desc', after: 'e', before: 'b' })).toBe('d c');
    expect(await list(store, { after: 'd', before: 'b' })).toBe('');
  });

  /** Shows A-LIST-09. */
  test('a full page that is the last says so', async () => {
    const store = await withMessages('a', 'b');
    expect(await list(store, { limit: 2 })).toBe('a b');
    expect(await list(store, { limit: 1, after: 'a' })).toBe('b');
  });

  test('go on from an item that was deleted, where it stood', async () => {
    const store = await withMessages('a', 'b', 'c', 'd');
    expect([await remove(store, 'b'), await remove(store, 'c')]).toStrictEqual([true, true]);
    expect(await list(store)).toBe('a d');
    expect(await list(store, { after: 'b' })).toBe('d');
    expect(await list(store, { before: 'c' })).toBe('a');
    expect(await list(store, { order: 'desc', after: 'c' })).toBe('a');
    expect(await store.objects.messages.get(THREAD, 'b')).toBeNull();
  });

  test('from a cursor that never named an item say which it was', async () => {
    const store = await withMessages('a');
    expect(await list(store, { after: 'nobody' })).toBe('unknown nobody');
    expect(await list(store, { before: 'nobody' })).toBe('unknown nobody');
    expect(await list(store, { after: 'a', before: 'nobody' })).toBe('unknown nobody');
    expect(shown(await store.objects.runs.list(THREAD, query({ after: 'a' })))).toBe('unknown a');
  });

  test('of a thread that is not there are empty', async () => {
    const store = await openStore(server.url);
    expect(await list(store)).toBe('');
    expect(shown(await store.objects.runs.list(THREAD, query()))).toBe('');
    expect(shown(await store.objects.steps.list(refOf(), query()))).toBe('');
  });

  /** Shows A-LIST-09. */
  test('any page of any list is what a plain slice of it is', async () => {
    const ids = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
    const cursor = fc.option(fc.constantFrom(...ids, 'nobody'));
    const page = fc.record({
      limit: fc.integer({ min: 1, max: 8 }),
      order: fc.constantFrom('asc' as const, 'desc' as const),
      after: cursor,
      before: cursor,
    });
    const tries = fc.record({
      deleted: fc.subarray(ids),
      pages: fc.array(page, { minLength: 10, maxLength: 10 }),
    });
    await fc.assert(
      fc.asyncProperty(tries, async ({ deleted, pages }) => {
        const store = await withMessages(...ids);
        for (const id of deleted) await remove(store, id);
        for (const one of pages) {
          expect(shown(await store.objects.messages.list(THREAD, null, one))).toBe(
            sliceOf(ids, deleted, one),
          );
        }
        await store.objects.threads.delete(THREAD);
      }),
      { numRuns: 25 },
    );
  });
});

describe('a page of big items', () => {
  const big = (id: string, bytes = 6_000): Message => ({
    ...newMessage(id),
    content: [{ type: 'text', text: { value: 'x'.repeat(bytes), annotations: [] } }],
  });

  test('ends before its limit, and the rest is on the pages that follow', async () => {
    const store = await openStore(server.url);
    await store.objects.threads.create(
      PROJECT,
      newThread(),
      ['a', 'b', 'c', 'd', 'e'].map((id) => big(id)),
    );
    expect(await list(store)).toBe('a b c …');
    expect(await list(store, { after: 'c' })).toBe('d e');
    expect(await list(store, { order: 'desc' })).toBe('e d c …');
    expect(await list(store, { before: 'e' })).toBe('b c d …');
    expect(await list(store, { limit: 2 })).toBe('a b …');
  });

  test('has one item, however big that is', async () => {
    const store = await openStore(server.url);
    await store.objects.threads.create(PROJECT, newThread(), [big('a', 2 * PAGE_LIMIT_BYTES), big('b')]);
    expect(await list(store)).toBe('a …');
    expect(await list(store, { after: 'a' })).toBe('b');
  });

  test('that is large says so before it is read, and is not read when that is refused', async () => {
    const store = await openStore(server.url);
    await store.objects.threads.create(PROJECT, newThread(), [big('a', 300_000), big('b')]);
    const heard: number[] = [];
    const admit = (bytes: number): void => void heard.push(bytes);
    expect(await list(store, { after: 'a', admit })).toBe('b');
    expect(heard).toStrictEqual([]);
    expect(await list(store, { admit })).toBe('a …');
    expect(heard).toStrictEqual([encodePart(big('a', 300_000)).length]);
    const refuse = (): void => {
      throw new Error('no room');
    };
    await expect(list(store, { admit: refuse })).rejects.toThrow('no room');
  });

  test('holds no more than its budget, whatever is listed', async () => {
    const store = await openStore(server.url);
    const instructions = 'x'.repeat(6_000);
    for (const id of ['asst_1', 'asst_2', 'asst_3', 'asst_4', 'asst_5'])
      await store.objects.assistants.create(PROJECT, newAssistant(id, { instructions }));
    expect(shown(await store.objects.assistants.list(PROJECT, query()))).toBe('asst_1 asst_2 asst_3 …');
    await store.objects.threads.create(PROJECT, newThread(), []);
    for (const id of ['run_1', 'run_2', 'run_3', 'run_4']) {
      const made = newRun(refOf(id), { thread: null });
      await store.runs.create(PROJECT, { ...made, run: { ...made.run, instructions: 'x'.repeat(6_500) } });
      await store.runs.close(refOf(id), { type: 'expired' });
    }
    expect(shown(await store.objects.runs.list(THREAD, query()))).toBe('run_1 run_2 …');
  });
});

/** What {@link shown} shows of a page of `ids`. */
function sliceOf(ids: readonly string[], deleted: readonly string[], page: PageQuery): string {
  const unknown = [page.after, page.before].find((id) => id !== null && !ids.includes(id));
  if (unknown) return `unknown ${unknown}`;
  const all = page.order === 'asc' ? ids : ids.toReversed();
  const from = page.after === null ? 0 : all.indexOf(page.after) + 1;
  const to = page.before === null ? all.length : all.indexOf(page.before);
  const between = all.slice(from, Math.max(from, to)).filter((id) => !deleted.includes(id));
  const backwards = page.before !== null && page.after === null;
  const items = backwards ? between.slice(-page.limit) : between.slice(0, page.limit);
  return [...items, ...(between.length > page.limit ? ['…'] : [])].join(' ');
}

describe('what a run wrote', () => {
  /** Two runs of one thread, each with one message. */
  async function twoRuns(): Promise<Store> {
    const store = await withMessages('a');
    for (const id of ['run_1', 'run_2']) {
      const started = await start(store, refOf(id), { thread: null });
      const [step, message] = [`step_${id}`, `msg_${id}`];
      const open = await store.runs.commit(started, [
        { type: 'step.created', at: 1, step_id: step, message_id: message },
        { type: 'message.created', at: 1, message_id: message },
      ]);
      await store.runs.commit(open, COMPLETED);
    }
    return store;
  }

  test('can be listed by itself, with its own cursors', async () => {
    const store = await twoRuns();
    const by = async (runId: string, more: Partial<PageQuery> = {}): Promise<string> =>
      shown(await store.objects.messages.list(THREAD, runId, query(more)));
    expect(await list(store)).toBe('a msg_run_1 msg_run_2');
    expect(await by('run_1')).toBe('msg_run_1');
    expect(await by('run_2')).toBe('msg_run_2');
    expect(await by('run_2', { after: 'msg_run_2' })).toBe('');
    expect(await by('run_2', { after: 'a' })).toBe('unknown a');
    expect(await by('run_3')).toBe('');
  });

  test('goes on from a message of it that was deleted', async () => {
    const store = await twoRuns();
    await remove(store, 'msg_run_1');
    const page = await store.objects.messages.list(THREAD, 'run_1', query({ after: 'msg_run_1' }));
    expect(shown(page)).toBe('');
    expect(shown(await store.objects.messages.list(THREAD, 'run_1', query()))).toBe('');
    expect(await keysOf(store)).not.toContain(store.keys.runMessages(refOf('run_1')));
    expect(await list(store)).toBe('a msg_run_2');
  });

  test('its runs and steps are lists, too', async () => {
    const store = await twoRuns();
    expect(shown(await store.objects.runs.list(THREAD, query()))).toBe('run_1 run_2');
    expect(shown(await store.objects.runs.list(THREAD, query({ order: 'desc', limit: 1 })))).toBe('run_2 …');
    expect(shown(await store.objects.runs.list(THREAD, query({ after: 'run_1' })))).toBe('run_2');
    expect(shown(await store.objects.steps.list(refOf('run_1'), query()))).toBe('step_run_1');
    expect(shown(await store.objects.steps.list(refOf('run_1'), query({ after: 'step_run_1' })))).toBe('');
    expect(shown(await store.objects.steps.list(refOf('run_1'), query({ after: 'step_run_2' })))).toBe(
      'unknown step_run_2',
    );
  });

  test('metadata given later is shown on messages and runs, in lists as well', async () => {
    const store = await twoRuns();
    await store.objects.labels.set(THREAD, 'msg_run_1', { colour: 'red' });
    await store.objects.labels.set(THREAD, 'run_2', { colour: 'blue' });
    expect(await store.objects.messages.get(THREAD, 'msg_run_1')).toMatchObject({
      metadata: { colour: 'red' },
    });
    expect(await store.objects.messages.list(THREAD, null, query())).toMatchObject({
      items: [{ metadata: {} }, { metadata: { colour: 'red' } }, { metadata: {} }],
    });
    expect(await store.objects.runs.list(THREAD, query())).toMatchObject({
      items: [{ metadata: {} }, { metadata: { colour: 'blue' } }],
    });
  });
});

describe('adding messages', () => {
  test('a thread takes them until a run holds it, and again when that has ended', async () => {
    const store = await withMessages('a');
    const talking = await startTalking(store);
    expect(await store.objects.line.add(THREAD, newMessage('b'))).toStrictEqual({
      type: 'locked',
      runId: 'run_1',
    });
    expect(await store.objects.messages.get(THREAD, 'b')).toBeNull();
    await store.runs.commit(talking, COMPLETED);
    expect(await store.objects.line.add(THREAD, newMessage('b'))).toStrictEqual({ type: 'appended' });
    expect(await list(store)).toBe('a msg_1 b');
  });

  test('a thread that is not there takes none', async () => {
    const store = await openStore(server.url);
    expect(await store.objects.line.add(THREAD, newMessage('a'))).toStrictEqual({ type: 'no thread' });
    expect(await keysOf(store)).toStrictEqual([]);
  });

  test('one that arrives twice is there once, at its first place', async () => {
    const store = await withMessages('a', 'b');
    await store.objects.line.add(THREAD, newMessage('a'));
    expect(await list(store)).toBe('a b');
  });
});

describe('assistants', () => {
  test('are created, found, listed, changed and deleted', async () => {
    const { objects } = await openStore(server.url);
    for (const id of ['asst_b', 'asst_a', 'asst_c'])
      await objects.assistants.create(PROJECT, newAssistant(id));
    expect(await objects.assistants.get(PROJECT, 'asst_a')).toStrictEqual(newAssistant('asst_a'));
    expect(shown(await objects.assistants.list(PROJECT, query()))).toBe('asst_b asst_a asst_c');
    const rename = (old: Assistant): Assistant => ({ ...old, name: 'new' });
    expect(await objects.assistants.update(PROJECT, 'asst_a', rename)).toMatchObject({ name: 'new' });
    expect(await objects.assistants.get(PROJECT, 'asst_a')).toMatchObject({ name: 'new' });
    expect(await objects.assistants.delete(PROJECT, 'asst_a')).toBe(true);
    expect(await objects.assistants.get(PROJECT, 'asst_a')).toBeNull();
    expect(shown(await objects.assistants.list(PROJECT, query({ after: 'asst_a' })))).toBe('asst_c');
  });

  test('that never were cannot be changed or deleted', async () => {
    const { objects } = await openStore(server.url);
    expect(await objects.assistants.get(PROJECT, 'asst_a')).toBeNull();
    expect(await objects.assistants.update(PROJECT, 'asst_a', (old) => old)).toBeNull();
    expect(await objects.assistants.delete(PROJECT, 'asst_a')).toBe(false);
  });

  test('created at the same moment keep places of their own', async () => {
    const { objects } = await openStore(server.url);
    const ids = Array.from({ length: 100 }, (_, index) => `asst_${index}`);
    await Promise.all(ids.map(async (id) => objects.assistants.create(PROJECT, newAssistant(id))));
    const walked: string[] = [];
    for (let after: string | null = null; ; after = must(walked.at(-1))) {
      const page = await objects.assistants.list(PROJECT, query({ limit: 7, after }));
      if (page.type !== 'page' || page.items.length === 0) break;
      walked.push(...page.items.map(({ id }) => id));
    }
    expect(walked).toStrictEqual(ids);
  });
});

describe('two who change one object at once', () => {
  test('both have their change: each was made to what the other left', async () => {
    const { objects } = await openStore(server.url);
    await objects.threads.create(PROJECT, newThread(), []);
    await Promise.all(
      Array.from({ length: 10 }, async (_, index) =>
        objects.threads.update(THREAD, (old) => ({
          ...old,
          metadata: { ...old.metadata, [`k${index}`]: 'v' },
        })),
      ),
    );
    expect(Object.keys(must(await objects.threads.get(THREAD)).metadata)).toHaveLength(10);
  });

  test('a change to what is deleted meanwhile does not bring it back', async () => {
    const store: Store = await openStore(server.url, (redis) =>
      withMethod(redis, 'swap', async (...args: (string | number)[]) => {
        await store.objects.threads.delete(THREAD);
        return redis.swap(...args);
      }),
    );
    await store.objects.threads.create(PROJECT, newThread(), []);
    expect(await store.objects.threads.update(THREAD, (old) => old)).toBeNull();
    expect(await keysOf(store)).toStrictEqual([store.keys.threadList(PROJECT).gone]);
  });

  test('a change that is sent twice is made once and answers twice', async () => {
    const store = await openStore(server.url, (redis) =>
      withMethod(redis, 'swap', async (...args: (string | number)[]) => {
        await redis.swap(...args);
        return redis.swap(...args);
      }),
    );
    await store.objects.threads.create(PROJECT, newThread(), []);
    let asked = 0;
    const changed = await store.objects.threads.update(THREAD, (old) => {
      asked += 1;
      return { ...old, metadata: { a: 'b' } };
    });
    expect(changed).toMatchObject({ metadata: { a: 'b' } });
    expect(asked).toBe(1);
    expect(await store.objects.threads.get(THREAD)).toStrictEqual(changed);
  });

  test('a deletion that is sent twice answers twice', async () => {
    const store = await openStore(server.url, (redis) =>
      withMethod(redis, 'remove', async (...args: (string | number)[]) => {
        await redis.remove(...args);
        return redis.remove(...args);
      }),
    );
    await store.objects.threads.create(PROJECT, newThread(), [newMessage('a')]);
    expect(await remove(store, 'a')).toBe(true);
  });
});

describe('deleting a thread', () => {
  test('metadata that comes after a thread was deleted leaves nothing behind', async () => {
    const { objects, redis, keys } = await openStore(server.url);
    await objects.threads.create(PROJECT, newThread(), [newMessage('msg_1')]);
    expect(await objects.labels.set(THREAD, 'msg_1', { colour: 'red' })).toBe(true);
    await objects.threads.delete(THREAD);
    expect(await objects.labels.set(THREAD, 'msg_1', { colour: 'red' })).toBe(false);
    expect(await redis.exists(keys.labels(THREAD))).toBe(0);
  });

  /** Shows A-THREAD-08. */
  test('leaves nothing of it but reminders, which are forgotten when somebody looks', async () => {
    const store = await withMessages('a', 'b');
    const ended = await store.runs.commit(await startTalking(store, refOf('run_1')), COMPLETED);
    expect(ended.state.run.status).toBe('completed');
    await store.runs.commit(await start(store, refOf('run_2'), { thread: null }), CALL);
    await remove(store, 'b');
    await store.objects.labels.set(THREAD, 'a', { colour: 'red' });
    const inSlot = (await keysOf(store)).filter((key) => key.includes('{thread_1}'));
    expect(inSlot).toHaveLength(17);
    expect(await store.objects.threads.delete(THREAD)).toBe(true);
    expect(await keysOf(store)).toStrictEqual(remindersOf(store));
    expect(await store.objects.threads.get(THREAD)).toBeNull();
    expect(await store.runs.get(refOf('run_1'))).toBeNull();
  });

  test('that is not there says so', async () => {
    const store = await openStore(server.url);
    expect(await store.objects.threads.delete(THREAD)).toBe(false);
  });

  test('leaves other threads alone', async () => {
    const store = await withMessages('a');
    const other = { ...THREAD, threadId: 'thread_2' };
    await create(store, refOf('run_1', other));
    const before = await contents(store);
    await store.objects.threads.delete(THREAD);
    const after = await contents(store);
    const left = Object.entries(before).filter(([key]) => !key.includes('{thread_1}'));
    const { threads } = store.keys;
    const { index, gone } = store.keys.threadList(PROJECT);
    const listed = { [threads]: ['p/thread_2'], [index]: ['thread_2'], [gone]: ['thread_1'] };
    expect(after).toStrictEqual({ ...Object.fromEntries(left), ...listed });
    expect(await store.objects.threads.activeRun(other)).toStrictEqual({ exists: true, runId: 'run_1' });
    expect(await store.objects.threads.activeRun(THREAD)).toStrictEqual({ exists: false, runId: null });
  });
});

describe('two projects', () => {
  /** Shows A-ID-11. */
  test('with the same ids see nothing of each other', async () => {
    const store = await openStore(server.url);
    const [p, q] = [refOf('run_1'), refOf('run_1', { ...THREAD, project: 'q' })];
    await store.objects.assistants.create('p', newAssistant('asst_1', { name: 'of p' }));
    await startTalking(store, p);
    const onlyP = await contents(store);
    expect(await store.objects.assistants.get('q', 'asst_1')).toBeNull();
    expect(await store.objects.threads.get(q)).toBeNull();
    expect(await store.objects.messages.get(q, 'msg_1')).toBeNull();
    expect(await store.objects.steps.get(q, 'step_1')).toBeNull();
    expect(await store.runs.get(q)).toBeNull();
    expect(shown(await store.objects.assistants.list('q', query()))).toBe('');
    expect(shown(await store.objects.runs.list(q, query()))).toBe('');
    expect(shown(await store.objects.messages.list(q, null, query()))).toBe('');
    expect(await store.runs.change(q, () => [{ type: 'run.cancelling', at: 1 }])).toBeNull();
    expect(await store.objects.assistants.delete('q', 'asst_1')).toBe(false);
    expect(await store.objects.threads.delete(q)).toBe(false);
    expect(await contents(store)).toStrictEqual(onlyP);

    await store.objects.assistants.create('q', newAssistant('asst_1', { name: 'of q' }));
    const created = await store.runs.create('q', newRun(q, { messages: [newMessage('msg_q')] }));
    expect(created.type).toBe('created');
    expect(shown(await store.objects.messages.list(p, null, query()))).toBe('msg_1');
    expect(shown(await store.objects.messages.list(q, null, query()))).toBe('msg_q');
    await store.objects.threads.delete(q);
    await store.objects.assistants.delete('q', 'asst_1');
    expect(await store.objects.assistants.get('p', 'asst_1')).toMatchObject({ name: 'of p' });
    expect((await read(store, p)).state.run.status).toBe('in_progress');
    expect([p.project, q.project].every(isSafeId)).toBe(true);
  });
});
