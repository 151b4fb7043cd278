/**
 * A library in a file of SQLite: nothing to set up, and several processes of one machine share it. Vectors are compared one
 * by one. Its threads start when they are first needed: API processes only read.
 */
import type { ChunkText, FileAttributes } from '../../runs/vector-store.ts';
import type {
  FileCard,
  FilePlace,
  FoundChunk,
  Holding,
  Library,
  LibrarySearch,
  LibraryWrite,
  OutsideFiles,
  StoreHolding,
  StorePlace,
} from '../library.ts';
import { joined, unit } from '../vectors.ts';
import { LibraryThread } from './thread-calls.ts';

export class SqliteLibrary implements Library {
  readonly #reader: LibraryThread;
  readonly #writer: LibraryThread;

  private constructor(path: string) {
    this.#reader = new LibraryThread({ path, role: 'reader' });
    this.#writer = new LibraryThread({ path, role: 'writer' });
  }

  /** @throws {CannotStart} where the file cannot be opened, or is no library of this version. */
  static async open(path: string): Promise<SqliteLibrary> {
    const library = new SqliteLibrary(path);
    await library.#reader.open();
    return library;
  }

  async write(card: FileCard): Promise<LibraryWrite> {
    const row = await this.#writer.call('begin', [card]);
    return new SqliteWrite(this.#writer, row);
  }

  async setAttributes(place: FilePlace, attributes: FileAttributes): Promise<void> {
    return this.#writer.call('setAttributes', [place, attributes]);
  }

  async removeFile(place: FilePlace): Promise<void> {
    return this.#writer.call('removeFile', [place]);
  }

  async removeFileEverywhere(project: string, fileId: string): Promise<void> {
    return this.#writer.call('removeFileEverywhere', [project, fileId]);
  }

  async removeStore(place: StorePlace): Promise<void> {
    return this.#writer.call('removeStore', [place]);
  }

  async search(search: LibrarySearch): Promise<readonly FoundChunk[]> {
    const queries = search.queries.map(({ text, vector }) => ({ text, vector: vector && unit(vector) }));
    return this.#reader.call('search', [{ ...search, queries }]);
  }

  async texts(place: FilePlace, from: number, limit: number): Promise<readonly string[]> {
    return this.#reader.call('texts', [place, from, limit]);
  }

  async holding(place: StorePlace): Promise<StoreHolding> {
    return this.#reader.call('holding', [place]);
  }

  async fileIds(place: StorePlace, after: string, limit: number): Promise<readonly string[]> {
    return this.#reader.call('fileIds', [place, after, limit]);
  }

  async outside(space: string, after: number, limit: number): Promise<OutsideFiles> {
    return this.#reader.call('outside', [space, after, limit]);
  }

  async name(): Promise<string> {
    return this.#reader.call('name', []);
  }

  async tidy(): Promise<void> {
    return this.#writer.call('tidy', []);
  }

  async close(): Promise<void> {
    await Promise.all([this.#reader.close(), this.#writer.close()]);
  }
}

class SqliteWrite implements LibraryWrite {
  readonly #writer: LibraryThread;
  readonly #row: number;

  constructor(writer: LibraryThread, row: number) {
    this.#writer = writer;
    this.#row = row;
  }

  async add(chunks: readonly ChunkText[], vectors: readonly Float32Array[] | null): Promise<void> {
    const numbers = vectors === null ? null : joined(vectors.map(unit), chunks.length);
    const moved = numbers === null ? [] : [numbers.buffer];
    return this.#writer.call('add', [this.#row, chunks, numbers], moved);
  }

  async commit(): Promise<Holding> {
    return this.#writer.call('commit', [this.#row]);
  }

  async abort(): Promise<void> {
    return this.#writer.call('abort', [this.#row]);
  }
}
