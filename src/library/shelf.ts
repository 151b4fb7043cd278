/**
 * Searches a library in the words of clients: makes vectors of the queries where there is a model for that, and puts names to
 * what is found.
 */
import type { Logger } from '../log.ts';
import type { FileResult } from '../runs/calls/file-search.ts';
import type { Embedder } from '../runs/embedder.ts';
import type { ShelfSearch } from '../runs/shelf.ts';
import type { FileAttributes } from '../runs/vector-store.ts';
import type { FilePlace, FoundChunk, Library, StorePlace } from './library.ts';

export interface ShelfOptions {
  readonly library: Library;
  /** Null where files are found by their words alone. */
  readonly embedder: Embedder | null;
  /** What a file is called and what was noted about it; null for one that is gone. */
  readonly describe: (place: FilePlace) => Promise<FileDescription | null>;
  readonly log: Logger;
}

export interface FileDescription {
  readonly name: string;
  readonly attributes: FileAttributes;
}

export class LibraryShelf {
  readonly #options: ShelfOptions;

  constructor(options: ShelfOptions) {
    this.#options = options;
  }

  /** What is found, the best first. Where the model server cannot make vectors, files are found by their words. */
  async search(
    { project, storeIds, queries, filter, limit, minScore }: ShelfSearch,
    signal: AbortSignal,
  ): Promise<readonly FileResult[]> {
    if (storeIds.length === 0) return [];
    const { library, embedder } = this.#options;
    const vectors = await this.#vectors(queries, signal);
    const found = await library.search({
      project,
      storeIds,
      queries: queries.map((text, index) => ({ text, vector: vectors?.[index] ?? null })),
      space: vectors === null ? null : (embedder?.space ?? null),
      filter,
      limit,
      minScore,
    });
    return this.#named(project, found);
  }

  async texts(place: FilePlace, from: number, limit: number): Promise<readonly string[]> {
    return this.#options.library.texts(place, from, limit);
  }

  async setAttributes(place: FilePlace, attributes: FileAttributes): Promise<void> {
    await this.#options.library.setAttributes(place, attributes);
  }

  async removeFile(place: FilePlace): Promise<void> {
    await this.#options.library.removeFile(place);
  }

  async removeFileEverywhere(project: string, fileId: string): Promise<void> {
    await this.#options.library.removeFileEverywhere(project, fileId);
  }

  async removeStore(place: StorePlace): Promise<void> {
    await this.#options.library.removeStore(place);
  }

  async #vectors(queries: readonly string[], signal: AbortSignal): Promise<readonly Float32Array[] | null> {
    const { embedder, log } = this.#options;
    if (embedder === null) return null;
    try {
      return await embedder.embed(queries, signal);
    } catch (err) {
      signal.throwIfAborted();
      log.warn({ err }, 'could not make vectors of queries; searching by words');
      return null;
    }
  }

  async #named(project: string, found: readonly FoundChunk[]): Promise<readonly FileResult[]> {
    const names = new Map<string, Promise<FileDescription | null>>();
    const describe = async ({ storeId, fileId }: FoundChunk): Promise<FileDescription | null> => {
      const key = `${storeId}/${fileId}`;
      const name = names.get(key) ?? this.#options.describe({ project, storeId, fileId });
      names.set(key, name);
      return name;
    };
    const results = await Promise.all(
      found.map(async (chunk): Promise<FileResult | null> => {
        const file = await describe(chunk);
        // It was taken out a moment ago.
        if (file === null) return null;
        return {
          file_id: chunk.fileId,
          file_name: file.name,
          score: chunk.score,
          attributes: file.attributes,
          content: [{ type: 'text', text: chunk.text }],
        };
      }),
    );
    return results.filter((result) => result !== null);
  }
}
