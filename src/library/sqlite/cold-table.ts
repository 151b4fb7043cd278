/**
 * Rows of cold threads in a file of SQLite. It is not the library's: what is in that can be made again, and may be moved away.
 * Synchronous.
 */
import type { DatabaseSync } from 'node:sqlite';
import type { ColdName, ColdPlace, ColdRow } from '../../runs/cold-row.ts';
import { inTransaction, openFile, UnusableFile, versionOf } from './schema.ts';

/** A file of a later version is refused. */
const VERSION = 1;
/** How many pages are given back to the file system at once. */
const FREED_PAGES = 1_024;

const TABLES = `
  CREATE TABLE threads (
    version TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    project TEXT NOT NULL,
    thread TEXT NOT NULL,
    made_ms INTEGER NOT NULL,
    document TEXT NOT NULL,
    body BLOB NOT NULL
  );
  CREATE INDEX threads_by_owner ON threads (owner, version, made_ms);
`;

/**
 * Opens the file, and makes it where there is none.
 * @throws {UnusableFile} where it is no file of cold threads of this version.
 */
export function openColdDatabase(path: string): DatabaseSync {
  try {
    return openFile(path, (database) => {
      inTransaction(database, () => {
        const version = versionOf(database);
        if (version === 0) database.exec(`${TABLES} PRAGMA user_version = ${VERSION};`);
        else if (version !== VERSION)
          throw new Error(`a newer version of Longrun made it: ${String(version)}`);
      });
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UnusableFile(
      `The file of cold threads ${path} cannot be opened (${reason}). What is in it is nowhere else: restore it from a backup.`,
      { cause: error },
    );
  }
}

export class ColdTable {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  keep(rows: readonly ColdRow[]): void {
    inTransaction(this.#database, () => {
      const insert = this.#database.prepare(
        `INSERT OR IGNORE INTO threads (version, owner, project, thread, made_ms, document, body)
         VALUES (?, ?, ?, ?, ?, ?, ?)`,
      );
      for (const { version, owner, project, threadId, madeMs, document, body } of rows)
        insert.run(version, owner, project, threadId, madeMs, document, body);
    });
  }

  card(version: string): (ColdPlace & { readonly document: string }) | null {
    const row = this.#database
      .prepare('SELECT project, thread, document FROM threads WHERE version = ?')
      .get(version);
    return row === undefined ? null : { ...placeOf(row), document: String(row['document']) };
  }

  fetch(version: string): (ColdPlace & { readonly body: Uint8Array }) | null {
    const row = this.#database
      .prepare('SELECT project, thread, body FROM threads WHERE version = ?')
      .get(version);
    const body = row?.['body'];
    return row === undefined || !(body instanceof Uint8Array) ? null : { ...placeOf(row), body };
  }

  drop(versions: readonly string[]): void {
    if (versions.length === 0) return;
    inTransaction(this.#database, () => {
      const remove = this.#database.prepare('DELETE FROM threads WHERE version = ?');
      for (const version of versions) remove.run(version);
    });
    this.#database.exec(`PRAGMA incremental_vacuum(${FREED_PAGES})`);
    // Else the log would still hold what was removed.
    this.#database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  }

  walk(owner: string, after: string, untilMs: number, limit: number): readonly ColdName[] {
    return this.#database
      .prepare(
        `SELECT version, project, thread FROM threads
         WHERE owner = ? AND version > ? AND made_ms < ? ORDER BY version LIMIT ?`,
      )
      .all(owner, after, untilMs, limit)
      .map((row) => ({ ...placeOf(row), version: String(row['version']) }));
  }
}

function placeOf(row: Readonly<Record<string, unknown>>): ColdPlace {
  return { project: String(row['project']), threadId: String(row['thread']) };
}
