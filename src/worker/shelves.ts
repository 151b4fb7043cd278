/**
 * Looks after vector stores that are due: adds the jobs of files that wait for long, empties what has expired, and removes what
 * deleted stores have left. Done by the one worker that sweeps.
 */
import type { Logger } from '../log.ts';
import type { StoreRef } from '../store/keys.ts';
import type { Shelving } from '../store/shelving.ts';
import type { StoreFiles } from '../store/store-files.ts';
import type { VectorStores } from '../store/vector-stores.ts';

export interface ShelvesOptions {
  readonly stores: VectorStores;
  readonly storeFiles: StoreFiles;
  readonly shelving: Shelving;
  /** Removes from the library all that a store has there. */
  readonly emptied: (ref: StoreRef) => Promise<void>;
  readonly nowMs: () => number;
  readonly log: Logger;
}

const BATCH = 20;
const LOOK_AGAIN_MS = 30_000;
const PAGE = { limit: 100, order: 'asc', before: null } as const;

/** One sweep. */
export async function lookAfterShelves(options: ShelvesOptions): Promise<void> {
  for (const ref of await options.stores.due(BATCH)) {
    try {
      await lookAfterOne(options, ref);
    } catch (err) {
      // One store that cannot be looked after must not stop the others.
      options.log.warn({ err, vector_store_id: ref.storeId }, 'could not look after a vector store');
      await options.stores.lookAt(ref, options.nowMs() + LOOK_AGAIN_MS);
    }
  }
}

async function lookAfterOne(
  { stores, storeFiles, shelving, emptied, nowMs }: ShelvesOptions,
  ref: StoreRef,
): Promise<void> {
  const store = await stores.get(ref.project, ref.storeId);
  if (store === null) {
    await emptied(ref);
    // Forgotten once nothing is left: files that were on their way may have come since the last look.
    await ((await shelving.wipe(ref)) ? stores.lookAt(ref, nowMs() + LOOK_AGAIN_MS) : stores.forget(ref));
    return;
  }
  if (store.status === 'expired') {
    await emptied(ref);
    await stores.forget(ref);
    return;
  }
  for (let after: string | null = null; ;) {
    const waiting = await storeFiles.list(ref, null, { ...PAGE, after }, 'in_progress');
    const files = waiting.type === 'page' ? waiting.items : [];
    for (const file of files) await shelving.addJob({ ...ref, fileId: file.id }, file);
    after = files.at(-1)?.id ?? null;
    if (after === null || waiting.type !== 'page' || !waiting.hasMore) break;
  }
  if (store.file_counts.in_progress > 0) await stores.lookAt(ref, nowMs() + LOOK_AGAIN_MS);
  else if (store.expires_at !== null) await stores.lookAt(ref, store.expires_at * 1_000);
  else await stores.forget(ref);
}
