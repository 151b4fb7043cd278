/** A list of objects: loaded page by page, searched, chosen from, deleted. Its view is in list-view.ts. */
import { ApiProblem } from '../api.ts';
import { isAbort, isAway, wordsOf, type App } from '../app.ts';
import { onReturn, waitWords } from '../returning.ts';
import type { List } from '../wire.ts';
import { deleteAll, tellOutcome, type Progress } from './deleting.ts';
import type { Kind, Listed } from './kind.ts';
import { Rows } from './rows.ts';

type Query = Readonly<Record<string, string | number | undefined>>;

const PAGE = 100;
/** A page may be empty where the API filters, although there are more. So many of those are read in one go. */
const MOST_EMPTY_PAGES = 20;
/** What one button loads in order to search all. */
const MOST_LOADED = 20_000;

export class ObjectList<T extends Listed> {
  readonly app: App;
  readonly kind: Kind<T>;
  readonly rows: Rows;
  items: readonly T[] = [];
  hasMore = true;
  isLoading = false;
  /** By the time at which they were made. */
  order: 'asc' | 'desc' = 'desc';
  problem: string | null = null;
  /** What is searched for in those that are loaded. */
  words = '';
  /** What the API filters by. */
  filter: Query = {};
  /** Ids. */
  readonly chosen = new Set<string>();
  deleting: Progress | null = null;
  #cursor: string | undefined;
  #aborter = new AbortController();

  constructor(app: App, kind: Kind<T>, filter: Query = {}) {
    this.app = app;
    this.kind = kind;
    this.filter = filter;
    this.rows = new Rows(app.redraw, () => void this.more());
    void this.reload();
  }

  /** Those that the search finds. */
  get shown(): readonly T[] {
    const wanted = this.words.trim().toLowerCase();
    if (wanted === '') return this.items;
    return this.items.filter((item) => this.kind.searched(item).toLowerCase().includes(wanted));
  }

  /** Begins anew, as far as it was loaded; what is there stays until the rest has come. */
  async reload(): Promise<void> {
    const wanted = Math.max(1, this.items.length);
    await this.#read(async (signal) => {
      const found: T[] = [];
      let after: string | undefined;
      let hasMore = true;
      while (hasMore && found.length < wanted) {
        const page = await this.#page(after, signal);
        found.push(...page.items);
        ({ after, hasMore } = page);
      }
      this.#take(found, after, hasMore);
    });
  }

  /** Shows others: those that the API finds by this filter. */
  async filterBy(filter: Query): Promise<void> {
    this.filter = filter;
    await this.#anew();
  }

  async sortBy(order: 'asc' | 'desc'): Promise<void> {
    this.order = order;
    await this.#anew();
  }

  /** Looks again whether what is there has changed; says nothing, and does not disturb what is being loaded. */
  async refresh(): Promise<void> {
    if (this.isLoading || this.problem !== null) return;
    await this.reload();
  }

  async more(): Promise<void> {
    if (this.isLoading || !this.hasMore || this.problem !== null) return;
    await this.#read(async (signal) => this.#readOn(signal));
  }

  async loadAll(): Promise<void> {
    await this.#read(async (signal) => {
      while (this.hasMore && this.items.length < MOST_LOADED) {
        await this.#readOn(signal);
        this.app.redraw();
      }
    });
  }

  choose(id: string, isChosen: boolean): void {
    if (isChosen) this.chosen.add(id);
    else this.chosen.delete(id);
    this.app.redraw();
  }

  chooseAll(areChosen: boolean): void {
    for (const { id } of this.shown) {
      if (areChosen) this.chosen.add(id);
      else this.chosen.delete(id);
    }
    this.app.redraw();
  }

  /** Deletes the chosen ones after one question. */
  async deleteChosen(): Promise<void> {
    const { app, kind } = this;
    const ids = [...this.chosen];
    if (!(await app.ask(kind.question(ids.length), kind.deleteWords()))) return;
    const outcome = await deleteAll(app.api, kind.path, ids, (progress) => {
      this.deleting = progress;
      app.redraw();
    });
    this.deleting = null;
    this.forget([...outcome.deleted, ...outcome.gone]);
    tellOutcome(app, outcome);
  }

  /** Puts one that was just made where new ones are, or changes it where it is. */
  put(item: T): void {
    const isThere = this.items.some(({ id }) => id === item.id);
    if (isThere) this.items = this.items.map((old) => (old.id === item.id ? item : old));
    else if (this.order === 'desc') this.items = [item, ...this.items];
    // Where the end is not loaded yet, it comes with the rest.
    else if (!this.hasMore) this.items = [...this.items, item];
    this.app.redraw();
  }

  /** Takes out what is not there any more. */
  forget(ids: readonly string[]): void {
    const gone = new Set(ids);
    for (const id of ids) this.chosen.delete(id);
    this.items = this.items.filter(({ id }) => !gone.has(id));
    // The API knows no cursor that was deleted.
    if (this.#cursor !== undefined && gone.has(this.#cursor)) this.#cursor = this.items.at(-1)?.id;
    if (this.items.length === 0 && this.hasMore) void this.reload();
    this.app.redraw();
  }

  close(): void {
    this.#aborter.abort();
  }

  async #anew(): Promise<void> {
    this.items = [];
    this.chosen.clear();
    await this.reload();
  }

  /** Ends what is being read, and reads something else. */
  async #read(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    this.#aborter.abort();
    this.#aborter = new AbortController();
    const { signal } = this.#aborter;
    this.isLoading = true;
    this.problem = null;
    this.app.redraw();
    try {
      await work(signal);
    } catch (error) {
      if (signal.aborted || isAbort(error)) return;
      this.problem = wordsOf(error);
      if (isAway(error)) {
        this.problem += waitWords();
        onReturn(() => void this.reload(), signal);
      }
    }
    if (signal.aborted) return;
    this.isLoading = false;
    this.app.redraw();
  }

  async #readOn(signal: AbortSignal): Promise<void> {
    try {
      const { items, after, hasMore } = await this.#page(this.#cursor, signal);
      this.#take([...this.items, ...items], after, hasMore);
    } catch (error) {
      // Somebody has deleted the object that the cursor names.
      const isLost = error instanceof ApiProblem && error.status === 400 && this.#cursor !== undefined;
      if (!isLost) throw error;
      this.items = [];
      const { items, after, hasMore } = await this.#page(undefined, signal);
      this.#take(items, after, hasMore);
    }
  }

  /** The next objects; reads on over empty pages. */
  async #page(
    from: string | undefined,
    signal: AbortSignal,
  ): Promise<{
    readonly items: readonly T[];
    readonly after: string | undefined;
    readonly hasMore: boolean;
  }> {
    let after = from;
    for (let pages = 1; ; pages += 1) {
      const query = { limit: PAGE, order: this.order, ...this.filter, after };
      const page: List<T> = await this.app.api.get(this.kind.path, query, signal);
      const next = page.last_id ?? page.data.at(-1)?.id;
      const hasMore = page.has_more && next !== undefined;
      after = next ?? after;
      if (page.data.length > 0 || !hasMore || pages >= MOST_EMPTY_PAGES)
        return { items: page.data, after, hasMore };
    }
  }

  #take(items: readonly T[], cursor: string | undefined, hasMore: boolean): void {
    // One that was made meanwhile moves the others.
    this.items = [...new Map(items.map((item) => [item.id, item])).values()];
    this.#cursor = cursor;
    this.hasMore = hasMore;
    const there = new Set(this.items.map(({ id }) => id));
    for (const id of this.chosen) if (!there.has(id)) this.chosen.delete(id);
  }
}
