/** What changes a library in SQLite: short transactions, so that writers of several processes take turns. Synchronous. */
import type { DatabaseSync } from 'node:sqlite';
import type { ChunkText, FileAttributes } from '../../runs/vector-store.ts';
import { attributeColumns } from '../conditions.ts';
import { Superseded, type FileCard, type FilePlace, type Holding, type StorePlace } from '../library.ts';
import { inTransaction } from './schema.ts';

/** How many chunks one transaction removes. */
const REMOVED_AT_ONCE = 500;
/** Writers wait for model servers between two pieces, but not this long. */
const ABANDONED_S = 86_400;
/** How many pages are given back to the file system at once. */
const FREED_PAGES = 4_096;

const WRITTEN = 0;
const IN_USE = 1;
const REMOVED = 2;

export class LibraryWriter {
  readonly #database: DatabaseSync;
  /** Unix seconds. */
  readonly #now: () => number;

  constructor(database: DatabaseSync, now: () => number) {
    this.#database = database;
    this.#now = now;
  }

  /** Begins to write a file. @returns the number of its row */
  begin(card: FileCard): number {
    const row = this.#transaction(() => {
      const store = this.#storeFor(card);
      this.#mark(`store = ? AND name = ? AND state = ${WRITTEN}`, store, card.fileId);
      const { lastInsertRowid } = this.#database
        .prepare('INSERT INTO files (store, name, state, touched, space) VALUES (?, ?, ?, ?, ?)')
        .run(store, card.fileId, WRITTEN, this.#now(), card.space);
      this.#note(Number(lastInsertRowid), card.attributes);
      return Number(lastInsertRowid);
    });
    this.#sweep();
    return row;
  }

  /** @throws {Superseded} */
  add(row: number, chunks: readonly ChunkText[], vectors: Float32Array | null): void {
    this.#transaction(() => {
      if (chunks.length === 0) return;
      const { chunks: first, dimensions: before } = this.#written(row);
      const dimensions = (vectors?.length ?? 0) / chunks.length;
      if (first > 0 && before !== dimensions)
        throw new RangeError('all vectors of a file have the same length');
      let bytes = vectors?.byteLength ?? 0;
      const insert = this.#database.prepare(
        'INSERT INTO chunks (file, position, text, words) VALUES (?, ?, ?, ?)',
      );
      const index = this.#database.prepare(
        'INSERT INTO word_index (rowid, store, words) SELECT * FROM indexed WHERE id = ?',
      );
      for (const [number, { text, words = null }] of chunks.entries()) {
        const { lastInsertRowid } = insert.run(row, first + number, text, words);
        index.run(lastInsertRowid);
        bytes += Buffer.byteLength(text);
      }
      if (vectors !== null) {
        this.#database
          .prepare('INSERT INTO vectors (file, first, numbers) VALUES (?, ?, ?)')
          .run(row, first, new Uint8Array(vectors.buffer, vectors.byteOffset, vectors.byteLength));
      }
      this.#database
        .prepare(
          'UPDATE files SET chunks = chunks + ?, bytes = bytes + ?, dimensions = ?, touched = ? WHERE id = ?',
        )
        .run(chunks.length, bytes, dimensions, this.#now(), row);
    });
  }

  /** @throws {Superseded} */
  commit(row: number): Holding {
    const held = this.#transaction(() => {
      const { store, name, chunks, bytes } = this.#written(row);
      this.#mark('store = ? AND name = ? AND id <> ?', store, name, row);
      this.#database.prepare('UPDATE files SET state = ? WHERE id = ?').run(IN_USE, row);
      return { chunks, bytes };
    });
    this.#sweep();
    return held;
  }

  abort(row: number): void {
    this.#transaction(() => this.#mark(`id = ? AND state = ${WRITTEN}`, row));
    this.#sweep();
  }

  setAttributes({ project, storeId, fileId }: FilePlace, attributes: FileAttributes): void {
    this.#transaction(() => {
      const rows = this.#database
        .prepare(`SELECT id FROM files WHERE store = ${STORE} AND name = ? AND state <> ${REMOVED}`)
        .all(project, storeId, fileId);
      for (const { id } of rows) this.#note(Number(id), attributes);
    });
  }

  removeFile({ project, storeId, fileId }: FilePlace): void {
    this.#transaction(() => this.#mark(`store = ${STORE} AND name = ?`, project, storeId, fileId));
    this.#sweep();
  }

  removeFileEverywhere(project: string, fileId: string): void {
    this.#transaction(() =>
      this.#mark('name = ? AND store IN (SELECT id FROM stores WHERE project = ?)', fileId, project),
    );
    this.#sweep();
  }

  removeStore({ project, storeId }: StorePlace): void {
    this.#transaction(() => this.#mark(`store = ${STORE}`, project, storeId));
    this.#sweep();
  }

  tidy(): void {
    this.#transaction(() => this.#mark(`state = ${WRITTEN} AND touched < ?`, this.#now() - ABANDONED_S));
    this.#sweep();
  }

  #transaction<T>(work: () => T): T {
    return inTransaction(this.#database, work);
  }

  #storeFor({ project, storeId }: StorePlace): number {
    this.#database
      .prepare('INSERT OR IGNORE INTO stores (project, name) VALUES (?, ?)')
      .run(project, storeId);
    const found = this.#database
      .prepare('SELECT id FROM stores WHERE project = ? AND name = ?')
      .get(project, storeId);
    return Number(found?.['id']);
  }

  /** The row of a file that is being written. */
  #written(row: number) {
    const found = this.#database
      .prepare(`SELECT store, name, chunks, bytes, dimensions FROM files WHERE id = ? AND state = ${WRITTEN}`)
      .get(row);
    if (found === undefined) throw new Superseded('The file was removed, or is being written again.');
    return {
      store: Number(found['store']),
      name: String(found['name']),
      chunks: Number(found['chunks']),
      bytes: Number(found['bytes']),
      dimensions: Number(found['dimensions']),
    };
  }

  #note(row: number, attributes: FileAttributes): void {
    this.#database.prepare('DELETE FROM attributes WHERE file = ?').run(row);
    const insert = this.#database.prepare(
      'INSERT INTO attributes (file, key, text, number, flag) VALUES (?, ?, ?, ?, ?)',
    );
    for (const [key, value] of Object.entries(attributes)) insert.run(row, key, ...attributeColumns(value));
  }

  /** Files that meet the condition are seen no more, from the end of this transaction on. */
  #mark(condition: string, ...values: readonly (string | number)[]): void {
    this.#database
      .prepare(`UPDATE files SET state = ${REMOVED} WHERE state <> ${REMOVED} AND ${condition}`)
      .run(...values);
  }

  /** Removes what is seen no more, also what another process has left. */
  #sweep(): void {
    let isAny = false;
    while (this.#transaction(() => this.#sweepSome())) isAny = true;
    if (!isAny) return;
    this.#database.exec(`PRAGMA incremental_vacuum(${FREED_PAGES})`);
    // Else the log would still hold what was removed. Readers of other processes may keep it from that for now.
    this.#database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  }

  /** @returns whether there may be more */
  #sweepSome(): boolean {
    const file = this.#database.prepare(`SELECT id, store FROM files WHERE state = ${REMOVED} LIMIT 1`).get();
    if (file === undefined) return false;
    const id = Number(file['id']);
    const chunks = this.#database
      .prepare('SELECT id FROM chunks WHERE file = ? LIMIT ?')
      .all(id, REMOVED_AT_ONCE)
      .map((row) => Number(row['id']));
    // The index reads the texts that it forgets, so they go last.
    const forget = this.#database.prepare('DELETE FROM word_index WHERE rowid = ?');
    for (const chunk of chunks) forget.run(chunk);
    const remove = this.#database.prepare('DELETE FROM chunks WHERE id = ?');
    for (const chunk of chunks) remove.run(chunk);
    if (chunks.length === REMOVED_AT_ONCE) return true;
    for (const table of ['vectors', 'attributes'])
      this.#database.prepare(`DELETE FROM ${table} WHERE file = ?`).run(id);
    this.#database.prepare('DELETE FROM files WHERE id = ?').run(id);
    this.#database
      .prepare('DELETE FROM stores WHERE id = ? AND NOT EXISTS (SELECT 1 FROM files WHERE store = stores.id)')
      .run(Number(file['store']));
    return true;
  }
}

const STORE = '(SELECT id FROM stores WHERE project = ? AND name = ?)';
