/** Which page an address opens. A page's module is loaded when it is first opened. */
import { html } from 'lit-html';
import type { App, Page, Place } from './app.ts';
import { problemView } from './loaded.ts';
import { say } from './say.ts';
import { link } from './views.ts';

/** Makes a page. `parts` are those of its path after its name. */
export type OpenPage = (app: App, place: Place, parts: readonly string[]) => Page;

const PAGES: Readonly<Record<string, () => Promise<{ readonly open: OpenPage }>>> = {
  '': async () => import('./playground/page.ts'),
  glasses: async () => import('./glasses/page.ts'),
  runs: async () => import('./runs/page.ts'),
  threads: async () => import('./objects/threads.ts'),
  assistants: async () => import('./objects/assistants.ts'),
  files: async () => import('./objects/files.ts'),
  stores: async () => import('./objects/stores.ts'),
  service: async () => import('./service/page.ts'),
};

export function openPage(app: App, place: Place): Page {
  const [name = '', ...parts] = place.path.slice(1).split('/').map(decodeURIComponent);
  const load = Object.hasOwn(PAGES, name) ? PAGES[name] : undefined;
  return load === undefined ? nowhere() : new LoadingPage(app, place, load, parts);
}

/** Shows a page once its module is there. */
class LoadingPage implements Page {
  #page: Page | null = null;
  #problem: string | null = null;
  #isClosed = false;

  constructor(
    app: App,
    place: Place,
    load: () => Promise<{ readonly open: OpenPage }>,
    parts: readonly string[],
  ) {
    load()
      .then(({ open }) => {
        if (!this.#isClosed) this.#page = open(app, place, parts);
      })
      .catch(() => {
        this.#problem = say(
          'The page could not be loaded. Is the server away?',
          '无法加载此页面。服务器是否已停止？',
        );
      })
      .finally(app.redraw);
  }

  get title(): string {
    return this.#page?.title ?? '';
  }

  view() {
    if (this.#page !== null) return this.#page.view();
    return this.#problem === null ? html`` : problemView(this.#problem, () => location.reload());
  }

  close(): void {
    this.#isClosed = true;
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
