/**
 * A worker that is killed, stands still or is stopped in the middle of reading a file into a vector store: another one reads it, and
 * nothing is there twice.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import OpenAI, { toFile } from 'openai';
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest';
import { embeddings } from '../support/embeddings.ts';
import { OtherEndpoints } from '../support/endpoints.ts';
import { startService, type Service } from '../support/service.ts';
import { gate } from '../support/upstream.ts';

const server = new OtherEndpoints();
beforeAll(async () => server.listen());
afterAll(async () => server.stop());

const SECTIONS = 300;
/** Each a chunk of its own. */
const TEXT = Array.from(
  { length: SECTIONS },
  (_, number) => `Section ${number}. ${`Here is told what belongs to part${number}. `.repeat(8)}`,
).join('\n\n');
const CHUNKING = {
  type: 'static',
  static: { max_chunk_size_tokens: 100, chunk_overlap_tokens: 0 },
} as const;
function tableSizes(path: string): unknown {
  const database = new DatabaseSync(path, { timeout: 30_000 });
  try {
    database.exec("INSERT INTO word_index (word_index, rank) VALUES ('integrity-check', 1)");
    return database
      .prepare(
        `SELECT (SELECT count(*) FROM files) AS files, (SELECT count(*) FROM chunks) AS chunks,
           (SELECT count(DISTINCT position) FROM chunks) AS positions, (SELECT sum(length(numbers)) FROM vectors) AS vectors`,
      )
      .get();
  } finally {
    database.close();
  }
}

/** Resolves when the request for vectors of that number has come, which then waits. */
interface Doors {
  readonly reached: (asked: number) => Promise<void>;
  readonly open: (asked: number) => void;
}

/** The server holds these requests for vectors back, by their number. */
function hold(...numbers: readonly number[]): Doors {
  const doors = new Map(numbers.map((number) => [number, gate()]));
  server.reply(
    embeddings(['part7.'], async (asked) => {
      const door = doors.get(asked);
      door?.reach();
      await door?.opened;
    }),
  );
  return {
    reached: async (asked) => doors.get(asked)?.reached,
    open: (asked) => doors.get(asked)?.open(),
  };
}

interface Stage {
  readonly service: Service;
  readonly client: OpenAI;
  /** The file of the library. */
  readonly library: string;
  /** The copies of documents that workers have at the moment. */
  readonly copies: () => readonly string[];
  readonly ref: { readonly storeId: string; readonly fileId: string; readonly batchId: string };
}

/** A service with one worker that has begun to read the text. */
async function begun(): Promise<Stage> {
  const folder = mkdtempSync(join(tmpdir(), 'lost-indexing-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const library = join(folder, 'library.sqlite');
  const service = await startService({
    redisUrl: inject('redisUrl'),
    upstream: server,
    env: {
      LIBRARY_URL: library,
      TMPDIR: folder,
      EMBEDDING_MODEL: 'meaning',
      LOCK_MS: '3000',
      DRAIN_MS: '0',
    },
  });
  onTestFinished(async () => service.stop());
  const client = new OpenAI({ baseURL: service.baseUrl, apiKey: 'none', maxRetries: 0 });
  const file = await client.files.create({
    file: await toFile(Buffer.from(TEXT), 'long.md'),
    purpose: 'assistants',
  });
  const store = await client.vectorStores.create({});
  const batch = await client.vectorStores.fileBatches.create(store.id, {
    file_ids: [file.id],
    chunking_strategy: CHUNKING,
  });
  const copies = (): readonly string[] =>
    readdirSync(folder).filter((name) => name.startsWith('longrun-document-'));
  return { service, client, library, copies, ref: { storeId: store.id, fileId: file.id, batchId: batch.id } };
}

const fileOf = async ({ client, ref }: Stage) =>
  client.vectorStores.files.retrieve(ref.fileId, { vector_store_id: ref.storeId });

/** Waits until the file is read: each chunk is there once, and every count is right. */
async function expectRead({ client, library, ref }: Stage): Promise<void> {
  const { storeId, fileId, batchId } = ref;
  const read = await client.vectorStores.files.poll(storeId, fileId, { pollIntervalMs: 100 });
  expect(read).toMatchObject({ status: 'completed', last_error: null });
  const counts = { in_progress: 0, completed: 1, failed: 0, cancelled: 0, total: 1 };
  expect(await client.vectorStores.retrieve(storeId)).toMatchObject({
    status: 'completed',
    file_counts: counts,
    usage_bytes: read.usage_bytes,
  });
  const polled = await client.vectorStores.fileBatches.retrieve(batchId, { vector_store_id: storeId });
  expect(polled).toMatchObject({ status: 'completed', file_counts: counts });
  const { data: chunks } = await client.vectorStores.files.content(fileId, { vector_store_id: storeId });
  const sections = chunks.flatMap(({ text = '' }) => [...text.matchAll(/Section (\d+)\./g)]);
  const all = Array.from({ length: SECTIONS }, (_, number) => number);
  expect(sections.map(([, number]) => Number(number))).toEqual(all);
  // What the first worker had written is gone as well. A vector is two numbers of four bytes.
  const size = chunks.length;
  expect(tableSizes(library)).toEqual({ files: 1, chunks: size, positions: size, vectors: size * 2 * 4 });
  const query = { query: 'part7.', max_num_results: 50 };
  const { data: found } = await client.vectorStores.search(storeId, query);
  expect(found[0]?.content[0]?.text).toContain('part7.');
  expect(new Set(found.map(({ content }) => content[0]?.text)).size).toBe(found.length);
}

test('a worker that is killed is missed: another one reads the whole file', async () => {
  const doors = hold(3);
  const stage = await begun();
  const { service, copies } = stage;
  await doors.reached(3);
  await service.startWorker();
  await service.killWorker(0);
  expect(await fileOf(stage)).toMatchObject({ status: 'in_progress' });
  expect(copies()).toHaveLength(1);
  await expectRead(stage);
  // The copy that it worked on goes when a worker starts in its place.
  await service.startWorker();
  expect(copies()).toEqual([]);
});

test('a worker that stood still while another one began to read the file does not speak for it', async () => {
  const doors = hold(3, 5);
  const stage = await begun();
  const { service } = stage;
  await doors.reached(3);
  const [first] = service.living.filter(({ name }) => name === 'worker 0');
  first?.freeze();
  await service.startWorker();
  await doors.reached(5);
  first?.proceed();
  doors.open(3);
  await service.waitForLog((line) => line.process === 'worker 0' && line['file_id'] === stage.ref.fileId);
  expect(await fileOf(stage)).toMatchObject({ status: 'in_progress', last_error: null });
  doors.open(5);
  await expectRead(stage);
});

test('workers that are stopped one after the other give the file back, as often as that may be', async () => {
  const STOPS = 5;
  const doors = hold(...Array.from({ length: STOPS }, (_, stop) => stop + 1));
  const stage = await begun();
  const { service, copies } = stage;
  for (let stop = 0; stop < STOPS; stop += 1) {
    await doors.reached(stop + 1);
    const next = service.startWorker();
    await service.killWorker(stop, 'SIGTERM');
    await next;
    expect(copies().length).toBeLessThanOrEqual(1);
  }
  await expectRead(stage);
  expect(copies()).toEqual([]);
});
