/** Rows of cold threads in a file of SQLite, for the processes of one machine. */
import type { ColdName, ColdRow, ColdRows } from '../../runs/cold-row.ts';
import { LibraryThread } from './thread-calls.ts';

export class SqliteColdRows implements ColdRows {
  readonly #thread: LibraryThread;

  private constructor(path: string) {
    this.#thread = new LibraryThread({ path, role: 'cold' });
  }

  /** @throws {CannotStart} where the file cannot be opened, or is of another version. */
  static async open(path: string): Promise<SqliteColdRows> {
    const rows = new SqliteColdRows(path);
    await rows.#thread.open();
    return rows;
  }

  async keep(rows: readonly ColdRow[]): Promise<void> {
    return this.#thread.call('keep', [rows]);
  }

  async card(version: string) {
    return this.#thread.call('card', [version]);
  }

  async fetch(version: string) {
    return this.#thread.call('fetch', [version]);
  }

  async drop(versions: readonly string[]): Promise<void> {
    return this.#thread.call('drop', [versions]);
  }

  async walk(owner: string, after: string, untilMs: number, limit: number): Promise<readonly ColdName[]> {
    return this.#thread.call('walk', [owner, after, untilMs, limit]);
  }

  async close(): Promise<void> {
    await this.#thread.close();
  }
}
