/** One file: what it is, what is in it, and where it is used. */
import { html, nothing, type TemplateResult } from 'lit-html';
import type { App, Page } from '../app.ts';
import { Loaded } from '../loaded.ts';
import { say } from '../say.ts';
import type { StoredFile } from '../wire.ts';
import { copyButton, count, facts, idView, link, moment, size } from '../views.ts';
import { deleteOne } from './deleting.ts';
import { download } from '../download.ts';
import { Preview } from './preview.ts';
import { Used } from './used.ts';

export class FilePage implements Page {
  readonly #app: App;
  readonly #path: string;
  readonly #file: Loaded<StoredFile>;
  #preview: Preview | null = null;
  #used: Used | null = null;
  #isDownloading = false;

  constructor(app: App, id: string) {
    this.#app = app;
    this.#path = `/files/${encodeURIComponent(id)}`;
    this.#file = new Loaded(app, async (signal) => {
      const file: StoredFile = await app.api.get(this.#path, {}, signal);
      this.#preview ??= new Preview(app, file);
      this.#used ??= new Used(app, id);
      return file;
    });
  }

  get title(): string {
    return this.#file.value?.filename ?? say('File', '文件');
  }

  view(): TemplateResult {
    return html`<p class="back">${link('/files', say('← Files', '← 文件'))}</p>
      <h1 class="name">${this.title}</h1>
      ${this.#file.view((file) => this.#fileView(file))}`;
  }

  close(): void {
    this.#file.close();
    this.#preview?.close();
    this.#used?.close();
  }

  #fileView(file: StoredFile): TemplateResult {
    const { id, bytes, purpose, created_at: at, expires_at: end } = file;
    return html`<div class="buttons">
        <button class="primary" @click=${() => void this.#download(file)} ?disabled=${this.#isDownloading}>
          ${say('Download', '下载')}
        </button>
        ${copyButton(() => id, say('Copy id', '复制 ID'))}
        <button class="danger" @click=${() => void this.#delete()}>${say('Delete file', '删除文件')}</button>
      </div>
      <section class="section">
        ${facts([
          ['ID', idView(id)],
          [
            say('Size', '大小'),
            say(`${size(bytes)} (${count(bytes)} bytes)`, `${size(bytes)}（${count(bytes)} 字节）`),
          ],
          [say('Purpose', '用途'), purpose],
          [say('Created', '创建时间'), moment(at)],
          [say('Expires', '过期时间'), end == null ? null : moment(end)],
        ])}
      </section>
      <section class="section">
        <h2>${say('Used by', '被以下向量库和助手使用')}</h2>
        ${this.#used?.view() ?? nothing}
      </section>
      <section class="section">
        <h2>${say('Content', '内容')}</h2>
        ${this.#preview?.view() ?? nothing}
      </section>`;
  }

  async #download({ filename }: StoredFile): Promise<void> {
    this.#isDownloading = true;
    this.#app.redraw();
    await this.#app.attempt(async () =>
      download(await this.#app.api.blob(`${this.#path}/content`), filename),
    );
    this.#isDownloading = false;
    this.#app.redraw();
  }

  async #delete(): Promise<void> {
    const question = say(
      'Delete this file? Its bytes are lost for good, and every vector store forgets it. Messages that show or cite it stay, without it.',
      '删除此文件吗？内容将永久丢失，并会从所有向量库中移除。显示或引用它的消息会保留，但无法再打开文件。',
    );
    if (await deleteOne(this.#app, this.#path, question, say('Delete', '删除'))) this.#app.go('/files');
  }
}
