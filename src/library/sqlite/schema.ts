/**
 * The tables of a library in SQLite, and how its file is opened. Several processes of one machine share it; the file must
 * not lie on a network file system.
 */
import { mkdirSync, openSync, closeSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** A library of another version is refused. */
const VERSION = 1;
/** How long a writer waits for the writers of other processes. */
const BUSY_MS = 30_000;
/** The log of changes is cut to this size when it was longer. */
const LOG_BYTES = 16 * 1024 * 1024;

/**
 * A file's row has a new id whenever the file is written again, and its `state` says what may be seen of it: 0 while it is
 * written, 1 in use, 2 to be removed. Vectors lie in rows of some dozens, because a row costs more to read than the vectors
 * in it cost to compare. The index of words has no texts of its own; it reads those of chunks when they are removed.
 */
const TABLES = `
  CREATE TABLE stores (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL,
    name TEXT NOT NULL,
    UNIQUE (project, name)
  );
  CREATE TABLE files (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    store INTEGER NOT NULL,
    name TEXT NOT NULL,
    state INTEGER NOT NULL,
    touched INTEGER NOT NULL,
    space TEXT,
    dimensions INTEGER NOT NULL DEFAULT 0,
    chunks INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0
  );
  CREATE INDEX files_by_store ON files (store, state, name);
  CREATE INDEX files_by_name ON files (name);
  CREATE INDEX files_by_state ON files (state) WHERE state <> 1;
  CREATE INDEX files_by_space ON files (space) WHERE state = 1;
  CREATE TABLE attributes (
    file INTEGER NOT NULL,
    key TEXT NOT NULL,
    text TEXT,
    number REAL,
    flag INTEGER,
    PRIMARY KEY (file, key)
  ) WITHOUT ROWID;
  CREATE TABLE chunks (
    id INTEGER PRIMARY KEY,
    file INTEGER NOT NULL,
    position INTEGER NOT NULL,
    text TEXT NOT NULL,
    words TEXT
  );
  CREATE INDEX chunks_by_file ON chunks (file, position);
  CREATE TABLE vectors (
    file INTEGER NOT NULL,
    first INTEGER NOT NULL,
    numbers BLOB NOT NULL,
    PRIMARY KEY (file, first)
  );
  CREATE VIEW indexed AS
    SELECT c.id AS id, 's' || f.store AS store, coalesce(c.words, c.text) AS words
    FROM chunks c JOIN files f ON f.id = c.file;
  CREATE VIRTUAL TABLE word_index USING fts5(
    store, words, content = 'indexed', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2'
  );
  INSERT INTO word_index (word_index, rank) VALUES ('secure-delete', 1);
`;

/** Libraries of this version had no name at first: they are given one when they are opened. */
const IDENTITY = `
  CREATE TABLE IF NOT EXISTS identity (name TEXT NOT NULL);
  INSERT INTO identity (name) SELECT lower(hex(randomblob(12))) WHERE NOT EXISTS (SELECT 1 FROM identity);
`;

/** Why a file cannot be opened, in words for the operator. */
export class UnusableFile extends Error {
  override readonly name = 'UnusableFile';
}

/**
 * Opens the library in this file, and makes it where there is none.
 * @throws {UnusableFile} where it is no library of this version.
 */
export function openDatabase(path: string): DatabaseSync {
  try {
    return openFile(path, prepare);
  } catch (error) {
    if (error instanceof UnusableFile) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new UnusableFile(
      `The library ${path} cannot be opened (${reason}). What is in it can be made again from the files: if it is damaged, move it away.`,
      { cause: error },
    );
  }
}

/** Opens a file that only its owner may read, and prepares it; makes it where there is none. */
export function openFile(path: string, prepareTables: (database: DatabaseSync) => void): DatabaseSync {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  // Made here, because SQLite would let everybody of the machine read it.
  closeSync(openSync(path, 'a', 0o600));
  const database = new DatabaseSync(path, { timeout: BUSY_MS });
  try {
    // What is removed is overwritten, and its room given back.
    database.exec(
      `PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
       PRAGMA secure_delete = ON; PRAGMA journal_size_limit = ${LOG_BYTES}; PRAGMA cache_size = -16000;`,
    );
    prepareTables(database);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** The version of what is in a file; 0 for a new one. */
export function versionOf(database: DatabaseSync): unknown {
  return Object.values(database.prepare('PRAGMA user_version').get() ?? {})[0];
}

function prepare(database: DatabaseSync): void {
  inTransaction(database, () => {
    const version = versionOf(database);
    if (version === VERSION) return database.exec(IDENTITY);
    if (version !== 0) {
      throw new UnusableFile(
        `The library ${database.location() ?? ''} was made by another version of Longrun (${String(version)}). Move it away: what is in it can be made again from the files.`,
      );
    }
    database.exec(TABLES);
    database.exec(IDENTITY);
    database.exec(`PRAGMA user_version = ${VERSION}`);
  });
}

/** Does all of it or nothing, while no other process writes. */
export function inTransaction<T>(database: DatabaseSync, work: () => T): T {
  database.exec('BEGIN IMMEDIATE');
  try {
    const done = work();
    database.exec('COMMIT');
    return done;
  } catch (error) {
    // Some errors have ended the transaction already.
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}
