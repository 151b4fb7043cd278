/** What is asked of a library in SQLite. Synchronous. */
import type { DatabaseSync } from 'node:sqlite';
import { questionWords } from '../../runs/words.ts';
import { chosen } from '../choice.ts';
import { Bindings, conditionOf } from '../conditions.ts';
import { depthFor, fused, type FusedChunk } from '../fusion.ts';
import type {
  FilePlace,
  FoundChunk,
  LibraryQuery,
  LibrarySearch,
  OutsideFiles,
  StoreHolding,
  StorePlace,
} from '../library.ts';
import { Nearest } from './nearest.ts';

const FILE = `SELECT f.id FROM files f JOIN stores s ON s.id = f.store
  WHERE s.project = ? AND s.name = ? AND f.name = ? AND f.state = 1`;

export class LibraryReader {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  search(search: LibrarySearch): readonly FoundChunk[] {
    const { limit, minScore, queries } = search;
    // All that is read belongs to one moment.
    this.#database.exec('BEGIN');
    try {
      const stores = this.#stores(search);
      const depth = depthFor(limit);
      const meaning = this.#byMeaning(search, stores, depth);
      const ranks = queries.map((query, index) => ({
        words: this.#byWords(query, search, stores, depth),
        meaning: meaning[index] ?? [],
      }));
      return chosen(this.#chunks(fused(ranks), minScore), limit);
    } finally {
      this.#database.exec('COMMIT');
    }
  }

  texts({ project, storeId, fileId }: FilePlace, from: number, limit: number): readonly string[] {
    return this.#database
      .prepare(`SELECT text FROM chunks WHERE file = (${FILE}) AND position >= ? ORDER BY position LIMIT ?`)
      .all(project, storeId, fileId, from, limit)
      .map((row) => String(row['text']));
  }

  holding({ project, storeId }: StorePlace): StoreHolding {
    const row = this.#database
      .prepare(
        `SELECT count(*) AS files, total(f.chunks) AS chunks, total(f.bytes) AS bytes
         FROM files f JOIN stores s ON s.id = f.store WHERE s.project = ? AND s.name = ? AND f.state = 1`,
      )
      .get(project, storeId);
    const number = (name: string): number => Number(row?.[name] ?? 0);
    return { files: number('files'), chunks: number('chunks'), bytes: number('bytes') };
  }

  fileIds({ project, storeId }: StorePlace, after: string, limit: number): readonly string[] {
    return this.#database
      .prepare(
        `SELECT f.name FROM files f JOIN stores s ON s.id = f.store
         WHERE s.project = ? AND s.name = ? AND f.state = 1 AND f.name > ? ORDER BY f.name LIMIT ?`,
      )
      .all(project, storeId, after, limit)
      .map((row) => String(row['name']));
  }

  outside(space: string, after: number, limit: number): OutsideFiles {
    const all = this.#database
      .prepare('SELECT count(*) AS total FROM files WHERE state = 1 AND space IS NOT ?')
      .get(space);
    const files = this.#database
      .prepare(
        `SELECT f.id, s.project, s.name AS store, f.name FROM files f JOIN stores s ON s.id = f.store
         WHERE f.state = 1 AND f.space IS NOT ? AND f.id > ? ORDER BY f.id LIMIT ?`,
      )
      .all(space, after, limit)
      .map((row) => ({
        row: Number(row['id']),
        project: String(row['project']),
        storeId: String(row['store']),
        fileId: String(row['name']),
      }));
    return { total: Number(all?.['total'] ?? 0), files };
  }

  name(): string {
    return String(this.#database.prepare('SELECT name FROM identity').get()?.['name']);
  }

  #stores({ project, storeIds }: LibrarySearch): readonly number[] {
    const bindings = new Bindings('attributes', () => '?');
    const text = `SELECT id FROM stores WHERE project = ${bindings.bind(project)} AND name IN ${bindings.list(storeIds)}`;
    return this.#database
      .prepare(text)
      .all(...bindings.values)
      .map((row) => Number(row['id']));
  }

  #byWords(
    { text }: LibraryQuery,
    { filter }: LibrarySearch,
    stores: readonly number[],
    depth: number,
  ): readonly number[] {
    const words = questionWords(text);
    if (words.length === 0 || stores.length === 0) return [];
    // Words are letters and digits, so nothing in them is syntax inside of quotes.
    const match = `{store} : (${either(stores.map((store) => `s${store}`))}) AND {words} : (${either(words)})`;
    // The index alone is several times faster than with every row of it looked up; but it knows no filters, and has what is
    // written or removed at the moment as well.
    const best = filter === null ? this.#indexed(match, depth) : null;
    if (best !== null) return best;
    const bindings = new Bindings('attributes', () => '?');
    const statement = `SELECT w.rowid AS chunk FROM word_index w
      JOIN chunks c ON c.id = w.rowid JOIN files f ON f.id = c.file
      WHERE word_index MATCH ${bindings.bind(match)} AND f.state = 1 AND ${conditionOf(filter, bindings)}
      ORDER BY bm25(word_index, 0.0, 1.0), w.rowid LIMIT ${bindings.bind(depth)}`;
    return this.#database
      .prepare(statement)
      .all(...bindings.values)
      .map((row) => Number(row['chunk']));
  }

  /** The best chunks of the index; null where some of them are not in use, so that others would have to take their places. */
  #indexed(match: string, depth: number): readonly number[] | null {
    const rows = this.#database
      .prepare(
        `SELECT w.rowid AS chunk, f.state FROM (
           SELECT rowid, rank FROM word_index
           WHERE word_index MATCH ? AND rank MATCH 'bm25(0.0, 1.0)' ORDER BY rank LIMIT ?
         ) w JOIN chunks c ON c.id = w.rowid JOIN files f ON f.id = c.file ORDER BY w.rank, w.rowid`,
      )
      .all(match, depth);
    return rows.every((row) => row['state'] === 1) ? rows.map((row) => Number(row['chunk'])) : null;
  }

  /** The chunks nearest to each query, compared one by one. */
  #byMeaning(
    { queries, space, filter }: LibrarySearch,
    stores: readonly number[],
    depth: number,
  ): readonly (readonly number[])[] {
    const vectors = queries.map(({ vector }) => vector);
    const dimensions = vectors.find((vector) => vector !== null)?.length;
    if (space === null || dimensions === undefined) return [];
    const nearest = vectors.map((vector) =>
      vector?.length === dimensions ? new Nearest(vector, depth) : null,
    );
    const bindings = new Bindings('attributes', () => '?');
    const statement = `SELECT v.file, v.first, v.numbers FROM files f JOIN vectors v ON v.file = f.id
      WHERE f.state = 1 AND f.store IN ${bindings.list(stores)} AND f.space = ${bindings.bind(space)}
      AND f.dimensions = ${bindings.bind(dimensions)} AND ${conditionOf(filter, bindings)}`;
    for (const { file, first, numbers } of this.#database.prepare(statement).iterate(...bindings.values)) {
      if (!(numbers instanceof Uint8Array)) continue;
      const group = new Float32Array(numbers.buffer, numbers.byteOffset, numbers.byteLength / 4);
      for (const one of nearest) one?.compare(group, Number(file), Number(first));
    }
    const find = this.#database.prepare('SELECT id FROM chunks WHERE file = ? AND position = ?');
    return nearest.map((one) =>
      (one?.found ?? []).map(({ file, position }) => Number(find.get(file, position)?.['id'])),
    );
  }

  /** The chunks, as they are needed. */
  *#chunks(fused: readonly FusedChunk[], minScore: number): Generator<FoundChunk, void> {
    for (const { chunk, score } of fused) {
      if (score < minScore) return;
      yield { ...this.#chunk(chunk), score };
    }
  }

  #chunk(chunk: number): Omit<FoundChunk, 'score'> {
    const row = this.#database
      .prepare(
        `SELECT c.text, c.position, f.name, s.name AS store FROM chunks c
         JOIN files f ON f.id = c.file JOIN stores s ON s.id = f.store WHERE c.id = ?`,
      )
      .get(chunk);
    return {
      storeId: String(row?.['store']),
      fileId: String(row?.['name']),
      position: Number(row?.['position']),
      text: String(row?.['text']),
    };
  }
}

function either(words: readonly string[]): string {
  return words.map((word) => `"${word}"`).join(' OR ');
}
