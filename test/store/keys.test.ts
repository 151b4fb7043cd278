/** Key names: one thread, one slot; one project, one space; and ids that cannot break out of either. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PLAIN_ORIGIN } from '../../src/runs/event.ts';
import { isSafeId, RedisKeys, type CollectionKeys } from '../../src/store/keys.ts';
import { Listeners } from '../../src/store/listeners.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import {
  CALL,
  COMPLETED,
  create,
  keysOf,
  must,
  openStore,
  PROJECT,
  refOf,
  start,
  startTalking,
  THREAD,
} from './fixture.ts';

const keys = new RedisKeys('prefix');
let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => server.stop());

/** The keys of a thread with one run, and the channel of that run. */
function threadKeys(project: string, threadId: string): readonly string[] {
  const ref = { project, threadId, runId: 'run_1' };
  const { own } = keys.threadKeys(ref);
  return [...Object.values(own), ...Object.values(keys.runKeys(ref)), keys.mark(ref), keys.events(ref)];
}

/** The keys of a vector store with one batch. */
function storeKeys(project: string, storeId: string): readonly string[] {
  const ref = { project, storeId };
  return [
    ...names(keys.storeFiles(ref)),
    keys.storeCounts(ref),
    keys.storeBatches(ref),
    ...[null, 'vsfb_1'].flatMap((batch) => [keys.batchCounts(ref, batch), keys.batchFiles(ref, batch)]),
  ];
}

/** The keys of a project's files, with one open upload. */
const fileKeys = (project: string): readonly string[] => [
  ...names(keys.files.list(project)),
  keys.files.listFor(project, 'vision'),
  keys.files.bytes(project),
  keys.files.uploads(project),
  keys.files.parts(project, 'upload_1'),
];

const names = ({ docs, index, gone }: CollectionKeys): readonly string[] => [docs, index, gone];

describe('keys', () => {
  test('everything of one thread carries its id as hash tag, so that a commit stays in one slot', () => {
    for (const key of threadKeys('p', 'thread_1')) {
      expect(key.match(/\{[^}]*\}/g)).toStrictEqual(['{thread_1}']);
    }
  });

  test('a project’s list of threads is in one slot, which no thread and no other list is in', () => {
    const tagsOf = (list: CollectionKeys): unknown => names(list).map((key) => key.match(/\{[^}]*\}/g));
    expect(tagsOf(keys.threadList('p'))).toStrictEqual([['{p/threads}'], ['{p/threads}'], ['{p/threads}']]);
    expect(tagsOf(keys.recentRuns('p'))).toStrictEqual([['{p/runs}'], ['{p/runs}'], ['{p/runs}']]);
    expect(isSafeId('p/threads')).toBe(false);
  });

  test('all of one vector store is in one slot, and all of a project’s files', () => {
    for (const key of storeKeys('p', 'vs_1')) expect(key.match(/\{[^}]*\}/g)).toStrictEqual(['{vs_1}']);
    for (const key of fileKeys('p')) expect(key.match(/\{[^}]*\}/g)).toStrictEqual(['{p/files}']);
  });

  test('no two things share a key, in whatever project, thread or service', () => {
    const all = [
      ...threadKeys('p', 'thread_1'),
      ...threadKeys('p', 'thread_2'),
      ...threadKeys('q', 'thread_1'),
      ...names(keys.assistants('p')),
      ...names(keys.assistants('q')),
      ...names(keys.threadList('p')),
      ...names(keys.threadList('q')),
      ...names(keys.recentRuns('p')),
      ...names(keys.recentRuns('q')),
      ...storeKeys('p', 'vs_1'),
      ...storeKeys('p', 'vs_2'),
      ...storeKeys('q', 'vs_1'),
      ...names(keys.vectorStores('p')),
      ...names(keys.vectorStores('q')),
      keys.storesOf('p', 'file-1'),
      keys.storesOf('q', 'file-1'),
      keys.shelves,
      keys.filledStores,
      keys.library,
      ...fileKeys('p'),
      ...fileKeys('q'),
      keys.files.ends,
      keys.files.hosts,
      keys.files.looked,
      keys.passing('p', 'answer', 'digest'),
      keys.passing('q', 'answer', 'digest'),
      keys.usage('p', '2026-11-26'),
      keys.usage('q', '2026-11-26'),
      keys.counted('p', 'run_1'),
      keys.passing('p', 'tool', 'digest'),
      keys.passing('q', 'tool', 'digest'),
      keys.open,
      keys.threads,
      new RedisKeys('other').open,
      keys.workers,
      keys.worker('host/a'),
      keys.sweeper,
      keys.changes,
      keys.watch.echoes,
      keys.watch.news,
      keys.watch.apis,
      keys.queue,
    ];
    expect(new Set(all).size).toBe(all.length);
  });

  test('the keys of a thread’s runs are known without their ids, which they end in', () => {
    const ref = { project: 'p', threadId: 'thread_1', runId: 'run_1' };
    const { perRun } = keys.threadKeys(ref);
    const ofRun = Object.entries(keys.runKeys(ref));
    expect(Object.entries(perRun).map(([name, prefix]) => [name, `${prefix}run_1`])).toStrictEqual(ofRun);
  });

  test('everything that a run of any kind leaves in the slot of its thread is a key of the thread', async () => {
    const store = await openStore(server.url);
    const origin = { ...PLAIN_ORIGIN, project: PROJECT, request_id: 'req_1', ephemeral: true };
    await create(store, refOf('run_1'), { origin, thread: null, input: [{ role: 'user', content: 'x' }] });
    await store.runs.commit(await startTalking(store, refOf('run_2')), COMPLETED);
    await store.runs.commit(await start(store, refOf('run_3'), { thread: null }), CALL);
    await store.objects.labels.set(THREAD, 'run_2', { colour: 'red' });
    await new Listeners(store.redis, store.keys, 1_000).join(refOf('run_3'));
    await store.objects.messages.delete(THREAD, must(await store.objects.messages.get(THREAD, 'msg_1')));
    const { own, perRun } = store.keys.threadKeys(THREAD);
    const isKnown = (key: string): boolean =>
      Object.values<string>(own).includes(key) ||
      Object.values<string>(perRun).some(
        (prefix) => /^run_\d$/.test(key.slice(prefix.length)) && key.startsWith(prefix),
      );
    const inSlot = (await keysOf(store)).filter((key) => key.includes('{thread_1}'));
    expect(inSlot.length).toBeGreaterThan(15);
    expect(inSlot.filter((key) => !isKnown(key))).toStrictEqual([]);
  });

  test('the queue’s prefix is a hash tag of its own', () => {
    expect(keys.queue).toBe('{prefix}');
  });
});

describe('isSafeId', () => {
  test.each(['run_1', 'thread_abcXYZ0189', 'a.b-c', 'x'.repeat(128)])('%s may stand in a key', (id) => {
    expect(isSafeId(id)).toBe(true);
  });

  test.each(['', 'a:b', '{a}', 'a}b', 'a b', 'a/b', 'a\nb', 'ä', 'a*', 'x'.repeat(129), 'run_1\n'])(
    '%j may not',
    (id) => {
      expect(isSafeId(id)).toBe(false);
    },
  );
});
