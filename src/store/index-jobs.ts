/** Jobs of the index: "this file of this store is to be read". The file in the store says whether that is still so. */
import type { JobKind } from './job-kind.ts';
import type { ShelfRef } from './store-files.ts';

export interface IndexJob extends ShelfRef {
  /** Of the file when the job was added; a job of an earlier try is too late. */
  readonly stamp: string;
}

export const INDEX_JOBS: JobKind<IndexJob> = {
  queue: 'index',
  name: 'index',
  idOf: ({ storeId, fileId, stamp }) => `${storeId}-${fileId}-${stamp}`,
  fieldsOf: ({ storeId, fileId }) => ({ vector_store_id: storeId, file_id: fileId }),
};
