/** What every protocol does with vector stores: make one with its files, take files out, delete one. */
import { ApiError, echo } from '../errors.ts';
import type { Metadata } from '../runs/thread.ts';
import type { StoreExpiry, VectorStore } from '../runs/vector-store.ts';
import type { StoreRef } from '../store/keys.ts';
import type { ShelfEntry } from '../store/shelving.ts';
import type { ShelfRef } from '../store/store-files.ts';
import type { Means } from './means.ts';

/** A store that is to be made. */
export interface NewStore {
  readonly id: string;
  readonly name: string;
  readonly description: string | null;
  readonly expiresAfter: StoreExpiry | null;
  readonly metadata: Metadata;
  readonly entries: readonly ShelfEntry[];
}

type StoreMeans = Pick<Means, 'objects' | 'shelving' | 'shelf' | 'now'>;

/** Makes a store and begins to read its files, which must be there ({@link requireFiles}). */
export async function createStore(
  { objects, shelving, now }: StoreMeans,
  project: string,
  { id, name, description, expiresAfter, metadata, entries }: NewStore,
): Promise<VectorStore> {
  const at = now();
  const made = await objects.vectorStores.create(project, {
    id,
    object: 'vector_store',
    created_at: at,
    name,
    description,
    expires_after: expiresAfter,
    metadata,
    last_active_at: at,
  });
  if (entries.length === 0) return made;
  await shelving.put({ project, storeId: id }, entries);
  return (await objects.vectorStores.get(project, id)) ?? made;
}

/** Takes a file out of a store, first from what clients see: nothing is found of a file that no store has. */
export async function takeOut({ shelving, shelf }: StoreMeans, ref: ShelfRef): Promise<void> {
  await shelving.takeOut(ref);
  await shelf.removeFile(ref);
}

/** Takes a file that is deleted out of every store. */
export async function takeOutEverywhere(
  { shelving, shelf }: Pick<Means, 'shelving' | 'shelf'>,
  project: string,
  fileId: string,
): Promise<void> {
  if (await shelving.takeOutEverywhere(project, fileId)) await shelf.removeFileEverywhere(project, fileId);
}

/** Deletes a store with what it has of its files; the files themselves stay. */
export async function endStore({ objects, shelving, shelf }: StoreMeans, ref: StoreRef): Promise<void> {
  await objects.vectorStores.delete(ref.project, ref.storeId);
  await shelf.removeStore(ref);
  await shelving.wipe(ref);
}

/** @throws {ApiError} 400 when one of these is no file of the project. */
export async function requireFiles(
  { objects }: Pick<Means, 'objects'>,
  project: string,
  ids: readonly string[],
  param: string,
): Promise<void> {
  if (ids.length === 0) return;
  const known = await objects.files.known(project, ids);
  const missing = ids.find((id) => !known.has(id));
  if (missing !== undefined) throw noFile(missing, param);
}

export function noFile(missing: string, param: string): ApiError {
  const text = `No file found with id '${echo(missing)}'. Upload it to /v1/files first.`;
  return new ApiError(400, text, { param, code: 'file_not_found' });
}
