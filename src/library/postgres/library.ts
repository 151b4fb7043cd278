/** A library in PostgreSQL with pgvector, for processes on several machines. */
import { CannotStart } from '../../cannot-start.ts';
import type { FileAttributes } from '../../runs/vector-store.ts';
import { attributeColumns } from '../conditions.ts';
import type {
  FileCard,
  FilePlace,
  FoundChunk,
  Library,
  LibrarySearch,
  LibraryWrite,
  OutsideFiles,
  StoreHolding,
  StorePlace,
} from '../library.ts';
import { Connections, type Transaction } from './connections.ts';
import { prepareTables, vectorsTable } from './schema.ts';
import { searchIn } from './search.ts';
import { PostgresWrite } from './write.ts';

/** Writers wait for model servers between two pieces, but not this long. */
const ABANDONED = '1 day';
const PLACE = 'project = $1 AND store = $2 AND name = $3';

export class PostgresLibrary implements Library {
  readonly #connections: Connections;

  private constructor(connections: Connections) {
    this.#connections = connections;
  }

  /** @throws {CannotStart} where the database cannot be reached, or has no pgvector. */
  static async open(url: string): Promise<PostgresLibrary> {
    const connections = new Connections(url);
    try {
      await connections.connected(prepareTables);
      return new PostgresLibrary(connections);
    } catch (error) {
      await connections.close();
      if (error instanceof CannotStart) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      throw new CannotStart(`LIBRARY_URL: the database cannot be used (${reason}).`);
    }
  }

  async write(card: FileCard): Promise<LibraryWrite> {
    const { project, storeId, fileId, attributes, space } = card;
    const id = await this.#connections.transaction(async (transaction) => {
      await transaction.query(`UPDATE longrun.files SET state = 2 WHERE state = 0 AND ${PLACE}`, [
        project,
        storeId,
        fileId,
      ]);
      const [row] = await transaction.query<{ id: string }>(
        'INSERT INTO longrun.files (project, store, name, space) VALUES ($1, $2, $3, $4) RETURNING id',
        [project, storeId, fileId, space],
      );
      const made = row?.id ?? '';
      await note(transaction, made, attributes);
      return made;
    });
    await this.#sweep();
    return new PostgresWrite(this.#connections, id, async () => this.#sweep());
  }

  async setAttributes({ project, storeId, fileId }: FilePlace, attributes: FileAttributes): Promise<void> {
    await this.#connections.transaction(async (transaction) => {
      const rows = await transaction.query<{ id: string }>(
        `SELECT id FROM longrun.files WHERE state <> 2 AND ${PLACE} FOR UPDATE`,
        [project, storeId, fileId],
      );
      for (const { id } of rows) await note(transaction, id, attributes);
    });
  }

  async removeFile({ project, storeId, fileId }: FilePlace): Promise<void> {
    await this.#remove(PLACE, [project, storeId, fileId]);
  }

  async removeFileEverywhere(project: string, fileId: string): Promise<void> {
    await this.#remove('project = $1 AND name = $2', [project, fileId]);
  }

  async removeStore({ project, storeId }: StorePlace): Promise<void> {
    await this.#remove('project = $1 AND store = $2', [project, storeId]);
  }

  async search(search: LibrarySearch): Promise<readonly FoundChunk[]> {
    return searchIn(this.#connections, search);
  }

  async texts(
    { project, storeId, fileId }: FilePlace,
    from: number,
    limit: number,
  ): Promise<readonly string[]> {
    const rows = await this.#connections.query<{ text: string }>(
      `SELECT c.text FROM longrun.chunks c JOIN longrun.files f ON f.id = c.file
       WHERE f.state = 1 AND ${PLACE} AND c.position >= $4 ORDER BY c.position LIMIT $5`,
      [project, storeId, fileId, from, limit],
    );
    return rows.map(({ text }) => text);
  }

  async holding({ project, storeId }: StorePlace): Promise<StoreHolding> {
    const [row] = await this.#connections.query<Record<'files' | 'chunks' | 'bytes', string>>(
      `SELECT count(*) AS files, coalesce(sum(chunks), 0) AS chunks, coalesce(sum(bytes), 0) AS bytes
       FROM longrun.files WHERE state = 1 AND project = $1 AND store = $2`,
      [project, storeId],
    );
    return { files: Number(row?.files), chunks: Number(row?.chunks), bytes: Number(row?.bytes) };
  }

  async fileIds({ project, storeId }: StorePlace, after: string, limit: number): Promise<readonly string[]> {
    const rows = await this.#connections.query<{ name: string }>(
      `SELECT name FROM longrun.files WHERE state = 1 AND project = $1 AND store = $2 AND name COLLATE "C" > $3
       ORDER BY name COLLATE "C" LIMIT $4`,
      [project, storeId, after, limit],
    );
    return rows.map(({ name }) => name);
  }

  async outside(space: string, after: number, limit: number): Promise<OutsideFiles> {
    const [all] = await this.#connections.query<{ total: string }>(
      'SELECT count(*) AS total FROM longrun.files WHERE state = 1 AND space IS DISTINCT FROM $1',
      [space],
    );
    const files = await this.#connections.query<Record<'row' | 'project' | 'storeId' | 'fileId', string>>(
      `SELECT id AS row, project, store AS "storeId", name AS "fileId" FROM longrun.files
       WHERE state = 1 AND space IS DISTINCT FROM $1 AND id > $2 ORDER BY id LIMIT $3`,
      [space, after, limit],
    );
    return {
      total: Number(all?.total ?? 0),
      files: files.map((file) => ({ ...file, row: Number(file.row) })),
    };
  }

  async name(): Promise<string> {
    const [row] = await this.#connections.query<{ name: string }>('SELECT name FROM longrun.identity', []);
    return row?.name ?? '';
  }

  async tidy(): Promise<void> {
    await this.#remove(`state = 0 AND touched < now() - interval '${ABANDONED}'`, []);
  }

  async close(): Promise<void> {
    await this.#connections.close();
  }

  async #remove(condition: string, values: readonly unknown[]): Promise<void> {
    await this.#connections.query(
      `UPDATE longrun.files SET state = 2 WHERE state <> 2 AND ${condition}`,
      values,
    );
    await this.#sweep();
  }

  /** Removes what is seen no more, one file after the other; what another process removes is left to it. */
  async #sweep(): Promise<void> {
    while (await this.#connections.transaction(sweepOne));
  }
}

async function sweepOne(transaction: Transaction): Promise<boolean> {
  const [file] = await transaction.query<{ id: string; dimensions: number }>(
    'SELECT id, dimensions FROM longrun.files WHERE state = 2 LIMIT 1 FOR UPDATE SKIP LOCKED',
    [],
  );
  if (file === undefined) return false;
  const { id, dimensions } = file;
  if (dimensions > 0)
    await transaction.query(`DELETE FROM ${vectorsTable(dimensions)} WHERE file = $1`, [id]);
  await transaction.query('DELETE FROM longrun.chunks WHERE file = $1', [id]);
  await transaction.query('DELETE FROM longrun.attributes WHERE file = $1', [id]);
  await transaction.query('DELETE FROM longrun.files WHERE id = $1', [id]);
  return true;
}

async function note(transaction: Transaction, id: string, attributes: FileAttributes): Promise<void> {
  await transaction.query('DELETE FROM longrun.attributes WHERE file = $1', [id]);
  for (const [key, value] of Object.entries(attributes)) {
    await transaction.query(
      'INSERT INTO longrun.attributes (file, key, text, number, flag) VALUES ($1, $2, $3, $4, $5)',
      [id, key, ...attributeColumns(value)],
    );
  }
}
