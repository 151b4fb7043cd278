/** A search in a vector store, as assistants make them. */
import { html, nothing, type TemplateResult } from 'lit-html';
import { isAbort, wordsOf, type App } from '../app.ts';
import { submitted, textIn } from '../forms.ts';
import { say } from '../say.ts';
import type { List, StoreHit } from '../wire.ts';
import { link } from '../views.ts';

const MOST_RESULTS = 10;

export class StoreSearch {
  readonly #app: App;
  readonly #path: string;
  #hits: readonly StoreHit[] | null = null;
  #problem: string | null = null;
  #isSearching = false;
  #aborter = new AbortController();

  constructor(app: App, storeId: string) {
    this.#app = app;
    this.#path = `/vector_stores/${encodeURIComponent(storeId)}/search`;
  }

  view(): TemplateResult {
    return html`<form class="filters" role="search" @submit=${submitted((form) => void this.#search(form))}>
        <label
          >${say('Question or words', '问题或关键词')}<input
            name="query"
            type="search"
            required
            maxlength="4096"
            size="32"
        /></label>
        <button class="primary" ?disabled=${this.#isSearching}>
          ${say('Search in the store', '在库中搜索')}
        </button>
      </form>
      ${this.#problem === null ? nothing : html`<p class="problem" role="alert">${this.#problem}</p>`}
      <div aria-live="polite">${this.#hits === null ? nothing : hitsView(this.#hits)}</div>`;
  }

  close(): void {
    this.#aborter.abort();
  }

  async #search(form: FormData): Promise<void> {
    this.#aborter.abort();
    this.#aborter = new AbortController();
    const { signal } = this.#aborter;
    this.#isSearching = true;
    this.#problem = null;
    this.#app.redraw();
    try {
      const body = { query: textIn(form, 'query'), max_num_results: MOST_RESULTS };
      this.#hits = (await this.#app.api.post<List<StoreHit>>(this.#path, body, signal)).data;
    } catch (error) {
      if (isAbort(error)) return;
      this.#hits = null;
      this.#problem = wordsOf(error);
    }
    this.#isSearching = false;
    this.#app.redraw();
  }
}

function hitsView(hits: readonly StoreHit[]): TemplateResult {
  if (hits.length === 0)
    return html`<p class="quiet">
      ${say('Nothing found. Other words may help; files that failed are not searched.', '没有找到。可换个说法；索引失败的文件不会被检索。')}
    </p>`;
  return html`<ol class="hits">
    ${hits.map(
      ({ file_id: id, filename, score, content }) =>
        html`<li>
          <p>
            ${link(`/files/${encodeURIComponent(id)}`, filename, 'name')}
            <span class="quiet">${say('score', '得分')} ${score.toFixed(3)}</span>
          </p>
          <blockquote class="passage">${content.map(({ text }) => text).join('\n')}</blockquote>
        </li>`,
    )}
  </ol>`;
}
