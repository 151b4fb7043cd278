/** What tests of the index stand on: a store in Redis, a library in a file of its own, and files whose text a test says. */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { Superseded, type Library } from '../../src/library/library.ts';
import { openLibrary } from '../../src/library/open.ts';
import type { Embedder } from '../../src/runs/embedder.ts';
import type { FileObject } from '../../src/runs/file.ts';
import type { ShelvedFile } from '../../src/runs/shelf.ts';
import { AUTO_CHUNKING, type ChunkText } from '../../src/runs/vector-store.ts';
import { INDEX_JOBS, type IndexJob } from '../../src/store/index-jobs.ts';
import { LibraryNote } from '../../src/store/library-note.ts';
import { JobQueue } from '../../src/store/queue.ts';
import { Shelving } from '../../src/store/shelving.ts';
import { Indexer, type IndexerOptions } from '../../src/worker/indexer.ts';
import { openStore, PROJECT, silent, type Store } from '../store/fixture.ts';

export const STORE = { project: PROJECT, storeId: 'vs_1' } as const;

/** A queue that tells which jobs were added. */
class SeenQueue extends JobQueue<IndexJob> {
  readonly added: IndexJob[] = [];

  override async add(job: IndexJob): Promise<void> {
    this.added.push(job);
    await super.add(job);
  }
}

/** Vectors of two numbers, by a model of this name. */
export function embedderNamed(space: string): Embedder & { readonly asked: string[] } {
  const asked: string[] = [];
  return {
    space,
    asked,
    embed: async (texts) => {
      asked.push(...texts);
      return texts.map((text) => Float32Array.of(text.length, 1));
    },
  };
}

export class Scene {
  readonly store: Store;
  readonly queue: SeenQueue;
  readonly shelving: Shelving;
  readonly note: LibraryNote;
  /** The pieces of each file's text; what throws stands for a file that cannot be read. */
  readonly texts = new Map<string, () => AsyncIterable<readonly ChunkText[]>>();
  library: Library;
  readonly #folder: string;

  private constructor(store: Store, queue: SeenQueue, folder: string, library: Library) {
    const { redis, keys, nowMs, objects } = store;
    this.store = store;
    this.queue = queue;
    this.library = library;
    this.#folder = folder;
    this.note = new LibraryNote(redis, keys);
    this.shelving = new Shelving({
      stores: objects.vectorStores,
      storeFiles: objects.storeFiles,
      queue,
      redis,
      keys,
      now: () => Math.floor(nowMs() / 1_000),
    });
  }

  static async open(redisUrl: string): Promise<Scene> {
    const store = await openStore(redisUrl);
    const { redis, keys, nowMs } = store;
    const queue = new SeenQueue(INDEX_JOBS, { redis, keys, log: silent, nowMs });
    await queue.ready();
    const folder = mkdtempSync(join(tmpdir(), 'longrun-index-'));
    const library = await openLibrary(join(folder, 'library.sqlite'));
    const scene = new Scene(store, queue, folder, library);
    onTestFinished(async () => {
      await scene.library.close();
      rmSync(folder, { recursive: true, force: true });
    });
    await store.objects.vectorStores.create(PROJECT, {
      id: STORE.storeId,
      object: 'vector_store',
      created_at: 1_000,
      name: '',
      description: null,
      expires_after: null,
      metadata: {},
      last_active_at: 1_000,
    });
    return scene;
  }

  /** From now on there is another library, which has nothing. */
  async loseLibrary(): Promise<void> {
    await this.library.close();
    this.library = await openLibrary(join(this.#folder, `${randomUUID()}.sqlite`));
  }

  /** A file with this text that is put into the store, and its job. */
  async put(fileId: string, text: string): Promise<IndexJob> {
    const file: FileObject = {
      id: fileId,
      object: 'file',
      bytes: text.length,
      created_at: 1_000,
      expires_at: null,
      filename: `${fileId}.txt`,
      purpose: 'assistants',
      status: 'processed',
      status_details: null,
    };
    await this.store.objects.files.add(PROJECT, file, 0);
    this.texts.set(fileId, async function* () {
      yield [{ text }];
    });
    return this.shelve(fileId);
  }

  /** Puts a file that is there into the store, once more if it has it. @returns the job that was added */
  async shelve(fileId: string): Promise<IndexJob> {
    await this.shelving.put(STORE, [{ fileId, chunking: AUTO_CHUNKING, attributes: {} }]);
    return this.lastJob;
  }

  get lastJob(): IndexJob {
    const job = this.queue.added.at(-1);
    if (job === undefined) throw new Error('no job was added');
    return job;
  }

  indexer(more: Partial<IndexerOptions> = {}): Indexer {
    const { vectorStores, storeFiles, files } = this.store.objects;
    return new Indexer({
      storeFiles,
      storeExists: (job) => vectorStores.exists(job),
      file: (project, id) => files.get(project, id),
      chunks: (_project, { id }) => this.texts.get(id)?.() ?? nothing(),
      write: ({ project, storeId, fileId }, { attributes }, space) =>
        this.library.write({ project, storeId, fileId, attributes, space }),
      isOvertaken: (error) => error instanceof Superseded,
      remove: (job) => this.library.removeFile(job),
      takeOut: (job) => this.shelving.takeOut(job, job.stamp),
      onKept: async () => this.note.begin(await this.library.name()),
      tidy: () => this.library.tidy(),
      embedder: null,
      log: silent,
      ...more,
    });
  }

  file(fileId: string): Promise<ShelvedFile | null> {
    return this.store.objects.storeFiles.get({ ...STORE, fileId });
  }

  /** The texts that the library has of a file. */
  kept(fileId: string): Promise<readonly string[]> {
    return this.library.texts({ ...STORE, fileId }, 0, 100);
  }

  /** The files that are found by this text, or by this vector of a model. */
  async found(text: string, space: string | null = null): Promise<readonly string[]> {
    const found = await this.library.search({
      project: PROJECT,
      storeIds: [STORE.storeId],
      queries: [{ text, vector: space === null ? null : Float32Array.of(1, 1) }],
      space,
      filter: null,
      limit: 50,
      minScore: 0,
    });
    return [...new Set(found.map(({ fileId }) => fileId))].toSorted();
  }
}

async function* nothing(): AsyncGenerator<readonly ChunkText[], void> {}
