/** A library that was lost is filled again, and files of another model of embeddings are embedded anew. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { LibraryCare } from '../../src/worker/library-care.ts';
import { Unindexable } from '../../src/worker/indexer.ts';
import { PROJECT, silent } from '../store/fixture.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { embedderNamed, Scene, STORE } from './shelf-scene.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => server.stop());

let scene: Scene;
let nowMs = 0;
beforeEach(async () => {
  scene = await Scene.open(server.url);
  nowMs = 0;
});

function careFor(space: string | null, waiting = 0): () => Promise<void> {
  const care = new LibraryCare({
    library: scene.library,
    note: scene.note,
    stores: scene.store.objects.vectorStores,
    storeFiles: scene.store.objects.storeFiles,
    shelving: scene.shelving,
    space,
    waiting: async () => waiting,
    nowMs: () => nowMs,
    log: silent,
  });
  return async () => {
    care.begin();
    await care.idle();
  };
}

/** The jobs that were added since the last call. */
const newJobs = () => scene.queue.added.splice(0);
/** Puts files into the store and reads them. */
async function read(space: string | null, ...ids: readonly string[]): Promise<void> {
  const indexer = scene.indexer({ embedder: space === null ? null : embedderNamed(space) });
  for (const id of ids) await indexer.work(await scene.put(id, `text of ${id}`));
  newJobs();
}

describe('a lost library', () => {
  test('has its files read again, and they are found', async () => {
    await read(null, 'file-a', 'file-b');
    await scene.loseLibrary();
    await careFor(null)();
    const jobs = newJobs();
    expect(jobs.map(({ fileId }) => fileId)).toEqual(['file-a', 'file-b']);
    expect(await scene.file('file-a')).toMatchObject({ status: 'in_progress', usage_bytes: 0 });
    const { file_counts } = (await scene.store.objects.vectorStores.get(PROJECT, STORE.storeId)) ?? {};
    expect(file_counts).toMatchObject({ in_progress: 2, completed: 0, total: 2 });
    const indexer = scene.indexer();
    for (const job of jobs) await indexer.work(job);
    expect(await scene.found('text')).toEqual(['file-a', 'file-b']);
    expect(await scene.note.figures()).toEqual({ outside: null, lost: 2 });
    nowMs += 60_000;
    await careFor(null)();
    expect(newJobs()).toEqual([]);
  });

  test('lacks only what was not read since', async () => {
    await read(null, 'file-a', 'file-b');
    await scene.loseLibrary();
    await read(null, 'file-b');
    await careFor(null)();
    expect(newJobs().map(({ fileId }) => fileId)).toEqual(['file-a']);
  });

  test('whose bytes are gone too leaves a failed file that says so', async () => {
    await read(null, 'file-a');
    await scene.loseLibrary();
    scene.texts.set('file-a', () => {
      throw new Unindexable({ code: 'invalid_file', message: 'not there any more' });
    });
    await careFor(null)();
    for (const job of newJobs()) await scene.indexer().work(job);
    expect(await scene.file('file-a')).toMatchObject({
      status: 'failed',
      last_error: { code: 'invalid_file', message: 'not there any more' },
    });
  });

  test('is looked for again where the look broke off', async () => {
    await read(null, 'file-a');
    await scene.loseLibrary();
    const { library } = scene;
    const fails = careFor(null);
    library.fileIds = async () => Promise.reject(new Error('the disk is gone'));
    await fails();
    Reflect.deleteProperty(library, 'fileIds');
    expect(newJobs()).toEqual([]);
    nowMs += 60_000;
    await fails();
    expect(newJobs().map(({ fileId }) => fileId)).toEqual(['file-a']);
  });

  test('is not opened where no file was ever read', async () => {
    scene.library.name = async () => Promise.reject(new Error('opened'));
    await careFor('new')();
    expect(await scene.note.figures()).toEqual({ outside: null, lost: 0 });
  });
});

describe('another model of embeddings', () => {
  test('has the files of the model before, and those of none, embedded anew', async () => {
    await read('old', 'file-a');
    await read(null, 'file-b');
    await read('new', 'file-c');
    const care = careFor('new');
    await care();
    const jobs = newJobs();
    expect(jobs).toMatchObject([
      { fileId: 'file-a', space: 'new' },
      { fileId: 'file-b', space: 'new' },
    ]);
    expect((await scene.note.figures()).outside).toBe(2);
    const indexer = scene.indexer({ embedder: embedderNamed('new') });
    for (const job of jobs) await indexer.work(job);
    expect(await scene.found('nothing', 'new')).toEqual(['file-a', 'file-b', 'file-c']);
    nowMs += 5_000;
    await care();
    expect(newJobs()).toEqual([]);
    expect((await scene.note.figures()).outside).toBe(0);
  });

  test('comes in small groups, and not before the last one is done', async () => {
    const ids = Array.from({ length: 20 }, (_, index) => `file-${index}`);
    await read('old', ...ids);
    await careFor('new', 16)();
    expect(newJobs()).toEqual([]);
    const care = careFor('new');
    await care();
    expect(newJobs()).toHaveLength(16);
    await care();
    expect(newJobs()).toEqual([]);
    nowMs += 5_000;
    await care();
    expect(newJobs()).toHaveLength(4);
  });

  test('that does not answer is asked ever more seldom', async () => {
    await read('old', 'file-a');
    const care = careFor('new');
    const looks: number[] = [];
    for (; nowMs < 3_600_000; nowMs += 1_000) {
      await care();
      if (newJobs().length > 0) looks.push(nowMs / 1_000);
    }
    expect(looks.slice(0, 4)).toEqual([0, 5, 15, 35]);
    expect((looks.at(-1) ?? 0) - (looks.at(-2) ?? 0)).toBe(600);
  });

  test('that is none leaves the files as they are', async () => {
    await read('old', 'file-a');
    await scene.note.tellOutside(3);
    await careFor(null)();
    expect(newJobs()).toEqual([]);
    expect((await scene.note.figures()).outside).toBeNull();
  });
});
