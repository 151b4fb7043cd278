/** Files that messages and runs name: what they are called, and the pictures among them. Each is asked for once, when it is first drawn. */
import { html, type TemplateResult } from 'lit-html';
import { isMissing } from './api.ts';
import { wordsOf, type App } from './app.ts';
import { download } from './download.ts';
import { HEAD_BYTES, pictureType } from './picture-type.ts';
import { plainName } from './plain-name.ts';
import { say } from './say.ts';
import { link } from './views.ts';
import type { StoredFile } from './wire.ts';

const pathOf = (id: string): string => `/files/${encodeURIComponent(id)}`;

/** The names of files by their ids. */
export class FileNames {
  /** Grows with each name that has come. */
  version = 0;
  readonly #app: App;
  readonly #names = new Map<string, string>();

  constructor(app: App) {
    this.#app = app;
  }

  /** The name of a file as a link to its page; its id until the name is known. */
  link(id: string): TemplateResult {
    return link(pathOf(id), this.of(id), 'name');
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

  /** Knows a file that was just uploaded. */
  know({ id, filename }: StoredFile): void {
    this.#names.set(id, plainName(filename));
  }

  async #ask(id: string): Promise<void> {
    try {
      this.know(await this.#app.api.get<StoredFile>(pathOf(id)));
    } catch (error) {
      if (isMissing(error)) this.#names.set(id, say(`${id} (deleted)`, `${id}（已删除）`));
    }
    this.version += 1;
    this.#app.redraw();
  }
}

/** One picture: what it is shown from, or why it cannot be. Both are null while it is loaded. */
interface Picture {
  readonly url: string | null;
  readonly problem: string | null;
}

/** Pictures, fetched with the reader's key: an address alone would not show them. */
export class FilePictures {
  /** Grows with each picture that has come. */
  version = 0;
  readonly #app: App;
  readonly #shown = new Map<string, Picture>();
  readonly #aborter = new AbortController();

  constructor(app: App) {
    this.#app = app;
  }

  /** @param words what those hear who do not see it */
  view(id: string, words: string): TemplateResult {
    const { url, problem } = this.#of(id);
    if (problem !== null) return html`<p class="quiet">${problem}</p>`;
    return url === null
      ? html`<p class="quiet" aria-busy="true">${say('Loading the picture …', '正在加载图片……')}</p>`
      : html`<img class="picture" src=${url} alt=${words} />`;
  }

  /** Gives the memory back. */
  close(): void {
    this.#aborter.abort();
    for (const { url } of this.#shown.values()) if (url !== null) URL.revokeObjectURL(url);
  }

  #of(id: string): Picture {
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
      const blob = await this.#app.api.blob(`${pathOf(id)}/content`, signal);
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
    this.version += 1;
    this.#app.redraw();
  }
}

/** Names and pictures of one page, and how a file gets to the reader's machine. */
export class StoredFiles {
  readonly names: FileNames;
  readonly pictures: FilePictures;
  readonly #app: App;

  constructor(app: App) {
    this.#app = app;
    this.names = new FileNames(app);
    this.pictures = new FilePictures(app);
  }

  /** Grows with everything that has come. */
  get version(): number {
    return this.names.version + this.pictures.version;
  }

  /** Saves a file under the last part of its name. */
  async save(id: string): Promise<void> {
    const blob = await this.#app.attempt(this.#app.api.blob(`${pathOf(id)}/content`));
    if (blob !== undefined) download(blob, this.names.of(id).split('/').at(-1) ?? id);
  }

  close(): void {
    this.pictures.close();
  }
}
