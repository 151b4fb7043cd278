/** Which page an address opens. A page's module is loaded when it is first opened. */
import { html } from 'lit-html';
import type { App, Page, Place } from './app.ts';
import { problemView } from './loaded.ts';
import { isThere, onReturn, waitWords } from './returning.ts';
import { say } from './say.ts';
import { link } from './views.ts';

/** Makes a page. `parts` are those of its path after its name. */
export type OpenPage = (app: App, place: Place, parts: readonly string[]) => Page;

interface Way {
  /** The folder of its module, whose style sheet counts for it. */
  readonly folder: string;
  readonly load: () => Promise<{ readonly open: OpenPage }>;
}

const PAGES: Readonly<Record<string, Way>> = {
  '': { folder: 'playground', load: async () => import('./playground/page.ts') },
  glasses: { folder: 'glasses', load: async () => import('./glasses/page.ts') },
  runs: { folder: 'runs', load: async () => import('./runs/page.ts') },
  threads: { folder: 'objects', load: async () => import('./objects/threads.ts') },
  assistants: { folder: 'objects', load: async () => import('./objects/assistants.ts') },
  files: { folder: 'objects', load: async () => import('./objects/files.ts') },
  stores: { folder: 'objects', load: async () => import('./objects/stores.ts') },
  service: { folder: 'service', load: async () => import('./service/page.ts') },
};

/** So young a page is not started again by itself, in milliseconds. */
const JUST_STARTED_MS = 10_000;

export function openPage(app: App, place: Place): Page {
  const [name = '', ...parts] = partsOf(place);
  const way = wayTo(name);
  return way === null ? nowhere() : new LoadingPage(app, place, way.load, parts);
}

/** The folder of the page at an address; empty where there is none. */
export function folderOf(place: Place): string {
  return wayTo(partsOf(place)[0] ?? '')?.folder ?? '';
}

const wayTo = (name: string): Way | null => (Object.hasOwn(PAGES, name) ? (PAGES[name] ?? null) : null);

function partsOf({ path }: Place): readonly string[] {
  try {
    return path.slice(1).split('/').map(decodeURIComponent);
  } catch {
    // Somebody has cut the address in the middle of a letter.
    return path.slice(1).split('/');
  }
}

/** Shows a page once its module is there. */
class LoadingPage implements Page {
  #page: Page | null = null;
  #problem: string | null = null;
  readonly #closing = new AbortController();

  constructor(
    app: App,
    place: Place,
    load: () => Promise<{ readonly open: OpenPage }>,
    parts: readonly string[],
  ) {
    load()
      .then(({ open }) => {
        if (!this.#closing.signal.aborted) this.#page = open(app, place, parts);
      })
      .catch(async () => this.#wait())
      .finally(app.redraw);
  }

  /** Browsers do not load a module again that they could not load: only a new start helps. */
  async #wait(): Promise<void> {
    const again = await isThere();
    this.#problem = say('The page could not be loaded.', '无法加载此页面。');
    // A start that has just failed with the server there would fail again and again.
    if (again && performance.now() < JUST_STARTED_MS) return;
    if (!again) this.#problem = say('The server is away.', '服务器没有响应。');
    this.#problem += waitWords();
    onReturn(() => location.reload(), this.#closing.signal);
  }

  get title(): string {
    return this.#page?.title ?? '';
  }

  view() {
    if (this.#page !== null) return this.#page.view();
    return this.#problem === null ? html`` : problemView(this.#problem, () => location.reload());
  }

  close(): void {
    this.#closing.abort();
    this.#page?.close?.();
  }
}

function nowhere(): Page {
  return {
    title: say('Not found', '未找到'),
    view: () =>
      html`<h1>${say('There is no such page', '没有这个页面')}</h1>
        <p>${link('', say('To the playground', '前往演练场'))}</p>`,
  };
}
