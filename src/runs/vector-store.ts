/**
 * Vector stores, the files in them and batches of those, as they are on the wire; and what may be asked of their contents.
 * Pure types and rules.
 */
import type { Metadata } from './thread.ts';

export interface VectorStore {
  readonly id: string;
  readonly object: 'vector_store';
  readonly created_at: number;
  /** Empty where nobody has named it: SDKs read a string. */
  readonly name: string;
  readonly description?: string | null;
  /** What its chunks and their vectors hold. */
  readonly usage_bytes: number;
  readonly file_counts: FileCounts;
  readonly status: VectorStoreStatus;
  readonly expires_after: StoreExpiry | null;
  readonly expires_at: number | null;
  readonly last_active_at: number | null;
  readonly metadata: Metadata | null;
}

/** `in_progress` while any of its files is. */
export type VectorStoreStatus = 'expired' | 'in_progress' | 'completed';

/** `days`: 1 to 365. */
export interface StoreExpiry {
  readonly anchor: 'last_active_at';
  readonly days: number;
}

export interface FileCounts {
  readonly in_progress: number;
  readonly completed: number;
  readonly failed: number;
  readonly cancelled: number;
  readonly total: number;
}

/** Of a file in a store, and of a batch. */
export type IndexStatus = 'in_progress' | 'completed' | 'cancelled' | 'failed';

/** Why a file is not in the index. */
export interface IndexError {
  readonly code: IndexErrorCode;
  readonly message: string;
}

/** `invalid_file`: it is damaged or too large; `unsupported_file`: no text can be read from files of its kind. */
export type IndexErrorCode = 'server_error' | 'unsupported_file' | 'invalid_file';

export interface VectorStoreFile {
  /** The id of the file. */
  readonly id: string;
  readonly object: 'vector_store.file';
  /** 0 until it is in the index. */
  readonly usage_bytes: number;
  readonly created_at: number;
  readonly vector_store_id: string;
  readonly status: IndexStatus;
  readonly last_error: IndexError | null;
  readonly chunking_strategy: StaticChunking;
  readonly attributes: FileAttributes;
}

export interface VectorStoreBatch {
  readonly id: string;
  /** The hosted API wrote `vector_store.file_batch`, and all SDKs read this. */
  readonly object: 'vector_store.files_batch';
  readonly created_at: number;
  readonly vector_store_id: string;
  readonly status: IndexStatus;
  readonly file_counts: FileCounts;
}

/** How a file is cut into chunks. */
export interface StaticChunking {
  readonly type: 'static';
  readonly static: ChunkSizes;
}

export interface ChunkSizes {
  /** 100 to 4096. */
  readonly max_chunk_size_tokens: number;
  /** At most half of the size. */
  readonly chunk_overlap_tokens: number;
}

/** What `auto` means. */
export const AUTO_CHUNKING: StaticChunking = {
  type: 'static',
  static: { max_chunk_size_tokens: 800, chunk_overlap_tokens: 400 },
};

/** What a client notes about a file in a store; at most 16, with keys of up to 64 characters and texts of up to 512. */
export type FileAttributes = Readonly<Record<string, AttributeValue>>;
export type AttributeValue = string | number | boolean;

/** Which files a search looks into, by their attributes. */
export type AttributeFilter = AttributeComparison | CompoundFilter;

/**
 * One attribute compared with a value of the same type. A file that has no such attribute, or one of another type, is
 * neither equal, nor greater, nor less: it matches `ne` and `nin` only.
 */
export type AttributeComparison =
  | { readonly type: 'eq' | 'ne'; readonly key: string; readonly value: AttributeValue }
  | { readonly type: 'gt' | 'gte' | 'lt' | 'lte'; readonly key: string; readonly value: string | number }
  | { readonly type: 'in' | 'nin'; readonly key: string; readonly value: readonly AttributeValue[] };

export interface CompoundFilter {
  readonly type: 'and' | 'or';
  readonly filters: readonly AttributeFilter[];
}

/** A piece of a file's text, as it is found and shown. */
export interface ChunkText {
  readonly text: string;
  /** Its words divided by spaces, for the index; missing where the text's own spaces divide them. */
  readonly words?: string;
}

/** Filters of more are refused: each comparison is work for every file. */
const MAX_FILTER_DEPTH = 8;
const MAX_COMPARISONS = 100;
const MAX_COMPARED_VALUES = 1_000;

/** Why a filter is too large; null if it is not. What else may be wrong with it is not looked at, so it is bounded first. */
export function filterProblem(filter: unknown): string | null {
  let parts = 0;
  let values = 0;
  let level: readonly unknown[] = [filter];
  for (let depth = 1; level.length > 0; depth += 1) {
    if (depth > MAX_FILTER_DEPTH) return `Filters may be nested at most ${MAX_FILTER_DEPTH} levels deep.`;
    parts += level.length;
    if (parts > MAX_COMPARISONS)
      return `A filter may have at most ${MAX_COMPARISONS} comparisons, groups of them included.`;
    values += level.reduce<number>((sum, one) => sum + listIn(one, 'value', 1).length, 0);
    if (values > MAX_COMPARED_VALUES)
      return `A filter may compare with at most ${MAX_COMPARED_VALUES} values in all.`;
    level = level.flatMap((one) => listIn(one, 'filters', 0));
  }
  return null;
}

/** A list in a part of a filter; of something else there is so much. */
function listIn(part: unknown, name: string, otherwise: 0 | 1): readonly unknown[] {
  const value: unknown = typeof part === 'object' && part !== null ? Reflect.get(part, name) : undefined;
  return Array.isArray(value) ? value : Array.from({ length: otherwise });
}
