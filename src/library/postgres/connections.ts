/** Connections to PostgreSQL, and transactions over them. */
import { Pool, type PoolClient, type QueryResultRow } from 'pg';

/** At most so many at once; who comes then waits. */
const CONNECTIONS = 8;
const CONNECT_MS = 10_000;
const STATEMENT_MS = 120_000;

export class Connections {
  readonly #pool: Pool;

  constructor(url: string) {
    this.#pool = new Pool({
      connectionString: url,
      max: CONNECTIONS,
      connectionTimeoutMillis: CONNECT_MS,
      statement_timeout: STATEMENT_MS,
      keepAlive: true,
      application_name: 'longrun',
      // Idle connections keep no process alive.
      allowExitOnIdle: true,
    });
    // An idle connection that breaks is replaced by the next that is needed.
    this.#pool.on('error', () => {});
  }

  async query<Row extends QueryResultRow>(text: string, values: readonly unknown[]): Promise<readonly Row[]> {
    return (await this.#pool.query<Row>(text, values.map(storable))).rows;
  }

  /** Does all of it or nothing. */
  async transaction<T>(work: (client: Transaction) => Promise<T>): Promise<T> {
    return this.connected(async (client) => {
      await client.query('BEGIN');
      try {
        const done = await work(new Transaction(client));
        await client.query('COMMIT');
        return done;
      } catch (error) {
        await client.query('ROLLBACK').catch(() => {});
        throw error;
      }
    });
  }

  /** Lends one connection. */
  async connected<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect();
    let failure: Error | undefined;
    const onError = (error: Error): void => void (failure = error);
    client.on('error', onError);
    try {
      return await work(client);
    } finally {
      client.off('error', onError);
      // A broken one is not used again.
      client.release(failure);
    }
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }
}

/** A transaction under way. */
export class Transaction {
  readonly #client: PoolClient;

  constructor(client: PoolClient) {
    this.#client = client;
  }

  async query<Row extends QueryResultRow>(text: string, values: readonly unknown[]): Promise<readonly Row[]> {
    return (await this.#client.query<Row>(text, values.map(storable))).rows;
  }
}

/** PostgreSQL has no text with a zero in it. */
function storable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(storable);
  return typeof value === 'string' ? value.replaceAll('\u0000', '\uFFFD') : value;
}
