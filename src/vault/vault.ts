/**
 * The place of files' bytes, beside Redis: one interface, two adapters (folder.ts, s3.ts). A key is `project/id`, both made by this
 * service; what a client calls its file is never part of one. Whoever puts bytes writes their document afterwards, and whoever
 * deletes removes the document first: bytes without a document are found by {@link Vault.walk}, and belong to nobody.
 */

/** What was put. */
export interface StoredBytes {
  readonly bytes: number;
  /** In hex. */
  readonly md5: string;
}

/** Which bytes are wanted: the first and the last one, counted from 0. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/** A key that is there, and when it was put (unix milliseconds). */
export interface StoredKey {
  readonly key: string;
  readonly atMs: number;
}

export interface Vault {
  /** What one `put` holds in memory at most. */
  readonly putBytes: number;
  /**
   * Puts the bytes under a key as they come, in place of what is there; nobody sees them before the last one is kept. Where this
   * fails, or the process dies, nothing is left but what {@link tidy} removes.
   */
  put(key: string, chunks: AsyncIterable<Uint8Array>): Promise<StoredBytes>;
  /** The bytes of a key, or a range of them; null where there are none. Whoever asks reads them, or at least begins to. */
  get(key: string, range?: ByteRange): Promise<AsyncIterable<Uint8Array> | null>;
  /** Removes the bytes of a key; where there are none, nothing is to be done. */
  drop(key: string): Promise<void>;
  /** All keys, in any order. */
  walk(): AsyncIterable<StoredKey>;
  /** Removes what unfinished puts have left that have made no progress since then. */
  tidy(beforeMs: number): Promise<void>;
}

/** The key of an object of a project. */
export function vaultKey(project: string, id: string): string {
  return `${project}/${id}`;
}

/** What {@link vaultKey} was made from; null for what is none. */
export function namedBy(key: string): { readonly project: string; readonly id: string } | null {
  const [project = '', id = '', ...rest] = key.split('/');
  return isName(project) && isName(id) && rest.length === 0 ? { project, id } : null;
}

/** Letters, digits and what ids have between them; nothing that leads elsewhere in a folder. */
function isName(text: string): boolean {
  return /^\w[\w.-]{0,127}$/.test(text);
}
