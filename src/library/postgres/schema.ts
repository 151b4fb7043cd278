/** The tables of a library in PostgreSQL with pgvector, in a schema of their own. */
import type { ClientBase } from 'pg';
import { CannotStart } from '../../cannot-start.ts';

/** A library of another version is refused. */
const VERSION = 1;
/** Who changes the tables holds this lock. */
const LOCK = 7_205_759_403;
/** Of longer vectors, pgvector makes no index. */
const MAX_INDEXED_DIMENSIONS = 4_000;

/** A file's row has a new id whenever it is written again. Its state: 0 while it is written, 1 in use, 2 to be removed. */
const TABLES = `
  CREATE TABLE longrun.version (number integer NOT NULL);
  CREATE TABLE longrun.files (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project text NOT NULL,
    store text NOT NULL,
    name text NOT NULL,
    state smallint NOT NULL DEFAULT 0,
    touched timestamptz NOT NULL DEFAULT now(),
    space text,
    dimensions integer NOT NULL DEFAULT 0,
    chunks integer NOT NULL DEFAULT 0,
    bytes bigint NOT NULL DEFAULT 0
  );
  CREATE INDEX ON longrun.files (project, store, name);
  CREATE INDEX ON longrun.files (project, name);
  CREATE INDEX ON longrun.files (state) WHERE state <> 1;
  CREATE TABLE longrun.attributes (
    file bigint NOT NULL,
    key text NOT NULL,
    text text COLLATE "C",
    number double precision,
    flag smallint,
    PRIMARY KEY (file, key)
  );
  CREATE TABLE longrun.chunks (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    file bigint NOT NULL,
    position integer NOT NULL,
    text text NOT NULL,
    words tsvector NOT NULL,
    UNIQUE (file, position)
  );
  CREATE INDEX ON longrun.chunks USING gin (words);
`;

/** Libraries of this version had no name at first: they are given one when they are opened. */
const IDENTITY = `
  CREATE TABLE IF NOT EXISTS longrun.identity (name text NOT NULL);
  INSERT INTO longrun.identity (name) SELECT gen_random_uuid()::text WHERE NOT EXISTS (SELECT 1 FROM longrun.identity);
`;

/** Makes the tables where there are none. @throws {CannotStart} */
export async function prepareTables(client: ClientBase): Promise<void> {
  await underLock(client, async () => {
    const { rows } = await client.query<{ found: string | null }>(
      `SELECT to_regclass('longrun.version') AS found`,
    );
    if (rows[0]?.found == null) {
      await client.query('CREATE EXTENSION IF NOT EXISTS vector').catch((error: unknown) => {
        const reason = error instanceof Error ? error.message : String(error);
        throw new CannotStart(
          `LIBRARY_URL: the database has no pgvector, and it cannot be added (${reason}). Install pgvector 0.7 or newer and run CREATE EXTENSION vector as an administrator.`,
        );
      });
      await client.query('CREATE SCHEMA IF NOT EXISTS longrun');
      await client.query(TABLES);
      await client.query(`INSERT INTO longrun.version VALUES (${VERSION})`);
    }
    const version = (await client.query<{ number: number }>('SELECT number FROM longrun.version')).rows[0]
      ?.number;
    if (version === VERSION) return void (await client.query(IDENTITY));
    throw new CannotStart(
      `LIBRARY_URL: the library in this database was made by another version of Longrun (${version}). Drop its schema, or name another database: what is in it can be made again from the files.`,
    );
  });
}

/** The name of the table of vectors of so many numbers. */
export function vectorsTable(dimensions: number): string {
  return `longrun.vectors_${Math.trunc(dimensions)}`;
}

/** Makes the table of vectors of so many numbers where there is none. */
export async function prepareVectors(client: ClientBase, dimensions: number): Promise<void> {
  const table = vectorsTable(dimensions);
  const { rows } = await client.query<{ found: string | null }>('SELECT to_regclass($1) AS found', [table]);
  if (rows[0]?.found != null) return;
  await underLock(client, async () => {
    await client.query(`CREATE TABLE IF NOT EXISTS ${table} (
      chunk bigint PRIMARY KEY, file bigint NOT NULL, vector halfvec(${Math.trunc(dimensions)}) NOT NULL)`);
    await client.query(
      `CREATE INDEX IF NOT EXISTS vectors_${Math.trunc(dimensions)}_file ON ${table} (file)`,
    );
    if (dimensions > MAX_INDEXED_DIMENSIONS) return;
    await client.query(
      `CREATE INDEX IF NOT EXISTS vectors_${Math.trunc(dimensions)}_near ON ${table} USING hnsw (vector halfvec_ip_ops)`,
    );
  });
}

/** Changes tables while nobody else does: all of it or nothing. */
export async function underLock(client: ClientBase, work: () => Promise<void>): Promise<void> {
  await client.query('BEGIN');
  try {
    await client.query('SELECT pg_advisory_xact_lock($1)', [LOCK]);
    await work();
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {});
    throw error;
  }
}
