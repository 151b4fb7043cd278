/** What was read of the files in vector stores, for whoever searches it. The composition root brings it in. */
import type { FileResult } from '../runs/calls/file-search.ts';
import type { ShelfSearch } from '../runs/shelf.ts';
import type { FileAttributes } from '../runs/vector-store.ts';
import type { StoreRef } from '../store/keys.ts';
import type { ShelfRef } from '../store/store-files.ts';

export interface Shelf {
  /** What is found, the best first. */
  search(search: ShelfSearch, signal: AbortSignal): Promise<readonly FileResult[]>;
  /** The texts of a file's chunks in order, at most `limit`, from the one numbered `from`. */
  texts(ref: ShelfRef, from: number, limit: number): Promise<readonly string[]>;
  setAttributes(ref: ShelfRef, attributes: FileAttributes): Promise<void>;
  removeFile(ref: ShelfRef): Promise<void>;
  /** Removes a file that is deleted from all stores of its project. */
  removeFileEverywhere(project: string, fileId: string): Promise<void>;
  removeStore(ref: StoreRef): Promise<void>;
}
