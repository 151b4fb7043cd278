/** One vector store: its files, a search in it, and what may be changed about it. */
import { html, nothing, type TemplateResult } from 'lit-html';
import type { App, Page } from '../app.ts';
import { Loaded } from '../loaded.ts';
import { say } from '../say.ts';
import type { VectorStore } from '../wire.ts';
import { copyButton, count, facts, idView, link, moment, size } from '../views.ts';
import { deleteOne } from './deleting.ts';
import { MetadataEditor, metadataView } from './metadata.ts';
import { StoreEditor } from './store-editor.ts';
import { StoreFiles } from './store-files.ts';
import { StoreSearch } from './store-search.ts';
import { storeStatus } from './store-status.ts';

/** How often the store is asked while files are being indexed, in milliseconds. */
const POLL_MS = 1_000;

export class StorePage implements Page {
  readonly #app: App;
  readonly #path: string;
  readonly #store: Loaded<VectorStore>;
  readonly #files: StoreFiles;
  readonly #search: StoreSearch;
  #editor: StoreEditor | MetadataEditor<VectorStore> | null = null;
  #timer = 0;
  #isClosed = false;

  constructor(app: App, id: string) {
    this.#app = app;
    this.#path = `/vector_stores/${encodeURIComponent(id)}`;
    this.#files = new StoreFiles(app, id, () => void this.#store.again());
    this.#search = new StoreSearch(app, id);
    this.#store = new Loaded(app, async (signal) => {
      const store: VectorStore = await app.api.get(this.#path, {}, signal);
      if (store.file_counts.in_progress > 0) this.#askLater();
      return store;
    });
  }

  get title(): string {
    return this.#store.value?.name || say('Vector store', '向量库');
  }

  view(): TemplateResult {
    return html`<p class="back">${link('/stores', say('← Vector stores', '← 向量库'))}</p>
      <h1 class="name">${this.title}</h1>
      ${this.#store.view((store) => this.#storeView(store))} ${this.#editor?.view() ?? nothing}`;
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#store.close();
    this.#files.close();
    this.#search.close();
  }

  #storeView(store: VectorStore): TemplateResult {
    const { id, file_counts: counts, usage_bytes: bytes, expires_after: expiry, expires_at: end } = store;
    return html`<div class="buttons">
        <button @click=${() => this.#edit(store)}>${say('Name and expiry', '名称与过期')}</button>
        <button @click=${() => this.#editMetadata(store)}>${say('Edit metadata', '编辑元数据')}</button>
        ${copyButton(() => id, say('Copy id', '复制 ID'))}
        <button class="danger" @click=${() => void this.#delete(store)}>
          ${say('Delete store', '删除向量库')}
        </button>
      </div>
      <section class="section">
        ${facts([
          ['ID', idView(id)],
          [say('Status', '状态'), storeStatus(store)],
          [say('Size', '大小'), size(bytes)],
          [say('Created', '创建时间'), moment(store.created_at)],
          [say('Last used', '上次使用'), moment(store.last_active_at)],
          [say('Expires', '过期'), expiry === null ? say('never', '永不') : expiryWords(expiry.days)],
          [say('Expires at', '过期时间'), end === null ? null : moment(end)],
          [say('Description', '描述'), store.description],
        ])}
        <h2>${say('Metadata', '元数据')}</h2>
        ${metadataView(store.metadata)}
      </section>
      <section class="section">
        <h2>${say('Search', '搜索')}</h2>
        ${this.#search.view()}
      </section>
      <section class="section">
        <h2>${say('Files', '文件')}</h2>
        <p role="status">${progressWords(counts)}</p>
        ${
          counts.in_progress > 0
            ? html`<progress
                max=${counts.total}
                value=${counts.total - counts.in_progress}
                aria-label=${say('Indexing', '索引进度')}
              ></progress>`
            : nothing
        }
        ${this.#files.view()}
      </section>`;
  }

  /** While files are being indexed. */
  #askLater(): void {
    clearTimeout(this.#timer);
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => {
      void this.#store.again().then(async () => this.#files.refresh());
    }, POLL_MS);
  }

  #edit(store: VectorStore): void {
    this.#editor = new StoreEditor(this.#app, store, this.#ends());
    this.#app.redraw();
  }

  #editMetadata(store: VectorStore): void {
    this.#editor = new MetadataEditor(this.#app, this.#path, store, this.#ends());
    this.#app.redraw();
  }

  #ends() {
    const closed = (): void => {
      this.#editor = null;
      this.#app.redraw();
    };
    const saved = (store: VectorStore): void => {
      this.#store.value = store;
      closed();
    };
    return { saved, closed };
  }

  async #delete({ file_counts: { total } }: VectorStore): Promise<void> {
    const question = say(
      `Delete this store with the index of its ${count(total)} files? Assistants and threads that search in it find nothing there any more. The files stay.`,
      `删除此向量库及其 ${count(total)} 个文件的索引吗？使用它的助手和会话将无法再检索。文件本身会保留。`,
    );
    if (await deleteOne(this.#app, this.#path, question, say('Delete', '删除'))) this.#app.go('/stores');
  }
}

function expiryWords(days: number): string {
  return say(`after ${count(days)} days without use`, `闲置 ${count(days)} 天后`);
}

function progressWords({ completed, in_progress: open, failed, total }: VectorStore['file_counts']): string {
  const done = say(
    `${count(completed)} of ${count(total)} files are indexed.`,
    `已索引 ${count(completed)}/${count(total)} 个文件。`,
  );
  const rest = open > 0 ? say(` ${count(open)} to go.`, `还剩 ${count(open)} 个。`) : '';
  return `${done}${rest}${failed > 0 ? say(` ${count(failed)} failed.`, `${count(failed)} 个失败。`) : ''}`;
}
