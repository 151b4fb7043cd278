/** Something that is being loaded, has come, or could not be had. */
import { html, nothing, type TemplateResult } from 'lit-html';
import { isAbort, isAway, wordsOf, type App } from './app.ts';
import { onReturn, waitWords } from './returning.ts';
import { say } from './say.ts';

export class Loaded<T> {
  value: T | null = null;
  problem: string | null = null;
  readonly #app: App;
  readonly #load: (signal: AbortSignal) => Promise<T>;
  #aborter = new AbortController();

  constructor(app: App, load: (signal: AbortSignal) => Promise<T>) {
    this.#app = app;
    this.#load = load;
    void this.again();
  }

  /** Loads it again; what was there stays until it has come. */
  async again(): Promise<void> {
    this.close();
    this.#aborter = new AbortController();
    const { signal } = this.#aborter;
    try {
      const value = await this.#load(signal);
      if (signal.aborted) return;
      this.value = value;
      this.problem = null;
    } catch (error) {
      if (signal.aborted || isAbort(error)) return;
      this.problem = wordsOf(error);
      if (isAway(error)) {
        this.problem += waitWords();
        onReturn(() => void this.again(), signal);
      }
    }
    this.#app.redraw();
  }

  close(): void {
    this.#aborter.abort();
  }

  /** What it is drawn as, or why there is nothing to draw. */
  view(draw: (value: T) => TemplateResult): TemplateResult {
    const { value, problem } = this;
    const trouble = problem === null ? nothing : problemView(problem, () => void this.again());
    if (value !== null) return html`${trouble}${draw(value)}`;
    return problem === null
      ? html`<p class="quiet" aria-busy="true">${say('Loading …', '加载中……')}</p>`
      : html`${trouble}`;
  }
}

/** A problem in place of what could not be shown. */
export function problemView(problem: string, again?: () => void): TemplateResult {
  return html`<div class="problem" role="alert">
    <p>${problem}</p>
    ${again === undefined ? nothing : html`<button @click=${again}>${say('Try again', '重试')}</button>`}
  </div>`;
}
