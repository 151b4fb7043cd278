/** Files that other objects name: their names, and their pictures. Each is asked for once, when it is first drawn. */
import { html, type TemplateResult } from 'lit-html';
import { wordsOf, type App } from '../app.ts';
import { say } from '../say.ts';
import type { StoredFile } from '../wire.ts';
import { link } from '../views.ts';
import { isMissing } from './deleting.ts';
import { pictureType, HEAD_BYTES } from './pictures.ts';

/** The names of files by their ids. */
export class FileNames {
  readonly #app: App;
  readonly #names = new Map<string, string>();

  constructor(app: App) {
    this.#app = app;
  }

  /** The name of a file as a link to its page; its id until the name is known. */
  link(id: string): TemplateResult {
    return link(`/files/${encodeURIComponent(id)}`, this.of(id), 'name');
  }

  /** The name, as far as it is known; empty where it is not. */
  known(id: string): string {
    return this.#names.get(id) ?? '';
  }

  of(id: string): string {
    const known = this.#names.get(id);
    if (known !== undefined) return known;
    this.#names.set(id, id);
    void this.#ask(id);
    return id;
  }

  async #ask(id: string): Promise<void> {
    try {
      const file: StoredFile = await this.#app.api.get(`/files/${encodeURIComponent(id)}`);
      this.#names.set(id, file.filename);
    } catch (error) {
      if (isMissing(error)) this.#names.set(id, say(`${id} (deleted)`, `${id}（已删除）`));
    }
    this.#app.redraw();
  }
}

interface SentPicture {
  readonly url: string | null;
  readonly problem: string | null;
}

/** SentPictures that were uploaded, fetched with the reader's key. */
export class SentPictures {
  readonly #app: App;
  readonly #shown = new Map<string, SentPicture>();
  readonly #aborter = new AbortController();

  constructor(app: App) {
    this.#app = app;
  }

  view(id: string, words: string): TemplateResult {
    const { url, problem } = this.#of(id);
    if (problem !== null) return html`<p class="failure">${problem}</p>`;
    return url === null
      ? html`<p class="quiet" aria-busy="true">${say('Loading the picture …', '正在加载图片……')}</p>`
      : html`<img class="picture" src=${url} alt=${words} />`;
  }

  /** Gives the memory back. */
  close(): void {
    this.#aborter.abort();
    for (const { url } of this.#shown.values()) if (url !== null) URL.revokeObjectURL(url);
  }

  #of(id: string): SentPicture {
    const known = this.#shown.get(id);
    if (known !== undefined) return known;
    const none = { url: null, problem: null };
    this.#shown.set(id, none);
    void this.#load(id);
    return none;
  }

  async #load(id: string): Promise<void> {
    const { signal } = this.#aborter;
    try {
      const blob = await this.#app.api.blob(`/files/${encodeURIComponent(id)}/content`, signal);
      const type = pictureType(new Uint8Array(await blob.slice(0, HEAD_BYTES).arrayBuffer()));
      if (signal.aborted) return;
      this.#shown.set(
        id,
        type === null
          ? { url: null, problem: say('This file is no picture.', '该文件不是图片。') }
          : { url: URL.createObjectURL(new Blob([blob], { type })), problem: null },
      );
    } catch (error) {
      if (signal.aborted) return;
      const words = isMissing(error) ? say('The picture was deleted.', '图片已被删除。') : wordsOf(error);
      this.#shown.set(id, { url: null, problem: words });
    }
    this.#app.redraw();
  }
}
