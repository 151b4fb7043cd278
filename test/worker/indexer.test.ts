/** What the indexer promises, X1 to X6, with a real Redis and a real library. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Unindexable } from '../../src/worker/indexer.ts';
import { PROJECT } from '../store/fixture.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { embedderNamed, Scene, STORE } from './shelf-scene.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => server.stop());

let scene: Scene;
beforeEach(async () => {
  scene = await Scene.open(server.url);
});

const counts = async () => (await scene.store.objects.vectorStores.get(PROJECT, STORE.storeId))?.file_counts;
/** Pieces that come one by one; `between` is done after the first. */
const pieces = (between: () => Promise<void>) =>
  async function* () {
    yield [{ text: 'first piece' }];
    await between();
    yield [{ text: 'second piece' }];
  };

describe('X1: a job', () => {
  test('that comes twice changes nothing the second time', async () => {
    const job = await scene.put('file-a', 'apples');
    const indexer = scene.indexer();
    expect(await indexer.work(job)).toBe('done');
    const read = await scene.file('file-a');
    expect(read).toMatchObject({ status: 'completed', usage_bytes: 6 });
    scene.texts.set('file-a', () => {
      throw new Error('read twice');
    });
    expect(await indexer.work(job)).toBe('done');
    expect(await scene.file('file-a')).toStrictEqual(read);
    expect(await scene.kept('file-a')).toEqual(['apples']);
  });

  test('of a file that was taken out leaves it out', async () => {
    const job = await scene.put('file-a', 'apples');
    await scene.shelving.takeOut(job);
    await scene.indexer().work(job);
    expect(await scene.file('file-a')).toBeNull();
    expect(await scene.kept('file-a')).toEqual([]);
  });

  test('of a file that is taken out while it is read keeps nothing of it', async () => {
    const job = await scene.put('file-a', '');
    scene.texts.set(
      'file-a',
      pieces(async () => scene.shelving.takeOut(job)),
    );
    await scene.indexer().work(job);
    expect(await scene.file('file-a')).toBeNull();
    expect(await scene.kept('file-a')).toEqual([]);
  });

  test('of a file that was cancelled leaves it cancelled', async () => {
    const job = await scene.put('file-a', 'apples');
    const { storeFiles } = scene.store.objects;
    await storeFiles.change(job, (old) => old && { ...old, status: 'cancelled' });
    await scene.indexer().work(job);
    expect(await scene.file('file-a')).toMatchObject({ status: 'cancelled' });
    expect(await scene.kept('file-a')).toEqual([]);
  });

  test('of an earlier try says nothing of a later one', async () => {
    const early = await scene.put('file-a', 'apples');
    const late = await scene.shelve('file-a');
    const indexer = scene.indexer();
    await indexer.work(early);
    expect(await scene.file('file-a')).toMatchObject({ status: 'in_progress', stamp: late.stamp });
    await indexer.work(late);
    expect(await scene.file('file-a')).toMatchObject({ status: 'completed' });
  });

  test('of an earlier try that fails later does not fail the later one', async () => {
    const early = await scene.put('file-a', '');
    scene.texts.set('file-a', async function* () {
      yield [{ text: 'first piece' }];
      await scene.shelve('file-a');
      throw new Unindexable({ code: 'invalid_file', message: 'broken' });
    });
    await scene.indexer().work(early);
    expect(await scene.file('file-a')).toMatchObject({ status: 'in_progress', last_error: null });
  });
});

describe('X2: the library has', () => {
  test('what a file had before until all of the new is there', async () => {
    const indexer = scene.indexer();
    await indexer.work(await scene.put('file-a', 'apples'));
    const seen: (readonly string[])[] = [];
    const again = await scene.shelve('file-a');
    scene.texts.set(
      'file-a',
      pieces(async () => void seen.push(await scene.kept('file-a'))),
    );
    await indexer.work(again);
    expect(seen).toEqual([['apples']]);
    expect(await scene.kept('file-a')).toEqual(['first piece', 'second piece']);
  });

  test('nothing of a file that breaks in the middle', async () => {
    const job = await scene.put('file-a', '');
    const breaks = async (): Promise<void> => {
      throw new Error('a broken pipe');
    };
    scene.texts.set('file-a', pieces(breaks));
    await scene.indexer().work(job);
    expect(await scene.file('file-a')).toMatchObject({
      status: 'failed',
      last_error: { code: 'server_error' },
      usage_bytes: 0,
    });
    expect(await scene.kept('file-a')).toEqual([]);
    expect(await counts()).toMatchObject({ failed: 1, total: 1 });
  });

  test('nothing of a store that is deleted while a file is read', async () => {
    const job = await scene.put('file-a', '');
    const { vectorStores } = scene.store.objects;
    scene.texts.set(
      'file-a',
      pieces(async () => void (await vectorStores.delete(PROJECT, STORE.storeId))),
    );
    await scene.indexer().work(job);
    expect(await scene.kept('file-a')).toEqual([]);
  });
});

describe('X3: a worker that', () => {
  test('is stopped leaves the file in progress, and the next one reads it', async () => {
    const job = await scene.put('file-a', '');
    // The second piece is embedded no more.
    const embedder = embedderNamed('m');
    const handed = scene.indexer({
      embedder: {
        ...embedder,
        embed: async (texts, signal) => (signal.throwIfAborted(), embedder.embed(texts, signal)),
      },
    });
    scene.texts.set(
      'file-a',
      pieces(async () => handed.handOver()),
    );
    expect(await handed.work(job)).toBe('handed over');
    expect(await scene.file('file-a')).toMatchObject({ status: 'in_progress', stamp: job.stamp });
    expect(await handed.work(job)).toBe('handed over');
    await scene.indexer().work(job);
    expect(await scene.file('file-a')).toMatchObject({ status: 'completed' });
    expect(await scene.kept('file-a')).toEqual(['first piece', 'second piece']);
  });

  test('dies has its file read by the next one, and what it had written is not there twice', async () => {
    const job = await scene.put('file-a', '');
    const dead = Promise.withResolvers<void>();
    const reached = Promise.withResolvers<void>();
    scene.texts.set(
      'file-a',
      pieces(async () => {
        reached.resolve();
        await dead.promise;
      }),
    );
    const hanging = scene.indexer().work(job);
    await reached.promise;
    scene.texts.set(
      'file-a',
      pieces(async () => {}),
    );
    await scene.indexer().work(job);
    expect(await scene.kept('file-a')).toEqual(['first piece', 'second piece']);
    const read = await scene.file('file-a');
    // One that only stood still comes too late.
    dead.resolve();
    await hanging;
    expect(await scene.file('file-a')).toStrictEqual(read);
    expect(await scene.kept('file-a')).toEqual(['first piece', 'second piece']);
  });
});

test('X4: a file whose reading never ends is given up', async () => {
  const job = await scene.put('file-a', 'apples');
  // So many workers have begun it, and none has said anything.
  await scene.store.objects.storeFiles.change(job, (old) => old && { ...old, tries: 4 });
  await scene.indexer().work(job);
  expect(await scene.file('file-a')).toMatchObject({
    status: 'failed',
    last_error: { code: 'server_error', message: expect.stringContaining('given up') as unknown },
  });
});

describe('X5: a file that is embedded anew', () => {
  test('is found by the vectors of the new model, and stays completed meanwhile', async () => {
    await scene.indexer({ embedder: embedderNamed('old') }).work(await scene.put('file-a', 'apples'));
    const before = await scene.file('file-a');
    const statuses: unknown[] = [];
    const embedder = embedderNamed('new');
    const again = scene.indexer({
      embedder: {
        ...embedder,
        embed: async (texts, signal) => {
          statuses.push((await scene.file('file-a'))?.status, await scene.found('apples'));
          return embedder.embed(texts, signal);
        },
      },
    });
    await again.work({ ...scene.lastJob, space: 'new' });
    expect(statuses).toEqual(['completed', ['file-a']]);
    expect(await scene.found('nothing', 'new')).toEqual(['file-a']);
    expect(await scene.found('nothing', 'old')).toEqual([]);
    expect(await scene.file('file-a')).toMatchObject({ status: 'completed', stamp: before?.stamp });
  });

  test('keeps what it had where that cannot be done', async () => {
    await scene.indexer({ embedder: embedderNamed('old') }).work(await scene.put('file-a', 'apples'));
    const before = await scene.file('file-a');
    const embedder = {
      ...embedderNamed('new'),
      embed: async () => Promise.reject(new Error('no such model')),
    };
    const indexer = scene.indexer({ embedder });
    for (let tries = 0; tries < 6; tries += 1) await indexer.work({ ...scene.lastJob, space: 'new' });
    expect(await scene.file('file-a')).toStrictEqual(before);
    expect(await scene.found('apples')).toEqual(['file-a']);
  });

  test('is left to a worker that has that model', async () => {
    await scene.indexer().work(await scene.put('file-a', 'apples'));
    const embedder = embedderNamed('other');
    await scene.indexer({ embedder }).work({ ...scene.lastJob, space: 'new' });
    expect(embedder.asked).toEqual([]);
  });
});

describe('X6: a file that is deleted', () => {
  test('before it is read is not in the store', async () => {
    const job = await scene.put('file-a', 'apples');
    await scene.store.objects.files.delete(PROJECT, 'file-a');
    await scene.indexer().work(job);
    expect(await scene.file('file-a')).toBeNull();
    expect(await counts()).toMatchObject({ failed: 0, total: 0 });
    const { redis, keys } = scene.store;
    expect(await redis.smembers(keys.storesOf(PROJECT, 'file-a'))).toEqual([]);
  });

  test('while it is read is not in the store, and nothing is found of it', async () => {
    const job = await scene.put('file-a', '');
    scene.texts.set(
      'file-a',
      pieces(async () => {
        await scene.store.objects.files.delete(PROJECT, 'file-a');
        throw new Unindexable({ code: 'invalid_file', message: 'no bytes' });
      }),
    );
    await scene.indexer().work(job);
    expect(await scene.file('file-a')).toBeNull();
    expect(await scene.kept('file-a')).toEqual([]);
  });
});
