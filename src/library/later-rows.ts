/** Rows of cold threads, whose place is opened when it is first needed. Where that fails, the next call tries again. */
import type { ColdName, ColdRow, ColdRows } from '../runs/cold-row.ts';

export class LaterColdRows implements ColdRows {
  readonly #open: () => Promise<ColdRows>;
  #rows: Promise<ColdRows> | null = null;

  constructor(open: () => Promise<ColdRows>) {
    this.#open = open;
  }

  async keep(rows: readonly ColdRow[]): Promise<void> {
    if (rows.length > 0) await (await this.#opened()).keep(rows);
  }

  async card(version: string) {
    return (await this.#opened()).card(version);
  }

  async fetch(version: string) {
    return (await this.#opened()).fetch(version);
  }

  async drop(versions: readonly string[]): Promise<void> {
    if (versions.length > 0) await (await this.#opened()).drop(versions);
  }

  async walk(owner: string, after: string, untilMs: number, limit: number): Promise<readonly ColdName[]> {
    return (await this.#opened()).walk(owner, after, untilMs, limit);
  }

  async close(): Promise<void> {
    await (await this.#rows)?.close();
  }

  async #opened(): Promise<ColdRows> {
    this.#rows ??= this.#open().catch((error: unknown) => {
      this.#rows = null;
      throw error;
    });
    return this.#rows;
  }
}
