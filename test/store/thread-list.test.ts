/** The list of a project's threads: paging, metadata, and what it does about threads that are gone, old or imported. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { PLAIN_ORIGIN } from '../../src/runs/event.ts';
import type { ListPage, PageQuery } from '../../src/store/collection.ts';
import { Imports } from '../../src/store/imports.ts';
import type { ThreadRef } from '../../src/store/keys.ts';
import { needsOneServer, startPrivateRedis, startRedis, type RedisServer } from '../support/redis.ts';
import { create, newMessage, newThread, openStore, PROJECT, refOf, type Store } from './fixture.ts';

const NOW_MS = 1_700_000_000_000;
const MINUTE_MS = 60_000;

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => server.stop());
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: NOW_MS });
});
afterEach(() => {
  vi.useRealTimers();
});

const later = (ms: number): void => void vi.setSystemTime(NOW_MS + ms);
const refTo = (threadId: string, project = PROJECT): ThreadRef => ({ project, threadId });

async function make({ objects }: Store, ids: string, metadata = {}, project = PROJECT): Promise<void> {
  for (const id of ids.split(' ')) await objects.threads.create(project, { ...newThread(id), metadata }, []);
}

/** A page shortly: its ids, `…` when there are more, and then where to go on if that is not its last item. */
function shown(page: ListPage<{ readonly id: string }>): string {
  if (page.type === 'unknown cursor') return `unknown ${page.cursor}`;
  const more = page.hasMore ? [`…${page.readTo ?? ''}`] : [];
  return [...page.items.map(({ id }) => id), ...more].join(' ');
}

async function list(
  { objects }: Store,
  {
    project = PROJECT,
    metadata = {},
    ...more
  }: Partial<PageQuery> & { project?: string; metadata?: Record<string, string> } = {},
): Promise<string> {
  const query: PageQuery = { limit: 20, order: 'desc', after: null, before: null, ...more };
  return shown(await objects.threads.list(project, query, metadata));
}

describe('the threads of a project', () => {
  test('are listed in the order in which they were made, by cursor, in both directions', async () => {
    const store = await openStore(server.url);
    await make(store, 'a b c d e');
    expect(await list(store)).toBe('e d c b a');
    expect(await list(store, { limit: 2 })).toBe('e d …');
    expect(await list(store, { limit: 2, after: 'd' })).toBe('c b …');
    expect(await list(store, { limit: 2, after: 'b' })).toBe('a');
    expect(await list(store, { limit: 2, after: 'a' })).toBe('');
    expect(await list(store, { limit: 2, order: 'asc' })).toBe('a b …');
    expect(await list(store, { limit: 2, before: 'b' })).toBe('d c …');
    expect(await list(store, { limit: 2, before: 'd' })).toBe('e');
    expect(await list(store, { after: 'e', before: 'b' })).toBe('d c');
    expect(await list(store, { after: 'nobody' })).toBe('unknown nobody');
  });

  test('keep their places when they are used', async () => {
    const store = await openStore(server.url);
    await make(store, 'a b');
    later(MINUTE_MS);
    await store.objects.line.add(refTo('a'), newMessage('msg_1', 'a'));
    await create(store, refOf('run_1', refTo('a')), { thread: null });
    expect(await list(store)).toBe('b a');
  });

  test('are nobody else’s', async () => {
    const store = await openStore(server.url);
    await make(store, 'a', {}, 'p');
    await make(store, 'b', {}, 'q');
    expect(await list(store, { project: 'p' })).toBe('a');
    expect(await list(store, { project: 'q' })).toBe('b');
    expect(await list(store, { project: 'q', after: 'a' })).toBe('unknown a');
  });

  test('are those that a run was created with, too, but not chats without a thread', async () => {
    const store = await openStore(server.url);
    await create(store, refOf('run_1', refTo('with_run')));
    const origin = { ...PLAIN_ORIGIN, project: PROJECT, request_id: 'req_1', ephemeral: true };
    await create(store, refOf('run_2', refTo('chat')), { origin, thread: null });
    expect(await list(store)).toBe('with_run');
  });

  test('are listed with what they were changed to', async () => {
    const store = await openStore(server.url);
    await make(store, 'a');
    await store.objects.threads.update(refTo('a'), (old) => ({ ...old, metadata: { k: 'v' } }));
    const query = { limit: 1, order: 'desc', after: null, before: null } as const;
    expect(await store.objects.threads.list(PROJECT, query, {})).toMatchObject({
      items: [{ metadata: { k: 'v' } }],
    });
  });

  test('from before there was a list join it when they are used', async () => {
    const store = await openStore(server.url);
    await make(store, 'old older');
    await store.redis.del(store.keys.threadList(PROJECT).index);
    await make(store, 'new');
    expect(await list(store)).toBe('new');
    // This process has just listed it, and does so again after a minute.
    later(MINUTE_MS);
    await store.objects.line.add(refTo('old'), newMessage('msg_1', 'old'));
    expect(await list(store)).toBe('old new');
  });

  test('that were imported stand where they were made', async () => {
    const store = await openStore(server.url);
    const imports = new Imports(store, store.objects.assistants);
    await make(store, 'here');
    await imports.thread(PROJECT, { ...newThread('second'), created_at: 200 });
    const first = { ...newThread('first'), created_at: 100 };
    await imports.messages(PROJECT, first, [newMessage('msg_1', 'first')]);
    await imports.messages(PROJECT, first, [newMessage('msg_2', 'first')]);
    expect(await list(store)).toBe('here second first');
  });
});

describe('a thread that is gone', () => {
  test('leaves the list, and a walk goes on from where it stood', async () => {
    const store = await openStore(server.url);
    await make(store, 'a b c');
    await store.objects.threads.delete(refTo('b'));
    expect(await list(store)).toBe('c a');
    expect(await list(store, { after: 'b' })).toBe('a');
  });

  test('because nobody has used it for long leaves the list', async () => {
    const store = await openStore(server.url);
    await make(store, 'a');
    later(40 * 24 * 60 * MINUTE_MS);
    await make(store, 'b');
    expect(await store.threadIndex.endUnused(store.objects.threads, 30)).toBe(1);
    expect(await list(store)).toBe('b');
    expect(await store.redis.zrange(store.keys.threadList(PROJECT).index, '0', '-1')).toEqual(['b']);
  });

  test('and was not taken from the list is passed over and forgotten, but not in the minute in which it may be made', async (context) => {
    needsOneServer(context);
    const store = await openStore(server.url);
    const { index } = store.keys.threadList(PROJECT);
    await make(store, 'a b c d');
    await store.redis.del(store.keys.thread(refTo('b')), store.keys.thread(refTo('c')));
    expect(await list(store, { limit: 2 })).toBe('d a');
    expect(await store.redis.zcard(index)).toBe(4);
    later(MINUTE_MS + 1);
    expect(await list(store)).toBe('d a');
    expect(await store.redis.zrange(index, '0', '-1')).toEqual(['a', 'd']);
    expect(await list(store, { after: 'c' })).toBe('a');
  });

  test('or never was, is not listed', async () => {
    const store = await openStore(server.url);
    await store.objects.line.add(refTo('nowhere'), newMessage('msg_1', 'nowhere'));
    expect(await list(store)).toBe('');
    expect(await store.redis.zcard(store.keys.threadList(PROJECT).index)).toBe(0);
  });

  test('can be deleted in a full Redis, and leaves the list there', async () => {
    const full = await startPrivateRedis();
    try {
      const store = await openStore(full.url);
      await make(store, 'a b');
      await store.redis.call('CONFIG', 'SET', 'maxmemory', '1');
      await store.objects.threads.delete(refTo('a'));
      expect(await list(store)).toBe('b');
    } finally {
      await full.stop();
    }
  });
});

describe('a list by metadata', () => {
  test('has the threads with all of it', async () => {
    const store = await openStore(server.url);
    await make(store, 'a', { user: 'x', room: '1' });
    await make(store, 'b', { user: 'y', room: '1' });
    await make(store, 'c', { user: 'x', room: '2' });
    expect(await list(store, { metadata: { user: 'x' } })).toBe('c a');
    expect(await list(store, { metadata: { user: 'x', room: '1' } })).toBe('a');
    expect(await list(store, { metadata: { user: 'z' } })).toBe('');
    expect(await list(store, { metadata: { constructor: 'x' } })).toBe('');
  });

  test('fills its pages, however many others lie between', async () => {
    const store = await openStore(server.url);
    for (let block = 0; block < 3; block++) {
      await make(store, `hit_${block}`, { user: 'x' });
      await Promise.all(
        Array.from({ length: 120 }, async (_, index) => make(store, `miss_${block}_${index}`)),
      );
    }
    const metadata = { user: 'x' };
    expect(await list(store, { metadata, limit: 2 })).toBe('hit_2 hit_1 …');
    expect(await list(store, { metadata, limit: 2, after: 'hit_1' })).toBe('hit_0');
    expect(await list(store, { metadata, limit: 2, order: 'asc' })).toBe('hit_0 hit_1 …');
    // A full page does not look for one more that is wanted.
    expect(await list(store, { metadata, limit: 2, before: 'hit_0' })).toBe('hit_2 hit_1 …');
    expect(await list(store, { metadata, limit: 2, before: 'hit_2' })).toBe('');
    expect(await list(store, { metadata, limit: 1, before: 'hit_0' })).toBe('hit_1 …');
  });

  test('ends a page after a thousand threads that were looked at, and says where to go on', async () => {
    const store = await openStore(server.url);
    await make(store, 'hit_1', { user: 'x' });
    const pad = (index: number): string => String(index).padStart(4, '0');
    for (let index = 0; index < 1_100; index += 100)
      await Promise.all(
        Array.from({ length: 100 }, async (_, more) => make(store, `miss_${pad(index + more)}`)),
      );
    await make(store, 'hit_2', { user: 'x' });
    const metadata = { user: 'x' };
    expect(await list(store, { metadata })).toBe('hit_2 …miss_0101');
    expect(await list(store, { metadata, after: 'miss_0101' })).toBe('hit_1');
    expect(await list(store, { metadata, order: 'asc', after: 'hit_1' })).toBe('…miss_0999');
    expect(await list(store, { metadata, before: 'hit_1' })).toBe('…miss_0999');
  });
});

describe('a page of big threads', () => {
  const big = { k: 'x'.repeat(8_000) };

  test('ends before its limit, and those that follow have the rest', async () => {
    const store = await openStore(server.url);
    await make(store, 'a b c d', big);
    expect(await list(store)).toBe('d c …');
    expect(await list(store, { after: 'c' })).toBe('b a');
    expect(await list(store, { before: 'a' })).toBe('c b …');
  });

  test('asks for room before it is read', async () => {
    const store = await openStore(server.url);
    await make(store, 'a', { k: 'x'.repeat(300_000) });
    await make(store, 'b');
    const heard: number[] = [];
    expect(await list(store, { limit: 1, admit: (bytes) => void heard.push(bytes) })).toBe('b …');
    expect(heard).toEqual([]);
    const refuse = (): void => {
      throw new Error('no room');
    };
    await expect(list(store, { after: 'b', admit: refuse })).rejects.toThrow('no room');
  });
});
