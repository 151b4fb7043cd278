/** The live list of runs. */
import { html, nothing, type TemplateResult } from 'lit-html';
import { listenToAdmin, type AdminHello, type RunNews } from '../admin-stream.ts';
import type { App, Page, Place } from '../app.ts';
import { Loaded, problemView } from '../loaded.ts';
import { say } from '../say.ts';
import { count, empty } from '../views.ts';
import { hasEnded, type Assistant, type List, type Model } from '../wire.ts';
import { ANY_RUN, filtersIn, filtersView, isAny, pathOf, type RunFilters } from './filters.ts';
import { firstRun } from './first-run.ts';
import { RunRows } from './rows.ts';
import { hasAssistant, type RunRow } from './row.ts';
import { RowWindow } from './row-window.ts';
import { runTable } from './table.ts';

/** When fewer loaded rows than these are left below the window, more are loaded. */
const AHEAD = 60;
/** Durations so far are drawn anew, in milliseconds. */
const TICK_MS = 1_000;

export class RunListPage implements Page {
  readonly #app: App;
  readonly #assistants: Loaded<readonly Assistant[]>;
  readonly #models: Loaded<List<Model>>;
  readonly #window = new RowWindow();
  #filters: RunFilters;
  #rows: RunRows;
  #stopListening = (): void => {};
  #hello: AdminHello | null = null;
  #isLive = false;
  #trouble: string | null = null;
  /** What the server's clock is ahead of ours, in seconds. */
  #aheadS = 0;
  readonly #timer: number;
  /** What was drawn last. */
  #drawn = { from: 0, to: 0 };
  #hasOpen = false;

  constructor(app: App, place: Place) {
    this.#app = app;
    this.#filters = filtersIn(place.query);
    this.#assistants = new Loaded(app, async () => app.api.all<Assistant>('/assistants'));
    this.#models = new Loaded(app, async (signal) => app.api.get<List<Model>>('/models', {}, signal));
    this.#rows = new RunRows(app, this.#filters, this.#now);
    this.#listen();
    addEventListener('scroll', this.#onScroll, { passive: true });
    addEventListener('resize', app.redraw);
    this.#timer = setInterval(() => {
      if (this.#hasOpen) app.redraw();
    }, TICK_MS);
  }

  get title(): string {
    return say('Runs', '运行');
  }

  close(): void {
    this.#stopListening();
    this.#rows.close();
    this.#assistants.close();
    this.#models.close();
    clearInterval(this.#timer);
    removeEventListener('scroll', this.#onScroll);
    removeEventListener('resize', this.#app.redraw);
  }

  view(): TemplateResult {
    const names = this.#assistants.value ?? [];
    return html`<div class="heading">
        <h1>${this.title}</h1>
        ${this.#liveView()}
      </div>
      ${filtersView(this.#filters, {
        assistants: names,
        isOperator: this.#hello?.operator === true,
        change: this.#change,
      })}
      ${this.#freshView()} ${this.#listView(new Map(names.map(({ id, name }) => [id, name ?? id])))}`;
  }

  #listView(names: ReadonlyMap<string, string>): TemplateResult {
    const rows = this.#rows;
    const { problem } = rows;
    const trouble = problem === null ? nothing : problemView(problem, () => void rows.more());
    if (rows.length === 0) {
      if (problem !== null) return html`${trouble}`;
      if (rows.isNew) return html`<p class="quiet" aria-busy="true">${say('Loading …', '加载中……')}</p>`;
      return this.#emptyView();
    }
    const range = this.#window.range(rows.length);
    const drawn = rows.slice(range.from, range.to);
    this.#drawn = range;
    this.#hasOpen = drawn.some(({ status }) => !hasEnded(status));
    if (range.to + AHEAD > rows.length && problem === null) void rows.more();
    const table = runTable({
      rows: drawn,
      range,
      total: rows.isWhole ? rows.length : null,
      loaded: rows.length,
      window: this.#window,
      nameOf: (row) => nameOf(row, names),
      now: this.#now(),
      currency: this.#hello?.currency ?? null,
    });
    const end = rows.isWhole
      ? say(rows.length === 1 ? '1 run' : `${count(rows.length)} runs`, `共 ${count(rows.length)} 个运行`)
      : say('Loading older runs …', '正在加载更早的运行……');
    return html`${table}${trouble}
      <p class="quiet end">${end}</p>`;
  }

  #emptyView(): TemplateResult {
    if (isAny(this.#filters)) return firstRun(this.#app, this.#models.value?.data[0]?.id ?? '…');
    const words = say('No run fits these filters.', '没有符合筛选条件的运行。');
    const reset = html`<button @click=${() => this.#change(ANY_RUN)}>
      ${say('Show all runs', '显示全部运行')}
    </button>`;
    return empty(words, reset);
  }

  /** Whether news come. */
  #liveView(): TemplateResult {
    const [state, words] = this.#liveWords();
    return html`<p class="live ${state}" role="status">${words}</p>`;
  }

  #liveWords(): readonly [string, string] {
    if (this.#isLive) return ['on', say('Live', '实时')];
    if (this.#trouble !== null)
      return ['off', say(`Not live: ${this.#trouble}`, `无法实时更新：${this.#trouble}`)];
    return this.#hello === null
      ? ['', say('Connecting …', '连接中……')]
      : ['off', say('Connection lost, connecting again …', '连接已断开，正在重新连接……')];
  }

  #freshView(): TemplateResult {
    const { length } = this.#rows.fresh;
    const words = say(length === 1 ? '1 new run' : `${count(length)} new runs`, `${count(length)} 个新运行`);
    return html`<div class="fresh" aria-live="polite">
      ${length === 0 ? nothing : html`<button class="primary" @click=${this.#toTop}>${words}</button>`}
    </div>`;
  }

  readonly #toTop = (): void => {
    scrollTo(0, 0);
    document.querySelector<HTMLElement>('main')?.focus({ preventScroll: true });
    this.#rows.showFresh();
  };

  readonly #onScroll = (): void => {
    const { from, to } = this.#window.range(this.#rows.length);
    if (from !== this.#drawn.from || to !== this.#drawn.to) this.#app.redraw();
    if (this.#rows.fresh.length > 0 && this.#window.isAtTop) this.#rows.showFresh();
  };

  readonly #change = (filters: RunFilters): void => {
    const hasMoved = filters.project !== this.#filters.project;
    this.#filters = filters;
    this.#rows.close();
    this.#rows = new RunRows(this.#app, filters, this.#now);
    if (hasMoved) this.#listen();
    this.#app.note(pathOf(filters));
  };

  #listen(): void {
    this.#stopListening();
    this.#isLive = false;
    this.#trouble = null;
    const news = {
      hello: (hello: AdminHello): void => {
        this.#hello = hello;
        this.#aheadS = hello.server_time - Math.floor(Date.now() / 1_000);
        // What happened between the list and the connection is in neither.
        this.#readAgain();
      },
      run: (told: RunNews): void => this.#rows.take(told, this.#window.isAtTop),
      missed: (): void => this.#readAgain(),
      connection: (isThere: boolean, problem: string | null): void => {
        this.#isLive = isThere;
        this.#trouble = problem;
        this.#app.redraw();
      },
    };
    this.#stopListening = listenToAdmin(this.#app, news, this.#filters.project);
  }

  #readAgain(): void {
    void this.#rows.again(() => this.#window.isAtTop);
    this.#app.redraw();
  }

  readonly #now = (): number => Date.now() / 1_000 + this.#aheadS;
}

function nameOf(row: RunRow, names: ReadonlyMap<string, string>): string {
  if (!hasAssistant(row)) return say('no assistant', '无助手');
  return names.get(row.assistant_id) ?? row.assistant_id;
}
