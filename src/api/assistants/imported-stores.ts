/** Reads vector stores, and the files in them, as the hosted API listed them. */
import { z } from 'zod';
import type { StoredStore } from '../../runs/shelf.ts';
import { AUTO_CHUNKING } from '../../runs/vector-store.ts';
import type { ShelfEntry } from '../../store/shelving.ts';
import { attributes } from '../http/attributes.ts';
import { chunking } from '../http/chunking.ts';
import { id, metadata, read, safeId, seconds, type Read } from './imported-read.ts';

const storeSchema = z
  .looseObject({
    id: id('vs_'),
    created_at: seconds,
    name: z.string().max(256).nullish(),
    description: z.string().max(512).nullish(),
    status: z.string().nullish(),
    expires_after: z
      .looseObject({ anchor: z.literal('last_active_at'), days: z.int().min(1).max(365) })
      .nullish(),
    metadata,
  })
  .refine(({ status }) => status !== 'expired', {
    path: ['status'],
    message: "is 'expired': nothing was left in it",
  });

const storeFileSchema = z
  .looseObject({
    id: safeId,
    created_at: seconds,
    vector_store_id: id('vs_'),
    status: z.string().nullish(),
    chunking_strategy: z.unknown().optional(),
    attributes,
  })
  .refine(({ status }) => status !== 'cancelled', {
    path: ['status'],
    message: "is 'cancelled': it was never read",
  });

/** A store without files, last used now: else one that expires some days after its last use would be gone at once. */
export function readStore(value: unknown, now: number): Read<StoredStore> {
  return read(storeSchema, value, (given) => ({
    id: given.id,
    object: 'vector_store',
    created_at: given.created_at,
    name: given.name ?? '',
    description: given.description ?? null,
    expires_after:
      given.expires_after == null
        ? null
        : { anchor: given.expires_after.anchor, days: given.expires_after.days },
    metadata: given.metadata,
    last_active_at: now,
  }));
}

/** A file that is to be put into a store. */
export interface ImportedEntry extends ShelfEntry {
  readonly id: string;
  readonly storeId: string;
  readonly created_at: number;
}

/** A file of a store. One of the old, unknown kind of chunks ('other') is cut as usual. */
export function readStoreFile(value: unknown): Read<ImportedEntry> {
  return read(storeFileSchema, value, (given) => ({
    id: `${given.id} in ${given.vector_store_id}`,
    fileId: given.id,
    storeId: given.vector_store_id,
    created_at: given.created_at,
    createdAt: given.created_at,
    chunking: chunking.safeParse(given.chunking_strategy).data ?? AUTO_CHUNKING,
    attributes: given.attributes,
  }));
}
