/** Rows of cold threads, as whoever freezes threads and whoever keeps rows sees them. Types only. */

/** Which thread a row is of. */
export interface ColdPlace {
  readonly project: string;
  readonly threadId: string;
}

/** A thread as it was when it was taken out of Redis. A row is never changed. */
export interface ColdRow extends ColdPlace {
  /** Random: a thread that is frozen again has another row, and Redis names the one that counts. */
  readonly version: string;
  /** Which Redis names it: several may keep their rows in one database. */
  readonly owner: string;
  /** Unix milliseconds. */
  readonly madeMs: number;
  /** The thread's own document, for lists. */
  readonly document: string;
  /** All of the thread, compressed. */
  readonly body: Uint8Array;
}

/** Where cold threads lie. Unlike the chunks of files, nothing here can be made again. */
export interface ColdRows {
  /** Keeps rows, all of them or none. What is kept is on disk. Rows that are there already stay as they are. */
  keep(rows: readonly ColdRow[]): Promise<void>;
  /** A row without its body; null where there is none. */
  card(version: string): Promise<(ColdPlace & { readonly document: string }) | null>;
  /** A row; null where there is none. */
  fetch(version: string): Promise<(ColdPlace & { readonly body: Uint8Array }) | null>;
  /** Removes rows. Removing what is not there is no error. */
  drop(versions: readonly string[]): Promise<void>;
  /** The rows of an owner that were made before `untilMs`, in the order of their versions, from the one after `after` on. */
  walk(owner: string, after: string, untilMs: number, limit: number): Promise<readonly ColdName[]>;
  close(): Promise<void>;
}

/** What a row is called, and which thread it is of. */
export type ColdName = Pick<ColdRow, 'version' | 'project' | 'threadId'>;
