/** Rows of cold threads in the memory of a test, which can lose them and be away. */
import type { ColdName, ColdRow, ColdRows } from '../../src/runs/cold-row.ts';

export class MemoryRows implements ColdRows {
  readonly rows = new Map<string, ColdRow>();
  /** What is thrown instead of an answer. */
  away: Error | null = null;
  /** How often a row was asked for. */
  fetches = 0;
  /** Called when rows are kept, before that is answered. */
  onKeep: () => Promise<void> = async () => {};
  /** Called before a row is given. */
  onFetch: () => Promise<void> = async () => {};

  async keep(rows: readonly ColdRow[]): Promise<void> {
    this.#answer();
    for (const row of rows) if (!this.rows.has(row.version)) this.rows.set(row.version, row);
    await this.onKeep();
  }

  async card(version: string): Promise<ColdRow | null> {
    this.#answer();
    return this.rows.get(version) ?? null;
  }

  async fetch(version: string): Promise<ColdRow | null> {
    this.#answer();
    this.fetches += 1;
    const row = this.rows.get(version) ?? null;
    await this.onFetch();
    return row;
  }

  async drop(versions: readonly string[]): Promise<void> {
    this.#answer();
    for (const version of versions) this.rows.delete(version);
  }

  async walk(owner: string, after: string, untilMs: number, limit: number): Promise<readonly ColdName[]> {
    this.#answer();
    return [...this.rows.values()]
      .filter((row) => row.owner === owner && row.version > after && row.madeMs < untilMs)
      .toSorted((a, b) => (a.version < b.version ? -1 : 1))
      .slice(0, limit);
  }

  async close(): Promise<void> {}

  #answer(): void {
    if (this.away !== null) throw this.away;
  }
}
