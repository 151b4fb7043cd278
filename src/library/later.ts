/** A library that is opened when it is first needed. Where that fails, the next call tries again. */
import type { FileAttributes } from '../runs/vector-store.ts';
import type {
  FileCard,
  FilePlace,
  FoundChunk,
  Library,
  LibrarySearch,
  LibraryWrite,
  OutsideFiles,
  StoreHolding,
  StorePlace,
} from './library.ts';

export class LaterLibrary implements Library {
  readonly #open: () => Promise<Library>;
  #library: Promise<Library> | null = null;

  constructor(open: () => Promise<Library>) {
    this.#open = open;
  }

  async write(card: FileCard): Promise<LibraryWrite> {
    return (await this.#opened()).write(card);
  }

  async setAttributes(place: FilePlace, attributes: FileAttributes): Promise<void> {
    await (await this.#opened()).setAttributes(place, attributes);
  }

  async removeFile(place: FilePlace): Promise<void> {
    await (await this.#opened()).removeFile(place);
  }

  async removeFileEverywhere(project: string, fileId: string): Promise<void> {
    await (await this.#opened()).removeFileEverywhere(project, fileId);
  }

  async removeStore(place: StorePlace): Promise<void> {
    await (await this.#opened()).removeStore(place);
  }

  async search(search: LibrarySearch): Promise<readonly FoundChunk[]> {
    return (await this.#opened()).search(search);
  }

  async texts(place: FilePlace, from: number, limit: number): Promise<readonly string[]> {
    return (await this.#opened()).texts(place, from, limit);
  }

  async holding(place: StorePlace): Promise<StoreHolding> {
    return (await this.#opened()).holding(place);
  }

  async fileIds(place: StorePlace, after: string, limit: number): Promise<readonly string[]> {
    return (await this.#opened()).fileIds(place, after, limit);
  }

  async outside(space: string, after: number, limit: number): Promise<OutsideFiles> {
    return (await this.#opened()).outside(space, after, limit);
  }

  async name(): Promise<string> {
    return (await this.#opened()).name();
  }

  async tidy(): Promise<void> {
    await (await this.#opened()).tidy();
  }

  async close(): Promise<void> {
    await (await this.#library)?.close();
  }

  async #opened(): Promise<Library> {
    this.#library ??= this.#open().catch((error: unknown) => {
      this.#library = null;
      throw error;
    });
    return this.#library;
  }
}
