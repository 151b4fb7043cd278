/**
 * What lies beside Redis because it is large and can be made again: the chunks of files in vector stores, with their words
 * and vectors. Redis holds the truth about stores and files; losing a library loses nothing but time. Adapters: SQLite for
 * one machine, PostgreSQL for several. Ids of projects, stores and files are any texts.
 */
import type { AttributeFilter, ChunkText, FileAttributes } from '../runs/vector-store.ts';

export interface StorePlace {
  readonly project: string;
  readonly storeId: string;
}

/** A file in a store. The same file may lie in several. */
export interface FilePlace extends StorePlace {
  readonly fileId: string;
}

/** What is to be known of a file before its chunks come. */
export interface FileCard extends FilePlace {
  readonly attributes: FileAttributes;
  /** The model and dimensions that make its vectors, as one name; null for chunks without vectors. */
  readonly space: string | null;
}

/** What a store or a file holds. */
export interface Holding {
  readonly chunks: number;
  /** Of texts and vectors. */
  readonly bytes: number;
}

export interface StoreHolding extends Holding {
  readonly files: number;
}

/** Files whose vectors are of another space, or that have none. */
export interface OutsideFiles {
  /** How many there are in all. */
  readonly total: number;
  /** Some of them, in the order of their rows. */
  readonly files: readonly (FilePlace & { readonly row: number })[];
}

export interface Library {
  /**
   * Begins to write a file's chunks. Until they are committed, searches find what the file had before. A file that is
   * already being written is written by the later one only.
   */
  write(card: FileCard): Promise<LibraryWrite>;

  /** Sets the attributes of a file; nothing happens where the store has no such file. */
  setAttributes(place: FilePlace, attributes: FileAttributes): Promise<void>;

  /** Removes a file from one store, and ends the writing of it. Removing what is not there is no error; so below. */
  removeFile(place: FilePlace): Promise<void>;
  /** Removes a file from all stores of a project. */
  removeFileEverywhere(project: string, fileId: string): Promise<void>;
  removeStore(place: StorePlace): Promise<void>;

  /** What is found, the best first. */
  search(search: LibrarySearch): Promise<readonly FoundChunk[]>;

  /** The texts of a file's chunks in order, at most `limit` of them, from the one numbered `from`. */
  texts(place: FilePlace, from: number, limit: number): Promise<readonly string[]>;

  /** What a store holds. */
  holding(place: StorePlace): Promise<StoreHolding>;

  /** The ids of the files that a store has, in order, at most `limit` of them, from the first one behind `after`. */
  fileIds(place: StorePlace, after: string, limit: number): Promise<readonly string[]>;

  /**
   * Files whose vectors are not of this space, in any store: those to embed anew when the setting has changed.
   * @param after the row of the last one that was seen; 0 to begin with
   */
  outside(space: string, after: number, limit: number): Promise<OutsideFiles>;

  /** What this library has been called since it was made; no other is called so. Who finds another name finds another library. */
  name(): Promise<string>;

  /** Removes what was left by writers that ended before they were done. To be called now and then, by anyone. */
  tidy(): Promise<void>;

  close(): Promise<void>;
}

/** One file on its way into a library. */
export interface LibraryWrite {
  /**
   * Adds chunks after those that were added before; some dozens at a time.
   * @param vectors one for each chunk, all of the same length; null for a card without a space
   * @throws {Superseded} when the file was removed meanwhile, or is being written by somebody who began later.
   */
  add(chunks: readonly ChunkText[], vectors: readonly Float32Array[] | null): Promise<void>;

  /**
   * Puts what was added in place of what the file had, all at once.
   * @throws {Superseded} as {@link add}
   */
  commit(): Promise<Holding>;

  /** Drops what was added. Does nothing after a commit. */
  abort(): Promise<void>;
}

/** The file that is being written was removed, or somebody else has begun to write it. */
export class Superseded extends Error {
  override readonly name = 'Superseded';
}

/** A search in one or more stores of a project. */
export interface LibrarySearch {
  readonly project: string;
  readonly storeIds: readonly string[];
  /** All are asked at once; a chunk counts by the one that it answers best. */
  readonly queries: readonly LibraryQuery[];
  /** The space of the queries' vectors; null for searches by words alone. */
  readonly space: string | null;
  readonly filter: AttributeFilter | null;
  /** At most this many are found. */
  readonly limit: number;
  /** From 0 to 1: what scores less is not found. */
  readonly minScore: number;
}

export interface LibraryQuery {
  readonly text: string;
  /** What it means in the space of the search; null to look for its words only. */
  readonly vector: Float32Array | null;
}

export interface FoundChunk {
  readonly storeId: string;
  readonly fileId: string;
  /** The number of the chunk in its file, from 0. */
  readonly position: number;
  readonly text: string;
  /** From 0 to 1. It says how early the chunk was found by words and by meaning, not how alike they are. */
  readonly score: number;
}
