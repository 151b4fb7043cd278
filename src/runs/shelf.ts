/** Vector stores, their files and batches as they are stored, and how clients see them. Pure. */
import type {
  AttributeFilter,
  FileCounts,
  IndexStatus,
  VectorStore,
  VectorStoreBatch,
  VectorStoreFile,
} from './vector-store.ts';

/** A vector store as it is stored: what does not follow from its files and the time. */
export type StoredStore = Pick<
  VectorStore,
  'id' | 'object' | 'created_at' | 'name' | 'description' | 'expires_after' | 'metadata'
> & { readonly last_active_at: number };

/** A file in a store as it is stored. */
export type ShelvedFile = VectorStoreFile & {
  /** Names this try to index it: of two jobs for one file, only the later one may say what became of it. */
  readonly stamp: string;
  readonly batch_id: string | null;
  /** How often a worker has begun this try. */
  readonly tries?: number;
};

/** A batch as it is stored. */
export type BatchRecord = Pick<VectorStoreBatch, 'id' | 'object' | 'created_at'> & {
  readonly cancelled: boolean;
};

const DAY_S = 24 * 60 * 60;

/** When a store expires, in unix seconds; null for never. */
export function expiryOf({ expires_after, last_active_at }: StoredStore): number | null {
  return expires_after === null ? null : last_active_at + expires_after.days * DAY_S;
}

/** @param now unix seconds */
export function isExpired(store: StoredStore, now: number): boolean {
  return (expiryOf(store) ?? Infinity) <= now;
}

/** A store as clients see it. @param now unix seconds */
export function storeView(
  store: StoredStore,
  { files, bytes }: { readonly files: FileCounts; readonly bytes: number },
  now: number,
): VectorStore {
  const isRead = files.in_progress === 0;
  const live = isRead ? 'completed' : 'in_progress';
  const status = isExpired(store, now) ? 'expired' : live;
  return { ...store, usage_bytes: bytes, file_counts: files, status, expires_at: expiryOf(store) };
}

/** A file in a store as clients see it. */
export function fileView(file: ShelvedFile): VectorStoreFile {
  const { id, object, usage_bytes, created_at, vector_store_id, status } = file;
  const { last_error, chunking_strategy, attributes } = file;
  return {
    id,
    object,
    usage_bytes,
    created_at,
    vector_store_id,
    status,
    last_error,
    chunking_strategy,
    attributes,
  };
}

/** A batch as clients see it. One whose files all failed has failed. */
export function batchView(
  { id, object, created_at, cancelled }: BatchRecord,
  storeId: string,
  counts: FileCounts,
): VectorStoreBatch {
  return {
    id,
    object,
    created_at,
    vector_store_id: storeId,
    status: cancelled ? 'cancelled' : batchStatus(counts),
    file_counts: counts,
  };
}

function batchStatus({ in_progress, failed, total }: FileCounts): IndexStatus {
  if (in_progress > 0) return 'in_progress';
  return total > 0 && failed === total ? 'failed' : 'completed';
}

/** A search in vector stores of a project. */
export interface ShelfSearch {
  readonly project: string;
  readonly storeIds: readonly string[];
  /** All are asked at once. */
  readonly queries: readonly string[];
  readonly filter: AttributeFilter | null;
  readonly limit: number;
  /** From 0 to 1. */
  readonly minScore: number;
}
