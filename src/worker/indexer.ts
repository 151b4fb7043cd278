/**
 * Reads files of vector stores into the library: text, chunks, vectors. A job names a try (the stamp of the file in the store),
 * and only that try may say what became of the file:
 *
 *   X1  a job that comes twice, or after the file was taken out, cancelled or begun anew, changes nothing
 *   X2  the library has all of a file's chunks or none; what it had before stays until the new ones are all there
 *   X3  a worker that dies leaves the file in progress: its job comes again, or the sweeper adds it
 *   X4  a file that ends its worker again and again is given up
 */
import type { Logger } from '../log.ts';
import type { Embedder } from '../runs/embedder.ts';
import type { FileObject } from '../runs/file.ts';
import type { ShelvedFile } from '../runs/shelf.ts';
import type { ChunkSizes, ChunkText, IndexError } from '../runs/vector-store.ts';
import { isUnavailable } from '../store/away.ts';
import type { IndexJob } from '../store/index-jobs.ts';
import type { JobOutcome } from '../store/queue.ts';
import type { StoreFiles } from '../store/store-files.ts';

/** Why no text could be read of a file. */
export class Unindexable extends Error {
  readonly reason: IndexError;

  constructor(reason: IndexError) {
    super(reason.message);
    this.name = 'Unindexable';
    this.reason = reason;
  }
}

/** A file on its way into the library (library/library.ts). */
interface Writing {
  add(chunks: readonly ChunkText[], vectors: readonly Float32Array[] | null): Promise<void>;
  commit(): Promise<{ readonly bytes: number }>;
  abort(): Promise<void>;
}

export interface IndexerOptions {
  readonly storeFiles: StoreFiles;
  /** Whether the store is still there. */
  readonly storeExists: (job: IndexJob) => Promise<boolean>;
  readonly file: (project: string, id: string) => Promise<FileObject | null>;
  /**
   * The chunks of a file, some at a time.
   * @throws {Unindexable} for files without readable text
   */
  readonly chunks: (
    project: string,
    file: FileObject,
    sizes: ChunkSizes,
    signal: AbortSignal,
  ) => AsyncIterable<readonly ChunkText[]>;
  readonly write: (job: IndexJob, shelved: ShelvedFile, space: string | null) => Promise<Writing>;
  /** Removes what the library has of a file. */
  readonly remove: (job: IndexJob) => Promise<void>;
  /** Removes what writers have left that died. */
  readonly tidy: () => Promise<void>;
  /** Null where files are found by their words alone. */
  readonly embedder: Embedder | null;
  readonly log: Logger;
}

/** Chunks that are embedded and written together. */
const GROUP = 64;
/** X4 */
const MAX_TRIES = 4;
const TIDY_EVERY_MS = 60 * 60 * 1000;

export class Indexer {
  readonly #options: IndexerOptions;
  readonly #leaving = new AbortController();
  #tidiedMs = -Infinity;

  constructor(options: IndexerOptions) {
    this.#options = options;
  }

  /** Files under way are given back. */
  handOver(): void {
    this.#leaving.abort(new Error('this worker is being stopped'));
  }

  async work(job: IndexJob): Promise<JobOutcome> {
    const { storeFiles, storeExists, log } = this.#options;
    const { signal } = this.#leaving;
    if (signal.aborted) return 'handed over';
    // What is left of a deleted store, the sweeper removes.
    if (!(await storeExists(job))) return 'done';
    const begun = await storeFiles.change(job, (old) =>
      isOf(job, old) ? { ...old, tries: (old.tries ?? 0) + 1 } : undefined,
    );
    if (begun === null || !isOf(job, begun)) return 'done';
    const fields = { vector_store_id: job.storeId, file_id: job.fileId };
    try {
      if ((begun.tries ?? 0) > MAX_TRIES) throw new Unindexable(GIVEN_UP);
      const bytes = await this.#read(job, begun, signal);
      if (bytes !== null) await this.#end(job, { status: 'completed', usage_bytes: bytes, last_error: null });
    } catch (error) {
      if (signal.aborted) return 'handed over';
      // The sweeper adds the job again.
      if (isUnavailable(error)) throw error;
      const last_error = error instanceof Unindexable ? error.reason : FAILED;
      log[error instanceof Unindexable ? 'info' : 'error'](
        { err: error, ...fields },
        'a file was not indexed',
      );
      await this.#end(job, { status: 'failed', usage_bytes: 0, last_error });
    }
    await this.#tidy();
    return 'done';
  }

  /** Now and then, where files are read: a library that nobody uses is not opened for it. */
  async #tidy(): Promise<void> {
    if (performance.now() - this.#tidiedMs < TIDY_EVERY_MS) return;
    this.#tidiedMs = performance.now();
    const { tidy, log } = this.#options;
    await tidy().catch((err: unknown) => log.warn({ err }, 'could not tidy the library'));
  }

  /** @returns the bytes of its chunks; null where another try, or nobody, wants them */
  async #read(job: IndexJob, shelved: ShelvedFile, signal: AbortSignal): Promise<number | null> {
    const { file: find, chunks, write, embedder, storeFiles, storeExists, remove } = this.#options;
    const file = await find(job.project, job.fileId);
    if (file === null) throw new Unindexable({ code: 'invalid_file', message: 'The file was deleted.' });
    const writing = await write(job, shelved, embedder?.space ?? null);
    try {
      for await (const some of chunks(job.project, file, shelved.chunking_strategy.static, signal)) {
        for (let at = 0; at < some.length; at += GROUP) {
          if (!isOf(job, await storeFiles.get(job))) {
            await writing.abort();
            return null;
          }
          const group = some.slice(at, at + GROUP);
          const texts = group.map(({ text }) => text);
          await writing.add(group, embedder === null ? null : await embedder.embed(texts, signal));
        }
      }
      const { bytes } = await writing.commit();
      // Taken out between the last look and now: who took it out may have come before us.
      if ((await storeFiles.get(job)) === null || !(await storeExists(job))) await remove(job);
      return bytes;
    } catch (error) {
      await writing.abort().catch(() => {
        // The library removes what is left of it (Library.tidy).
      });
      throw error;
    }
  }

  /** X1 */
  async #end(job: IndexJob, end: Pick<ShelvedFile, 'status' | 'usage_bytes' | 'last_error'>): Promise<void> {
    await this.#options.storeFiles.change(job, (old) => (isOf(job, old) ? { ...old, ...end } : undefined));
  }
}

/** Whether the file is still in this try. */
function isOf({ stamp }: IndexJob, file: ShelvedFile | null): file is ShelvedFile {
  return file?.status === 'in_progress' && file.stamp === stamp;
}

const GIVEN_UP: IndexError = {
  code: 'server_error',
  message: 'Reading the file has ended its process several times; it was given up.',
};
const FAILED: IndexError = {
  code: 'server_error',
  message: 'The file could not be read. The operator of this server finds the reason in its log.',
};
