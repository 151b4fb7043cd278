/** One file on its way into a library in PostgreSQL. */
import type { ChunkText } from '../../runs/vector-store.ts';
import { Superseded, type Holding, type LibraryWrite } from '../library.ts';
import { joined, unit } from '../vectors.ts';
import type { Connections, Transaction } from './connections.ts';
import { tsvectorOf } from './lexemes.ts';
import { prepareVectors, vectorsTable } from './schema.ts';

interface WrittenRow {
  readonly chunks: number;
  readonly dimensions: number;
  readonly bytes: string;
}

export class PostgresWrite implements LibraryWrite {
  readonly #connections: Connections;
  readonly #id: string;
  readonly #sweep: () => Promise<void>;

  constructor(connections: Connections, id: string, sweep: () => Promise<void>) {
    this.#connections = connections;
    this.#id = id;
    this.#sweep = sweep;
  }

  async add(chunks: readonly ChunkText[], vectors: readonly Float32Array[] | null): Promise<void> {
    if (chunks.length === 0) return;
    const units = vectors?.map(unit) ?? null;
    const numbers = units === null ? null : joined(units, chunks.length);
    const dimensions = (numbers?.length ?? 0) / chunks.length;
    if (dimensions > 0)
      await this.#connections.connected(async (client) => prepareVectors(client, dimensions));
    await this.#connections.transaction(async (transaction) => {
      const { chunks: first, dimensions: before } = await this.#written(transaction);
      if (first > 0 && before !== dimensions)
        throw new RangeError('all vectors of a file have the same length');
      const made = await transaction.query<{ id: string; position: number }>(
        `INSERT INTO longrun.chunks (file, position, text, words)
         SELECT $1, given.position, given.text, given.words::tsvector
         FROM unnest($2::int[], $3::text[], $4::text[]) AS given (position, text, words) RETURNING id, position`,
        [
          this.#id,
          chunks.map((_, index) => first + index),
          chunks.map(({ text }) => text),
          chunks.map(tsvectorOf),
        ],
      );
      if (units !== null) {
        await transaction.query(
          `INSERT INTO ${vectorsTable(dimensions)} (chunk, file, vector)
           SELECT given.chunk, $1, given.vector::halfvec FROM unnest($2::bigint[], $3::text[]) AS given (chunk, vector)`,
          [
            this.#id,
            made.map(({ id }) => id),
            made.map(({ position }) => vectorText(units[position - first] ?? new Float32Array())),
          ],
        );
      }
      const bytes = chunks.reduce((sum, { text }) => sum + Buffer.byteLength(text), numbers?.byteLength ?? 0);
      await transaction.query(
        `UPDATE longrun.files SET chunks = chunks + $2, bytes = bytes + $3, dimensions = $4, touched = now() WHERE id = $1`,
        [this.#id, chunks.length, bytes, dimensions],
      );
    });
  }

  async commit(): Promise<Holding> {
    const held = await this.#connections.transaction(async (transaction) => {
      const { chunks, bytes } = await this.#written(transaction);
      await transaction.query(
        `UPDATE longrun.files f SET state = 2 FROM longrun.files own WHERE own.id = $1 AND f.id <> own.id
         AND f.state <> 2 AND f.project = own.project AND f.store = own.store AND f.name = own.name`,
        [this.#id],
      );
      await transaction.query('UPDATE longrun.files SET state = 1 WHERE id = $1', [this.#id]);
      return { chunks, bytes: Number(bytes) };
    });
    await this.#sweep();
    return held;
  }

  async abort(): Promise<void> {
    await this.#connections.query('UPDATE longrun.files SET state = 2 WHERE id = $1 AND state = 0', [
      this.#id,
    ]);
    await this.#sweep();
  }

  async #written(transaction: Transaction): Promise<WrittenRow> {
    const [row] = await transaction.query<{ chunks: number; dimensions: number; bytes: string }>(
      'SELECT chunks, dimensions, bytes FROM longrun.files WHERE id = $1 AND state = 0 FOR UPDATE',
      [this.#id],
    );
    if (row === undefined) throw new Superseded('The file was removed, or is being written again.');
    return row;
  }
}

/** A vector as pgvector reads it. */
export function vectorText(vector: Float32Array): string {
  return `[${vector.join(',')}]`;
}
