/** Documents as the owner of an index sees them: a file goes in, chunks of its text come out. Types only. */
import type { ChunkSizes, ChunkText, IndexError } from './vector-store.ts';

export interface DocumentFile {
  /** Where it lies, in a private folder of the caller; the chunks are written beside it, under a longer name. */
  readonly path: string;
  /** The name that the client gave it. It says what kind of file it is, and is repeated in errors. */
  readonly name: string;
}

export type DocumentOutcome =
  | {
      readonly type: 'read';
      readonly chunks: number;
      /** The chunks in order, some dozens at a time. To be read while the folder is there. */
      readonly groups: () => AsyncIterable<readonly ChunkText[]>;
    }
  | { readonly type: 'refused'; readonly error: IndexError };

/**
 * Reads the text of a document and cuts it into chunks, in a process that is ended when it takes too much memory or time.
 * @throws when it could not be tried: try again later. What is wrong with the document is an outcome.
 */
export type ReadDocument = (
  file: DocumentFile,
  sizes: ChunkSizes,
  signal: AbortSignal,
) => Promise<DocumentOutcome>;
