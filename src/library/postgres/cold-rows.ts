/** Rows of cold threads in PostgreSQL, in a schema of their own: that of the library may be dropped. */
import { CannotStart } from '../../cannot-start.ts';
import type { ColdName, ColdPlace, ColdRow, ColdRows } from '../../runs/cold-row.ts';
import { Connections } from './connections.ts';
import { underLock } from './schema.ts';

/** Tables of a later version are refused. */
const VERSION = 1;

const TABLES = `
  CREATE SCHEMA IF NOT EXISTS longrun_cold;
  CREATE TABLE longrun_cold.version (number integer NOT NULL);
  CREATE TABLE longrun_cold.threads (
    version text COLLATE "C" PRIMARY KEY,
    owner text NOT NULL,
    project text NOT NULL,
    thread text NOT NULL,
    made_ms bigint NOT NULL,
    document text NOT NULL,
    body bytea NOT NULL
  );
  ALTER TABLE longrun_cold.threads ALTER COLUMN body SET STORAGE EXTERNAL;
  CREATE INDEX ON longrun_cold.threads (owner, version);
  INSERT INTO longrun_cold.version VALUES (${VERSION});
`;

type PlaceRow = Readonly<Record<'project' | 'thread', string>>;

export class PostgresColdRows implements ColdRows {
  readonly #connections: Connections;

  private constructor(connections: Connections) {
    this.#connections = connections;
  }

  /** @throws {CannotStart} where the database cannot be used. */
  static async open(url: string): Promise<PostgresColdRows> {
    const connections = new Connections(url);
    try {
      await connections.connected(async (client) =>
        underLock(client, async () => {
          const { rows } = await client.query<{ found: string | null }>(
            `SELECT to_regclass('longrun_cold.version') AS found`,
          );
          if (rows[0]?.found == null) await client.query(TABLES);
          const found = await client.query<{ number: number }>('SELECT number FROM longrun_cold.version');
          const version = found.rows[0]?.number;
          if (version !== VERSION)
            throw new CannotStart(
              `LIBRARY_URL: the cold threads in this database were kept by a newer version of Longrun (${version}). Start that version.`,
            );
        }),
      );
      return new PostgresColdRows(connections);
    } catch (error) {
      await connections.close();
      if (error instanceof CannotStart) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      throw new CannotStart(`LIBRARY_URL: the database cannot be used for cold threads (${reason}).`);
    }
  }

  async keep(rows: readonly ColdRow[]): Promise<void> {
    if (rows.length === 0) return;
    const columns = [
      rows.map(({ version }) => version),
      rows.map(({ owner }) => owner),
      rows.map(({ project }) => project),
      rows.map(({ threadId }) => threadId),
      rows.map(({ madeMs }) => madeMs),
      rows.map(({ document }) => document),
      rows.map(({ body }) => Buffer.from(body)),
    ];
    await this.#connections.query(
      `INSERT INTO longrun_cold.threads (version, owner, project, thread, made_ms, document, body)
       SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::bytea[])
       ON CONFLICT (version) DO NOTHING`,
      columns,
    );
  }

  async card(version: string): Promise<(ColdPlace & { readonly document: string }) | null> {
    const [row] = await this.#connections.query<PlaceRow & { document: string }>(
      'SELECT project, thread, document FROM longrun_cold.threads WHERE version = $1',
      [version],
    );
    return row === undefined ? null : { ...placeOf(row), document: row.document };
  }

  async fetch(version: string): Promise<(ColdPlace & { readonly body: Uint8Array }) | null> {
    const [row] = await this.#connections.query<PlaceRow & { body: Buffer }>(
      'SELECT project, thread, body FROM longrun_cold.threads WHERE version = $1',
      [version],
    );
    return row === undefined ? null : { ...placeOf(row), body: row.body };
  }

  async drop(versions: readonly string[]): Promise<void> {
    if (versions.length === 0) return;
    await this.#connections.query('DELETE FROM longrun_cold.threads WHERE version = ANY($1::text[])', [
      versions,
    ]);
  }

  async walk(owner: string, after: string, untilMs: number, limit: number): Promise<readonly ColdName[]> {
    const rows = await this.#connections.query<PlaceRow & { version: string }>(
      `SELECT version, project, thread FROM longrun_cold.threads
       WHERE owner = $1 AND version > $2 AND made_ms < $3 ORDER BY version LIMIT $4`,
      [owner, after, untilMs, limit],
    );
    return rows.map((row) => ({ ...placeOf(row), version: row.version }));
  }

  async close(): Promise<void> {
    await this.#connections.close();
  }
}

function placeOf({ project, thread }: PlaceRow): ColdPlace {
  return { project, threadId: thread };
}
