/** The runs of the list: loaded page by page, newest first, and changed by news of the service. */
import type { RunNews } from '../admin-stream.ts';
import { isAbort, wordsOf, type App } from '../app.ts';
import type { List, Run } from '../wire.ts';
import { fits, wantedBy, type RunFilters } from './filters.ts';
import { rowOf, toldRow, type RunRow } from './row.ts';

const PAGE = 100;
/** How many are read again after news were missed; older ones stay as they were. */
const MOST_READ_AGAIN = 500;

export class RunRows {
  /** Whether the oldest that fits is there. */
  isWhole = false;
  problem: string | null = null;
  /** News that would move what is being read, newest first. */
  fresh: readonly RunRow[] = [];
  readonly #app: App;
  readonly #filters: RunFilters;
  /** Unix seconds, by the server's clock. */
  readonly #now: () => number;
  readonly #rows = new Map<string, RunRow>();
  /** Ids, newest first. */
  #order: string[] = [];
  readonly #aborter = new AbortController();
  /** Where the next page begins. */
  #cursor: string | null = null;
  #isLoading = false;
  #isReadingAgain = false;
  /** News that came before the first page did. */
  #early: RunNews[] = [];
  /** Runs of which there were news while the list was read again: these know better. */
  readonly #told = new Set<string>();

  constructor(app: App, filters: RunFilters, now: () => number) {
    this.#app = app;
    this.#filters = filters;
    this.#now = now;
    void this.more();
  }

  get length(): number {
    return this.#order.length;
  }

  /** Whether nothing has been loaded yet. */
  get isNew(): boolean {
    return this.#cursor === null && !this.isWhole;
  }

  /** Some of them. @param from counted from the newest */
  slice(from: number, to: number): readonly RunRow[] {
    return this.#order.slice(from, to).flatMap((id) => this.#rows.get(id) ?? []);
  }

  close(): void {
    this.#aborter.abort();
  }

  /** Loads the next page, unless that is under way. */
  async more(): Promise<void> {
    if (this.#isLoading || this.isWhole) return;
    this.#isLoading = true;
    try {
      // Pages may be empty where few runs fit: the server looks at so many at a time.
      for (let found = 0; found === 0 && !this.isWhole;) {
        const page = await this.#page(this.#cursor);
        const added = page.data.filter(({ id }) => !this.#rows.has(id));
        found = added.length;
        for (const run of added) this.#rows.set(run.id, rowOf(run));
        this.#order.push(...added.map(({ id }) => id));
        this.#cursor = page.last_id ?? this.#cursor;
        this.isWhole = !page.has_more;
      }
      this.problem = null;
    } catch (error) {
      if (this.#aborter.signal.aborted || isAbort(error)) return;
      this.problem = wordsOf(error);
    } finally {
      this.#isLoading = false;
    }
    for (const news of this.#early.splice(0)) this.take(news, true);
    this.#app.redraw();
  }

  /** Takes news of a run. @param isAtTop whether the list may grow at its top without moving what is being read */
  take(news: RunNews, isAtTop: boolean): void {
    if (this.isNew) return void this.#early.push(news);
    const row = toldRow(news);
    this.#told.add(row.id);
    const isWanted = fits(this.#filters, row);
    const known = this.#rows.get(row.id);
    if (known !== undefined) {
      this.#rows.set(row.id, { ...row, cost: row.cost ?? known.cost });
      if (!isWanted && isAtTop) this.#remove(row.id);
    } else if (this.fresh.some(({ id }) => id === row.id)) {
      this.fresh = this.fresh
        .map((each) => (each.id === row.id ? row : each))
        .filter((each) => fits(this.#filters, each));
    } else if (isWanted && this.#isWithin(row)) {
      if (isAtTop) this.#insert(row);
      else this.fresh = [row, ...this.fresh];
    }
    this.#app.redraw();
  }

  /** Puts the fresh ones into the list, and takes out what does not fit any more. */
  showFresh(): void {
    for (const row of this.fresh.toReversed()) this.#insert(row);
    this.fresh = [];
    for (const row of this.#rows.values()) if (!fits(this.#filters, row)) this.#remove(row.id);
    this.#app.redraw();
  }

  /** Reads the newest again, because news were missed. */
  async again(isAtTop: () => boolean): Promise<void> {
    if (this.#isReadingAgain || this.isNew) return;
    this.#isReadingAgain = true;
    this.#told.clear();
    try {
      const most = Math.min(MOST_READ_AGAIN, this.length + PAGE);
      for (let cursor: string | null = null, read = 0; read < most;) {
        const page = await this.#page(cursor);
        for (const run of page.data) this.#takeAgain(rowOf(run), isAtTop());
        read += Math.max(1, page.data.length);
        cursor = page.last_id ?? null;
        if (!page.has_more || cursor === null) break;
      }
    } catch {
      // The connection that was lost is lost again; it says so, and with the next one this is done anew.
    } finally {
      this.#isReadingAgain = false;
    }
    this.#app.redraw();
  }

  #takeAgain(row: RunRow, isAtTop: boolean): void {
    if (this.#told.has(row.id)) return;
    if (this.#rows.has(row.id)) this.#rows.set(row.id, row);
    else if (this.#isWithin(row) && !this.fresh.some(({ id }) => id === row.id)) {
      if (isAtTop) this.#insert(row);
      else this.fresh = [...this.fresh, row];
    }
  }

  /** Whether a run is not older than what is loaded: those that are come with their page. */
  #isWithin(row: RunRow): boolean {
    const oldest = this.#rows.get(this.#order.at(-1) ?? '');
    return this.isWhole || (oldest !== undefined && row.created_at >= oldest.created_at);
  }

  #insert(row: RunRow): void {
    if (!this.#rows.has(row.id)) {
      const place = this.#order.findIndex((id) => (this.#rows.get(id)?.created_at ?? 0) <= row.created_at);
      this.#order.splice(place === -1 ? this.#order.length : place, 0, row.id);
    }
    this.#rows.set(row.id, row);
  }

  #remove(id: string): void {
    this.#rows.delete(id);
    this.#order = this.#order.filter((each) => each !== id);
  }

  async #page(after: string | null): Promise<List<Run>> {
    const query = { ...wantedBy(this.#filters, this.#now()), limit: PAGE, after };
    return this.#app.api.get<List<Run>>('/runs', query, this.#aborter.signal);
  }
}
