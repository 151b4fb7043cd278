/** Pictures of a run, fetched with the reader's key: an address alone would not show them. */
import { html, type TemplateResult } from 'lit-html';
import { wordsOf, type App } from '../app.ts';
import { say } from '../say.ts';

type Picture = { readonly url: string } | { readonly problem: string } | null;

export class Pictures {
  readonly #app: App;
  /** By file; null while one is loaded. */
  readonly #pictures = new Map<string, Picture>();
  readonly #aborter = new AbortController();

  constructor(app: App) {
    this.#app = app;
  }

  view(fileId: string, words: string): TemplateResult {
    const picture = this.#pictures.get(fileId);
    if (picture === undefined) void this.#load(fileId);
    if (picture == null)
      return html`<p class="quiet" aria-busy="true">${say('Loading a picture …', '图片加载中……')}</p>`;
    if ('problem' in picture)
      return html`<p class="quiet">
        ${say('A picture that cannot be shown: ', '无法显示的图片：')}${picture.problem}
      </p>`;
    return html`<img class="picture" src=${picture.url} alt=${words} />`;
  }

  close(): void {
    this.#aborter.abort();
    for (const picture of this.#pictures.values())
      if (picture !== null && 'url' in picture) URL.revokeObjectURL(picture.url);
  }

  async #load(fileId: string): Promise<void> {
    this.#pictures.set(fileId, null);
    try {
      const path = `/files/${encodeURIComponent(fileId)}/content`;
      const blob = await this.#app.api.blob(path, this.#aborter.signal);
      if (this.#aborter.signal.aborted) return;
      this.#pictures.set(fileId, { url: URL.createObjectURL(blob) });
    } catch (error) {
      this.#pictures.set(fileId, { problem: wordsOf(error) });
    }
    this.#app.redraw();
  }
}
