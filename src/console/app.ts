/**
 * What all pages share. Data flows one way: the API answers, a page keeps what it was told, `redraw` draws everything that is
 * to be seen anew, and lit-html changes what differs.
 */
import type { TemplateResult } from 'lit-html';
import { Api, ApiProblem, problemOf } from './api.ts';
import { say } from './say.ts';
import { Session } from './session.ts';

/** What a page shows, and what ends with it. */
export interface Page {
  /** Stands in the title of the window. */
  readonly title: string;
  view(): TemplateResult;
  /** Ends what the page has going on, such as streams. */
  close?(): void;
}

/** An address below `/console`. */
export interface Place {
  /** `/runs/thread_1/run_1`. */
  readonly path: string;
  readonly query: URLSearchParams;
}

export const BASE = '/console';
/** How long a notice stays, in milliseconds. */
const NOTICE_MS = 6_000;

export interface Notice {
  readonly text: string;
  readonly isProblem: boolean;
}

/** A question that is to be answered before something is done. */
export interface Question {
  readonly text: string;
  /** What the button that does it says. */
  readonly action: string;
  readonly answer: (isYes: boolean) => void;
}

export class App {
  readonly session = new Session();
  readonly api = new Api(this.session, (answer) => void this.#askForKey(answer));
  page: Page | null = null;
  place: Place = placeAt(location);
  notice: Notice | null = null;
  question: Question | null = null;
  /** Whether the server wants a key that it was not given. */
  needsKey = false;
  /** The server's words about a key that is missing or wrong, once they have come. */
  keyRefusal: string | null = null;
  readonly #draw: () => void;
  readonly #open: (place: Place) => Page;
  #isDrawing = false;
  /** Whether another page was opened since the last drawing. */
  #isOther = false;
  #noticeTimer = 0;

  /** @param open makes the page of an address */
  constructor(draw: (app: App) => void, open: (app: App, place: Place) => Page) {
    this.#draw = () => draw(this);
    this.#open = (place) => open(this, place);
    addEventListener('popstate', () => this.#showOther());
  }

  start(): void {
    this.#show();
  }

  /** Draws everything anew with the next frame. */
  redraw = (): void => {
    if (this.#isDrawing) return;
    this.#isDrawing = true;
    requestAnimationFrame(() => {
      this.#isDrawing = false;
      document.title = `${this.page?.title ?? ''} · Longrun`;
      this.#draw();
      this.#focus();
    });
  };

  /** Goes to an address below `/console`, as a link to it does. */
  go(path: string, { replaces = false }: { readonly replaces?: boolean } = {}): void {
    history[replaces ? 'replaceState' : 'pushState'](null, '', BASE + path);
    this.#showOther();
  }

  /** Notes in the address what the page shows now, without opening it anew. */
  note(path: string): void {
    history.replaceState(null, '', BASE + path);
    this.place = placeAt(location);
    this.redraw();
  }

  /** Opens the page anew: with another key, or in another language. */
  reload(): void {
    this.needsKey = false;
    this.keyRefusal = null;
    this.#show();
  }

  tell(text: string, isProblem = false): void {
    this.notice = { text, isProblem };
    clearTimeout(this.#noticeTimer);
    this.#noticeTimer = setTimeout(() => this.dismiss(), NOTICE_MS);
    this.redraw();
  }

  dismiss(): void {
    this.notice = null;
    this.redraw();
  }

  /** Whether the reader wants it done. */
  async ask(text: string, action: string): Promise<boolean> {
    return new Promise((resolve) => {
      this.question = {
        text,
        action,
        answer: (isYes) => {
          this.question = null;
          this.redraw();
          resolve(isYes);
        },
      };
      this.redraw();
    });
  }

  /** Does something for the reader, and tells what went wrong. @returns undefined where something did */
  async attempt<T>(work: Promise<T> | (() => Promise<T>)): Promise<T | undefined> {
    try {
      return await (typeof work === 'function' ? work() : work);
    } catch (error) {
      if (!isAbort(error)) this.tell(wordsOf(error), true);
      return undefined;
    } finally {
      this.redraw();
    }
  }

  #showOther(): void {
    this.#isOther = true;
    this.#show();
  }

  /** The link that was followed is gone, or above the page: the keyboard goes on in the page, unless it took the focus itself. */
  #focus(): void {
    if (!this.#isOther) return;
    this.#isOther = false;
    const main = document.querySelector('main');
    if (main?.contains(document.activeElement) === false) main.focus({ preventScroll: true });
  }

  #show(): void {
    this.page?.close?.();
    this.place = placeAt(location);
    this.page = this.#open(this.place);
    scrollTo(0, 0);
    this.redraw();
  }

  async #askForKey(answer: Response): Promise<void> {
    this.needsKey = true;
    this.redraw();
    this.keyRefusal = (await problemOf(answer)).message;
    this.redraw();
  }
}

/** What an error says to people. */
export function wordsOf(error: unknown): string {
  if (error instanceof ApiProblem) return error.message;
  return say(`Something in this page went wrong: ${String(error)}`, `此页面出错：${String(error)}`);
}

/** Whether the server gave no answer at all. */
export function isAway(error: unknown): boolean {
  return error instanceof ApiProblem && error.status === 0;
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}

function placeAt({ pathname, search }: Location): Place {
  const path = pathname.startsWith(BASE) ? pathname.slice(BASE.length) : '';
  return { path: path.replace(/\/+$/, '') || '/', query: new URLSearchParams(search) };
}
