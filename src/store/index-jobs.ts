/**
 * Jobs of the index: "this file of this store is to be read", or "to be read once more, for vectors of this space". The file in the
 * store says whether that is still so.
 */
import { createHash } from 'node:crypto';
import type { JobKind } from './job-kind.ts';
import type { ShelfRef } from './store-files.ts';

export interface IndexJob extends ShelfRef {
  /** Of the file when the job was added; a job of an earlier try is too late. */
  readonly stamp: string;
  /** The space of the vectors that the file is to have, which was read before; by default it was not. */
  readonly space?: string;
}

export const INDEX_JOBS: JobKind<IndexJob> = {
  queue: 'index',
  name: 'index',
  idOf: ({ storeId, fileId, stamp, space }) =>
    `${storeId}-${fileId}-${stamp}${space === undefined ? '' : `-${digest(space)}`}`,
  fieldsOf: ({ storeId, fileId }) => ({ vector_store_id: storeId, file_id: fileId }),
};

/** Names of models have characters that ids of jobs may not have. */
const digest = (space: string): string => createHash('sha256').update(space).digest('hex').slice(0, 12);
