/** All assistants, and one of them. */
import { html, nothing, type TemplateResult } from 'lit-html';
import type { App, Page } from '../app.ts';
import type { OpenPage } from '../pages.ts';
import { say } from '../say.ts';
import type { Assistant } from '../wire.ts';
import { count, empty, idView, link, moment } from '../views.ts';
import { assistantEditor, type AssistantEditor } from './assistant-editor.ts';
import { AssistantPage } from './assistant.ts';
import { curlView, JSON_BODY } from './curl.ts';
import type { Kind } from './kind.ts';
import { ObjectList } from './list.ts';
import { listView } from './list-view.ts';
import { metadataText } from './metadata.ts';
import { toolNames } from './tool-views.ts';

export const open: OpenPage = (app, _place, [id]) =>
  id === undefined ? new AssistantsPage(app) : new AssistantPage(app, id);

class AssistantsPage implements Page {
  readonly #app: App;
  readonly #list: ObjectList<Assistant>;
  #editor: AssistantEditor | null = null;

  constructor(app: App) {
    this.#app = app;
    this.#list = new ObjectList(app, this.#kind());
  }

  get title(): string {
    return say('Assistants', '助手');
  }

  view(): TemplateResult {
    return html`<div class="heading">
        <h1>${this.title}</h1>
        <button class="primary" @click=${() => this.#create()}>${say('New assistant', '新建助手')}</button>
      </div>
      ${listView(this.#list)} ${this.#editor?.view() ?? nothing}`;
  }

  close(): void {
    this.#list.close();
    this.#editor?.close();
  }

  #create(): void {
    this.#editor = assistantEditor(this.#app, null, {
      saved: ({ id }) => this.#app.go(`/assistants/${encodeURIComponent(id)}`),
      closed: () => {
        this.#editor?.close();
        this.#editor = null;
        this.#app.redraw();
      },
    });
    this.#app.redraw();
  }

  #kind(): Kind<Assistant> {
    const path = (id: string): string => `/assistants/${encodeURIComponent(id)}`;
    return {
      path: '/assistants',
      title: () => this.title,
      nameOf: ({ id, name }) => name || id,
      searched: (assistant) =>
        [assistant.id, assistant.name, assistant.model, assistant.description, ...toolNames(assistant)].join(
          ' ',
        ) + metadataText(assistant.metadata),
      placeOf: path,
      isId: (text) => /^asst_\w+$/.test(text),
      columns: () => [
        {
          name: say('Name', '名称'),
          cell: ({ id, name }) => link(path(id), name || say('(no name)', '（未命名）')),
        },
        { name: say('Model', '模型'), cell: ({ model }) => model },
        { name: say('Tools', '工具'), cell: (assistant) => toolNames(assistant).join(', '), isWide: true },
        { name: 'ID', cell: ({ id }) => idView(id), isWide: true },
        { name: say('Created', '创建时间'), cell: ({ created_at: at }) => moment(at), isWide: true },
      ],
      deleteWords: () => say('Delete', '删除'),
      question: (number) =>
        say(
          `Delete ${number === 1 ? 'this assistant' : `these ${count(number)} assistants`}? Instructions and tools are lost for good, and devices that name ${number === 1 ? 'it' : 'them'} get no answer any more. Threads and runs stay.`,
          `删除这 ${count(number)} 个助手吗？指令和工具将永久丢失，使用其名称的设备将得不到回答。会话和运行会保留。`,
        ),
      emptyView: () =>
        empty(
          say(
            'No assistants yet. An assistant is a model with instructions and tools; devices name it as their model.',
            '还没有助手。助手由模型、指令和工具组成；设备把它的名称当作模型来使用。',
          ),
          curlView(this.#app, '/assistants', `${JSON_BODY} '{"name": "host", "model": "MODEL"}'`),
        ),
    };
  }
}
