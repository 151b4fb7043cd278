/** All files, and one of them. */
import { html, type TemplateResult } from 'lit-html';
import type { App, Page } from '../app.ts';
import type { OpenPage } from '../pages.ts';
import { say } from '../say.ts';
import type { StoredFile } from '../wire.ts';
import { count, empty, idView, link, moment, size } from '../views.ts';
import { curlView } from './curl.ts';
import { FilePage } from './file.ts';
import type { Kind } from './kind.ts';
import { ObjectList } from './list.ts';
import { listView } from './list-view.ts';
import { PURPOSES, Uploads } from './uploads.ts';

export const open: OpenPage = (app, _place, [id]) =>
  id === undefined ? new FilesPage(app) : new FilePage(app, id);

/** Of files that the server makes. */
const SERVER_PURPOSES = ['assistants_output', 'batch_output', 'fine-tune-results'];

class FilesPage implements Page {
  readonly #app: App;
  readonly #list: ObjectList<StoredFile>;
  readonly #uploads: Uploads;

  constructor(app: App) {
    this.#app = app;
    this.#list = new ObjectList(app, this.#kind());
    this.#uploads = new Uploads(app, (file) => this.#list.put(file));
  }

  get title(): string {
    return say('Files', '文件');
  }

  view(): TemplateResult {
    return html`<h1>${this.title}</h1>
      ${this.#uploads.view(true)} ${listView(this.#list)}`;
  }

  close(): void {
    this.#list.close();
    this.#uploads.close();
  }

  #kind(): Kind<StoredFile> {
    const path = (id: string): string => `/files/${encodeURIComponent(id)}`;
    return {
      path: '/files',
      title: () => this.title,
      nameOf: ({ filename }) => filename,
      searched: ({ id, filename, purpose }) => `${id} ${filename} ${purpose}`,
      placeOf: path,
      isId: (text) => /^file-\w+$/.test(text),
      columns: () => [
        { name: say('Name', '名称'), cell: ({ id, filename }) => link(path(id), filename) },
        { name: say('Size', '大小'), cell: ({ bytes }) => size(bytes), isNumber: true },
        { name: say('Purpose', '用途'), cell: ({ purpose }) => purpose, isWide: true },
        { name: 'ID', cell: ({ id }) => idView(id), isWide: true },
        { name: say('Created', '创建时间'), cell: ({ created_at: at }) => moment(at), isWide: true },
      ],
      deleteWords: () => say('Delete', '删除'),
      question: (number) =>
        say(
          `Delete ${number === 1 ? 'this file' : `these ${count(number)} files`}? The bytes are lost for good, and every vector store forgets them. Messages that show or cite them stay, without them.`,
          `删除这 ${count(number)} 个文件吗？内容将永久丢失，并会从所有向量库中移除。显示或引用它们的消息会保留，但无法再打开文件。`,
        ),
      emptyView: () =>
        empty(
          say(
            'No files yet. Drop some above, or send them from a terminal:',
            '还没有文件。将文件拖放到上方，或在终端中发送：',
          ),
          curlView(this.#app, '/files', '-F purpose=assistants -F file=@document.pdf'),
        ),
      filters: () => this.#filterView(),
    };
  }

  #filterView(): TemplateResult {
    const chosen = this.#list.filter['purpose'] ?? '';
    const choose = ({ target }: Event): void => {
      const purpose = target instanceof HTMLSelectElement ? target.value : '';
      void this.#list.filterBy(purpose === '' ? {} : { purpose });
    };
    return html`<label
      >${say('With purpose', '按用途')}<select @change=${choose}>
        ${['', ...PURPOSES, ...SERVER_PURPOSES].map(
          (name) =>
            html`<option value=${name} ?selected=${name === chosen}>
              ${name === '' ? say('any', '全部') : name}
            </option>`,
        )}
      </select></label
    >`;
  }
}
