/** All vector stores, and one of them. */
import { html, nothing, type TemplateResult } from 'lit-html';
import type { App, Page } from '../app.ts';
import type { OpenPage } from '../pages.ts';
import { say } from '../say.ts';
import type { VectorStore } from '../wire.ts';
import { count, empty, idView, link, moment, size } from '../views.ts';
import { curlView, JSON_BODY } from './curl.ts';
import type { Kind } from './kind.ts';
import { ObjectList } from './list.ts';
import { listView } from './list-view.ts';
import { metadataText } from './metadata.ts';
import { StoreEditor } from './store-editor.ts';
import { StorePage } from './store.ts';
import { storeStatus } from './store-status.ts';

export const open: OpenPage = (app, _place, [id]) =>
  id === undefined ? new StoresPage(app) : new StorePage(app, id);

class StoresPage implements Page {
  readonly #app: App;
  readonly #list: ObjectList<VectorStore>;
  #editor: StoreEditor | null = null;

  constructor(app: App) {
    this.#app = app;
    this.#list = new ObjectList(app, this.#kind());
  }

  get title(): string {
    return say('Vector stores', '向量库');
  }

  view(): TemplateResult {
    return html`<div class="heading">
        <h1>${this.title}</h1>
        <button class="primary" @click=${() => this.#create()}>${say('New store', '新建向量库')}</button>
      </div>
      ${listView(this.#list)} ${this.#editor?.view() ?? nothing}`;
  }

  close(): void {
    this.#list.close();
  }

  #create(): void {
    this.#editor = new StoreEditor(this.#app, null, {
      saved: ({ id }) => this.#app.go(`/stores/${id}`),
      closed: () => {
        this.#editor = null;
        this.#app.redraw();
      },
    });
    this.#app.redraw();
  }

  #kind(): Kind<VectorStore> {
    const path = (id: string): string => `/stores/${encodeURIComponent(id)}`;
    return {
      path: '/vector_stores',
      title: () => this.title,
      nameOf: ({ id, name }) => name || id,
      searched: ({ id, name, metadata }) => `${id} ${name ?? ''} ${metadataText(metadata)}`,
      placeOf: path,
      isId: (text) => /^vs_\w+$/.test(text),
      columns: () => [
        {
          name: say('Name', '名称'),
          cell: ({ id, name }) => link(path(id), name || say('(no name)', '（未命名）')),
        },
        { name: say('Files', '文件'), cell: ({ file_counts: { total } }) => count(total), isNumber: true },
        { name: say('Status', '状态'), cell: (store) => storeStatus(store) },
        {
          name: say('Size', '大小'),
          cell: ({ usage_bytes: bytes }) => size(bytes),
          isNumber: true,
          isWide: true,
        },
        { name: 'ID', cell: ({ id }) => idView(id), isWide: true },
        { name: say('Created', '创建时间'), cell: ({ created_at: at }) => moment(at), isWide: true },
      ],
      deleteWords: () => say('Delete', '删除'),
      question: (number) =>
        say(
          `Delete ${number === 1 ? 'this store' : `these ${count(number)} stores`} with all that was indexed? Assistants and threads that search in them find nothing there any more. The files stay.`,
          `删除这 ${count(number)} 个向量库及其全部索引吗？使用它们的助手和会话将无法再检索。文件本身会保留。`,
        ),
      emptyView: () =>
        empty(
          say(
            'No vector stores yet. Assistants with file_search find passages of the files in them.',
            '还没有向量库。带 file_search 的助手会在向量库的文件中检索内容。',
          ),
          curlView(this.#app, '/vector_stores', `${JSON_BODY} '{"name": "Manuals"}'`),
        ),
    };
  }
}
