/**
 * Looks after the library, which may lag behind Redis: has files read again that a lost library had, and those embedded anew whose
 * vectors are of another model than the one that is set. Done by the one worker that sweeps, beside the sweep, which waits for none of
 * it. Each step may be done twice.
 */
import type { Logger } from '../log.ts';
import { isUnavailable } from '../store/away.ts';
import type { StoreRef } from '../store/keys.ts';
import type { LibraryNote } from '../store/library-note.ts';
import type { Shelving } from '../store/shelving.ts';
import type { ShelfRef, StoreFiles } from '../store/store-files.ts';
import type { VectorStores } from '../store/vector-stores.ts';
import { Care } from './care.ts';

/** What is asked of a library (library/library.ts). */
interface CaredLibrary {
  name(): Promise<string>;
  fileIds(place: StoreRef, after: string, limit: number): Promise<readonly string[]>;
  outside(
    space: string,
    after: number,
    limit: number,
  ): Promise<{ readonly total: number; readonly files: readonly (ShelfRef & { readonly row: number })[] }>;
}

export interface LibraryCareOptions {
  readonly library: CaredLibrary;
  readonly note: LibraryNote;
  readonly stores: VectorStores;
  readonly storeFiles: StoreFiles;
  readonly shelving: Shelving;
  /** The space of the model of embeddings; null where none is set. */
  readonly space: string | null;
  /** How many index jobs wait. */
  readonly waiting: () => Promise<number>;
  readonly nowMs: () => number;
  readonly log: Logger;
}

const LOOK_EVERY_MS = 5_000;
/** Nothing is to be done. */
const REST_MS = 60_000;
/** Rounds that change nothing come ever more seldom: the model server may be down. */
const MAX_ROUND_MS = 10 * 60_000;
/** Files that wait to be embedded anew at a time: new files come behind no more than these. */
const BATCH = 16;
const IDS_PAGE = 1_000;
const FILES_PAGE = 100;

export class LibraryCare extends Care {
  readonly #options: LibraryCareOptions;
  #nextMs = -Infinity;
  /** The last row that was looked at in this round over the files to be embedded anew. */
  #row = 0;
  /** How many of them there were at the end of the last round; 0 where there were none. */
  #before = 0;
  #roundMs = LOOK_EVERY_MS;
  #isTold = false;

  constructor(options: LibraryCareOptions) {
    super();
    this.#options = options;
  }

  /** As for others, if it is time. */
  override begin(): void {
    if (this.#options.nowMs() >= this.#nextMs) super.begin();
  }

  protected async care(): Promise<void> {
    const { note, log } = this.#options;
    try {
      const known = await note.name();
      // A library that nobody uses is not opened for this.
      if (known !== null) {
        await this.#findLost(known);
        await this.#embedAnew();
      } else this.#rest(REST_MS);
    } catch (err) {
      this.#rest(REST_MS);
      log[isUnavailable(err) ? 'debug' : 'error']({ err }, 'could not look after the library');
    }
  }

  #rest(restMs: number): void {
    this.#nextMs = this.#options.nowMs() + restMs;
  }

  /** The library has another name: it lacks what the one before had, but for what was read since. */
  async #findLost(known: string): Promise<void> {
    const { library, note, shelving, log } = this.#options;
    const name = await library.name();
    if (name === known) return;
    log.warn('the library is another one than before; what it lacks is read again');
    let files = 0;
    for await (const ref of shelving.filled()) {
      if (this.isStopped) return;
      files += await this.#restartLost(ref);
    }
    await note.replace(name);
    await note.countLost(files);
    log.warn({ files }, 'files of vector stores were missing in the library, and are read again');
  }

  /** @returns how many files of the store are read again */
  async #restartLost(ref: StoreRef): Promise<number> {
    const { stores, storeFiles, shelving } = this.#options;
    const store = await stores.get(ref.project, ref.storeId);
    if (store === null || store.status === 'expired' || store.file_counts.completed === 0) return 0;
    const there = await this.#idsIn(ref);
    let count = 0;
    for (let after: string | null = null; !this.isStopped;) {
      const query = { limit: FILES_PAGE, order: 'asc', after, before: null } as const;
      const page = await storeFiles.list(ref, null, query, 'completed');
      const files = page.type === 'page' ? page.items : [];
      for (const file of files) if (!there.has(file.id) && (await shelving.restart(ref, file))) count += 1;
      after = files.at(-1)?.id ?? null;
      if (after === null || page.type !== 'page' || !page.hasMore) break;
    }
    return count;
  }

  async #idsIn(ref: StoreRef): Promise<ReadonlySet<string>> {
    const ids = new Set<string>();
    for (let after = ''; ;) {
      const some = await this.#options.library.fileIds(ref, after, IDS_PAGE);
      for (const id of some) ids.add(id);
      const last = some.at(-1);
      if (last === undefined || some.length < IDS_PAGE) return ids;
      after = last;
    }
  }

  /** Adds some jobs, if those of last time are done. A file that fails keeps what it has, and comes again in a later round. */
  async #embedAnew(): Promise<void> {
    const { library, note, space, waiting, log } = this.#options;
    if (space === null) {
      await note.tellOutside(null);
      return this.#rest(REST_MS);
    }
    this.#rest(LOOK_EVERY_MS);
    if ((await waiting()) >= BATCH) return;
    const { total, files } = await library.outside(space, this.#row, BATCH);
    await note.tellOutside(total);
    if (total > 0 && !this.#isTold)
      log.info({ files: total, space }, 'files are embedded anew; until then they are found by their words');
    if (total === 0 && this.#isTold) log.info({ space }, 'all files are embedded');
    this.#isTold = total > 0;
    for (const file of files) await this.#addJob(file, space);
    this.#row = files.at(-1)?.row ?? 0;
    if (files.length < BATCH) this.#endRound(total);
  }

  #endRound(total: number): void {
    const hasProgress = total < this.#before || this.#before === 0;
    this.#roundMs = hasProgress ? LOOK_EVERY_MS : Math.min(2 * this.#roundMs, MAX_ROUND_MS);
    this.#rest(total === 0 ? REST_MS : this.#roundMs);
    this.#before = total;
    this.#row = 0;
  }

  async #addJob(file: ShelfRef, space: string): Promise<void> {
    const { storeFiles, shelving } = this.#options;
    const shelved = await storeFiles.get(file);
    if (shelved?.status === 'completed') await shelving.addJob(file, shelved, space);
  }
}
