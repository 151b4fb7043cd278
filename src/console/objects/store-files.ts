/** The files in a vector store: how far they are indexed, why some are not, adding some and removing them. */
import { html, nothing, type TemplateResult } from 'lit-html';
import type { App } from '../app.ts';
import { say } from '../say.ts';
import type { StoreFile, StoredFile } from '../wire.ts';
import { count, empty, moment, size } from '../views.ts';
import { FilePicker } from './file-picker.ts';
import type { Kind } from './kind.ts';
import { ObjectList } from './list.ts';
import { listView } from './list-view.ts';
import { FileNames } from '../stored-files.ts';
import { Uploads } from './uploads.ts';
import { indexWords } from './used.ts';

/** As in badges of runs. */
const CLASSES: Readonly<Record<StoreFile['status'], string>> = {
  in_progress: 'in_progress',
  completed: 'completed',
  failed: 'failed',
  cancelled: 'cancelled',
};

export class StoreFiles {
  readonly #app: App;
  readonly #path: string;
  readonly #list: ObjectList<StoreFile>;
  readonly #names: FileNames;
  readonly #uploads: Uploads;
  /** Hears that there is something to be indexed, or not any more. */
  readonly #onChange: () => void;
  #picker: FilePicker | null = null;

  constructor(app: App, storeId: string, onChange: () => void) {
    this.#app = app;
    this.#path = `/vector_stores/${encodeURIComponent(storeId)}`;
    this.#onChange = onChange;
    this.#names = new FileNames(app);
    this.#list = new ObjectList(app, this.#kind());
    this.#uploads = new Uploads(app, (file) => void this.#addUploaded(file));
  }

  view(): TemplateResult {
    return html`<p>
        <button @click=${() => this.#pick()}>
          ${say('Add files that are there already', '添加已有文件')}
        </button>
      </p>
      ${this.#uploads.view(false)} ${listView(this.#list)} ${this.#failures()}
      ${this.#picker?.view() ?? nothing}`;
  }

  async refresh(): Promise<void> {
    await this.#list.refresh();
  }

  close(): void {
    this.#list.close();
    this.#uploads.close();
    this.#picker?.close();
  }

  #kind(): Kind<StoreFile> {
    return {
      path: `${this.#path}/files`,
      title: () => say('Files in the store', '库中的文件'),
      nameOf: ({ id }) => this.#names.of(id),
      searched: ({ id, status }) => `${id} ${this.#names.known(id)} ${indexWords(status)}`,
      columns: () => [
        { name: say('Name', '名称'), cell: ({ id }) => this.#names.link(id) },
        {
          name: say('Status', '状态'),
          cell: ({ status }) => html`<span class="status ${CLASSES[status]}">${indexWords(status)}</span>`,
        },
        {
          name: say('Indexed', '索引大小'),
          cell: ({ usage_bytes: bytes }) => size(bytes),
          isNumber: true,
          isWide: true,
        },
        {
          name: say('Attributes', '属性'),
          cell: ({ attributes }) =>
            Object.entries(attributes ?? {}).map(([name, value]) => `${name}: ${value} `),
          isWide: true,
        },
        { name: say('Added', '添加时间'), cell: ({ created_at: at }) => moment(at), isWide: true },
      ],
      deleteWords: () => say('Remove from the store', '从库中移除'),
      question: (number) =>
        say(
          `Remove ${number === 1 ? 'this file' : `these ${count(number)} files`} from the store? Searches do not find what is in them any more. The files themselves stay.`,
          `从库中移除这 ${count(number)} 个文件吗？检索将不再包含其内容。文件本身会保留。`,
        ),
      emptyView: () =>
        empty(
          say(
            'No files in this store yet. Drop some above, or add those that are there already.',
            '库中还没有文件。将文件拖放到上方，或添加已有文件。',
          ),
        ),
    };
  }

  /** Why files are not in the index; in a table there would be no room for it. */
  #failures(): TemplateResult | typeof nothing {
    const failed = this.#list.items.filter((file) => file.last_error !== null);
    if (failed.length === 0) return nothing;
    return html`<div class="problem">
      <h3>${say('Not indexed', '未能索引')}</h3>
      <ul>
        ${failed.map(({ id, last_error: error }) => html`<li>${this.#names.link(id)}: ${error?.message}</li>`)}
      </ul>
    </div>`;
  }

  #pick(): void {
    const close = (): void => {
      this.#picker?.close();
      this.#picker = null;
      this.#app.redraw();
    };
    this.#picker = new FilePicker(this.#app, {
      closed: close,
      picked: (ids) => {
        close();
        void this.#add(ids);
      },
    });
    this.#app.redraw();
  }

  async #addUploaded({ id }: StoredFile): Promise<void> {
    await this.#app.attempt(this.#app.api.post<StoreFile>(`${this.#path}/files`, { file_id: id }));
    await this.#changed();
  }

  async #add(ids: readonly string[]): Promise<void> {
    await this.#app.attempt(this.#app.api.post(`${this.#path}/file_batches`, { file_ids: ids }));
    await this.#changed();
  }

  async #changed(): Promise<void> {
    await this.#list.reload();
    this.#onChange();
  }
}
