/** Brings a file to the reader of documents, and its chunks back: the reader works on a copy in a private folder. */
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { ReadDocument } from '../runs/document.ts';
import type { FileObject } from '../runs/file.ts';
import type { ChunkSizes, ChunkText, IndexError } from '../runs/vector-store.ts';
import { Unindexable } from './indexer.ts';
import { ownFolder } from './own-folders.ts';

const BYTES_GONE: IndexError = {
  code: 'invalid_file',
  message:
    'What was kept of the file is not there any more, so it cannot be read. Delete it and upload it again.',
};

export interface DocumentSource {
  /** The bytes of a file; null where there are none. */
  readonly bytes: (project: string, id: string) => Promise<AsyncIterable<Uint8Array> | null>;
  readonly read: ReadDocument;
}

/**
 * The chunks of a file's text, some dozens at a time.
 * @throws {Unindexable} for a file whose text cannot be read
 */
export async function* documentChunks(
  { bytes, read }: DocumentSource,
  project: string,
  { id, filename: name }: FileObject,
  sizes: ChunkSizes,
  signal: AbortSignal,
): AsyncGenerator<readonly ChunkText[], void> {
  const folder = await ownFolder('document');
  try {
    const chunks = await bytes(project, id);
    if (chunks === null) throw new Unindexable(BYTES_GONE);
    const path = join(folder, 'document');
    await pipeline(chunks, createWriteStream(path, { mode: 0o600 }), { signal });
    const outcome = await read({ path, name }, sizes, signal);
    if (outcome.type === 'refused') throw new Unindexable(outcome.error);
    yield* outcome.groups();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
