/**
 * Reads files of vector stores into the library: text, chunks, vectors. A job names a try (the stamp of the file in the store),
 * and only that try may say what became of the file:
 *
 *   X1  a job that comes twice, or after the file was taken out, cancelled or begun anew, changes nothing
 *   X2  the library has all of a file's chunks or none; what it had before stays until the new ones are all there
 *   X3  a worker that dies leaves the file in progress: its job comes again, or the sweeper adds it
 *   X4  a file that ends its worker again and again is given up; workers that are stopped, or lose Redis, are not its doing
 *   X5  a file that is read once more, for vectors of another model, stays as it is until the new chunks are all there, and also where
 *       they cannot be made
 *   X6  a file that was deleted while it was put into a store is not there
 *   X7  a worker that lost the file to another one, because it stood still, says nothing of it
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
  /** Whether a write failed because the file was removed, or is being written by somebody who began later. */
  readonly isOvertaken: (error: unknown) => boolean;
  /** Removes what the library has of a file. */
  readonly remove: (job: IndexJob) => Promise<void>;
  /** Takes a file out of the store, if it is still in this try. */
  readonly takeOut: (job: IndexJob) => Promise<void>;
  /** Hears that the library has got a file, the first one from here. */
  readonly onKept: () => Promise<void>;
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
  #isKept = false;

  constructor(options: IndexerOptions) {
    this.#options = options;
  }

  /** Files under way are given back. */
  handOver(): void {
    this.#leaving.abort(new Error('this worker is being stopped'));
  }

  async work(job: IndexJob): Promise<JobOutcome> {
    const { storeFiles, storeExists, onKept, embedder, isOvertaken, log } = this.#options;
    const { signal } = this.#leaving;
    if (signal.aborted) return 'handed over';
    // What is left of a deleted store, the sweeper removes.
    if (!(await storeExists(job))) return 'done';
    // What is to be read once more for vectors of another model than this worker's is for another worker, or out of date.
    if (job.space !== undefined && job.space !== embedder?.space) return 'done';
    const begun = await storeFiles.change(job, (old) =>
      isOf(job, old) ? { ...old, tries: (old.tries ?? 0) + 1 } : undefined,
    );
    if (begun === null || !isOf(job, begun)) return 'done';
    try {
      if ((begun.tries ?? 0) > MAX_TRIES) throw new Unindexable(GIVEN_UP);
      const bytes = await this.#read(job, begun, signal);
      if (bytes !== null) {
        await this.#end(job, { status: 'completed', usage_bytes: bytes, last_error: null, tries: 0 });
        if (!this.#isKept) await onKept();
        this.#isKept = true;
      }
    } catch (error) {
      if (signal.aborted || isUnavailable(error)) {
        await this.#takeBack(job);
        if (signal.aborted) return 'handed over';
        // The sweeper adds the job again.
        throw error;
      }
      if (isOvertaken(error)) {
        log.info({ vector_store_id: job.storeId, file_id: job.fileId }, 'a file is left to another worker');
        return 'done';
      }
      await this.#failed(job, begun, error);
    }
    await this.#tidy();
    return 'done';
  }

  async #failed(job: IndexJob, begun: ShelvedFile, error: unknown): Promise<void> {
    const { takeOut, remove, log } = this.#options;
    if (error instanceof FileGone) {
      await takeOut(job);
      await remove(job);
      return;
    }
    const isFirst = job.space === undefined;
    const last_error = error instanceof Unindexable ? error.reason : FAILED;
    log[error instanceof Unindexable ? 'info' : 'error'](
      { err: error, vector_store_id: job.storeId, file_id: job.fileId },
      isFirst ? 'a file was not indexed' : 'a file could not be embedded anew',
    );
    if (isFirst) await this.#end(job, { status: 'failed', usage_bytes: 0, last_error });
    // X5, X4: only what ends a worker counts.
    else if (last_error !== GIVEN_UP) await this.#end(job, { tries: (begun.tries ?? 1) - 1 });
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
    if (file === null) throw new FileGone();
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
      // Its bytes are gone because it was deleted meanwhile.
      if (error instanceof Unindexable && (await find(job.project, job.fileId)) === null)
        throw new FileGone();
      throw error;
    }
  }

  /** X4: this was no try. Where that cannot be said, it counts as one. */
  async #takeBack(job: IndexJob): Promise<void> {
    const { storeFiles, log } = this.#options;
    await storeFiles
      .change(job, (old) =>
        isOf(job, old) ? { ...old, tries: Math.max(0, (old.tries ?? 0) - 1) } : undefined,
      )
      .catch((err: unknown) => log.debug({ err }, 'could not take back a try'));
  }

  /** X1 */
  async #end(
    job: IndexJob,
    end: Partial<Pick<ShelvedFile, 'status' | 'usage_bytes' | 'last_error' | 'tries'>>,
  ): Promise<void> {
    await this.#options.storeFiles.change(job, (old) => (isOf(job, old) ? { ...old, ...end } : undefined));
  }
}

/** X6 */
class FileGone extends Error {}

/** Whether the file is still in this try. */
function isOf({ stamp, space }: IndexJob, file: ShelvedFile | null): file is ShelvedFile {
  return file?.status === (space === undefined ? 'in_progress' : 'completed') && file.stamp === stamp;
}

const GIVEN_UP: IndexError = {
  code: 'server_error',
  message: 'Reading the file has ended its process several times; it was given up.',
};
const FAILED: IndexError = {
  code: 'server_error',
  message: 'The file could not be read. The operator of this server finds the reason in its log.',
};
