/** All threads, and one of them. */
import { html, type TemplateResult } from 'lit-html';
import type { App, Page } from '../app.ts';
import { submitted, textIn } from '../forms.ts';
import type { OpenPage } from '../pages.ts';
import { say } from '../say.ts';
import type { Thread } from '../wire.ts';
import { count, empty, idView, link, moment } from '../views.ts';
import { curlView, JSON_BODY } from './curl.ts';
import { FirstWords } from './first-words.ts';
import type { Kind } from './kind.ts';
import { ObjectList } from './list.ts';
import { listView } from './list-view.ts';
import { metadataText } from './metadata.ts';
import { ThreadPage } from './thread.ts';

export const open: OpenPage = (app, { query }, [id]) =>
  id === undefined ? new ThreadsPage(app, query) : new ThreadPage(app, id);

class ThreadsPage implements Page {
  readonly #app: App;
  readonly #list: ObjectList<Thread>;
  readonly #words: FirstWords;

  constructor(app: App, query: URLSearchParams) {
    this.#app = app;
    this.#words = new FirstWords(app);
    const wanted = [...query].filter(([name]) => METADATA.test(name));
    this.#list = new ObjectList(app, this.#kind(), Object.fromEntries(wanted));
  }

  get title(): string {
    return say('Threads', '会话');
  }

  view(): TemplateResult {
    return html`<div class="heading">
        <h1>${this.title}</h1>
        ${link('', say('Start one in the playground', '在演练场开始'), 'button')}
      </div>
      ${listView(this.#list)}`;
  }

  close(): void {
    this.#list.close();
    this.#words.close();
  }

  #kind(): Kind<Thread> {
    const path = (id: string): string => `/threads/${encodeURIComponent(id)}`;
    return {
      path: '/threads',
      title: () => this.title,
      nameOf: ({ id }) => id,
      searched: ({ id, metadata }) => `${id} ${metadataText(metadata)} ${this.#words.known(id)}`,
      search: {
        words: () =>
          say(
            'Searched: the beginning of first messages, metadata and ids.',
            '搜索范围：首条消息的开头、元数据和 ID。',
          ),
        prepare: (threads) => this.#words.seek(threads.map(({ id }) => id)),
      },
      placeOf: path,
      isId: (text) => /^thread_\w+$/.test(text),
      columns: () => [
        { name: say('Begins with', '开头'), cell: ({ id }) => link(path(id), this.#words.of(id)) },
        { name: say('Metadata', '元数据'), cell: ({ metadata }) => metadataText(metadata), isWide: true },
        { name: 'ID', cell: ({ id }) => idView(id), isWide: true },
        { name: say('Created', '创建时间'), cell: ({ created_at: at }) => moment(at) },
      ],
      deleteWords: () => say('Delete', '删除'),
      question: (number) =>
        say(
          `Delete ${number === 1 ? 'this thread' : `these ${count(number)} threads`}? Their messages and runs are lost for good, and devices that go on with them begin anew. Files stay.`,
          `删除这 ${count(number)} 个会话吗？其中的消息和运行将永久丢失，正在使用它们的设备会重新开始对话。文件会保留。`,
        ),
      emptyView: () =>
        empty(
          say(
            'No threads yet. One is made with the first message: in the playground, by a device, or by a program.',
            '还没有会话。发送第一条消息时会自动创建：可以在演练场、设备或程序中发送。',
          ),
          html`<p>${link('', say('To the playground', '前往演练场'), 'button primary')}</p>
            ${curlView(this.#app, '/threads', `${JSON_BODY} '{"messages": [{"role": "user", "content": "Hello"}]}'`)}`,
        ),
      filters: () => this.#filterView(),
    };
  }

  /** The API finds threads by their metadata, also those that are not loaded. */
  #filterView(): TemplateResult {
    const [[parameter, value] = []] = Object.entries(this.#list.filter);
    if (parameter !== undefined) {
      const name = METADATA.exec(parameter)?.[1];
      return html`<button type="button" @click=${() => void this.#filter('', '')}>
        ${say(`Only ${name} = ${value}`, `仅 ${name} = ${value}`)} ✕
      </button>`;
    }
    const send = submitted((form) => void this.#filter(textIn(form, 'name'), textIn(form, 'value')));
    return html`<form @submit=${send}>
      <label
        >${say('Metadata name', '元数据名称')}<input name="name" required maxlength="64" size="12"
      /></label>
      <label>${say('Value', '值')}<input name="value" maxlength="512" size="12" /></label>
      <button>${say('Find', '查找')}</button>
    </form>`;
  }

  async #filter(name: string, value: string): Promise<void> {
    const filter = name === '' ? {} : { [`metadata[${name}]`]: value };
    const query = new URLSearchParams(filter);
    this.#app.note(`/threads${name === '' ? '' : `?${query}`}`);
    await this.#list.filterBy(filter);
  }
}

const METADATA = /^metadata\[(.*)\]$/s;
