/** One thread: its conversation, its runs, and what may be changed in it. */
import { html, nothing, type TemplateResult } from 'lit-html';
import { wordsOf, type App, type Page } from '../app.ts';
import { submitted, textIn } from '../forms.ts';
import { Loaded, problemView } from '../loaded.ts';
import { say } from '../say.ts';
import type { List, Message, Run, Thread } from '../wire.ts';
import { copyButton, facts, idView, link, moment, statusView } from '../views.ts';
import { ThreadMessages } from './thread-messages.ts';
import { deleteOne } from './deleting.ts';
import { downloadJson } from '../download.ts';
import { messageView } from './message-view.ts';
import { MetadataEditor, metadataView } from './metadata.ts';
import { FileNames, FilePictures } from '../stored-files.ts';

/** Runs that are shown; the page of runs has them all. */
const RUNS = 20;
/** Messages of a thread that are downloaded. */
const MOST_MESSAGES = 100_000;

export class ThreadPage implements Page {
  readonly #app: App;
  readonly #id: string;
  readonly #path: string;
  readonly #thread: Loaded<Thread>;
  readonly #runs: Loaded<List<Run>>;
  readonly #conversation: ThreadMessages;
  readonly #names: FileNames;
  readonly #pictures: FilePictures;
  #editor: MetadataEditor<Thread> | MetadataEditor<Message> | null = null;
  #isAdding = false;
  #problem: string | null = null;

  constructor(app: App, id: string) {
    this.#app = app;
    this.#id = id;
    this.#path = `/threads/${encodeURIComponent(id)}`;
    this.#thread = new Loaded(app, async (signal) => app.api.get<Thread>(this.#path, {}, signal));
    this.#runs = new Loaded(app, async (signal) =>
      app.api.get(`${this.#path}/runs`, { limit: RUNS }, signal),
    );
    this.#conversation = new ThreadMessages(app, id);
    this.#names = new FileNames(app);
    this.#pictures = new FilePictures(app);
  }

  get title(): string {
    return say(`Thread ${this.#id}`, `会话 ${this.#id}`);
  }

  view(): TemplateResult {
    return html`<p class="back">${link('/threads', say('← Threads', '← 会话'))}</p>
      <div class="heading">
        <h1>${say('Thread', '会话')} <span class="quiet">${idView(this.#id)}</span></h1>
        ${copyButton(() => this.#id, say('Copy id', '复制 ID'))}
      </div>
      ${this.#thread.view((thread) => this.#threadView(thread))} ${this.#editor?.view() ?? nothing}`;
  }

  close(): void {
    this.#thread.close();
    this.#runs.close();
    this.#conversation.close();
    this.#pictures.close();
  }

  #threadView(thread: Thread): TemplateResult {
    const stores = thread.tool_resources?.file_search?.vector_store_ids ?? [];
    const files = thread.tool_resources?.code_interpreter?.file_ids ?? [];
    return html`<div class="buttons">
        ${link(`?thread=${encodeURIComponent(this.#id)}`, say('Open in playground', '在演练场打开'), 'button primary')}
        <button @click=${() => this.#editThread(thread)}>${say('Edit metadata', '编辑元数据')}</button>
        <button @click=${() => void this.#download(thread)}>${say('Download as JSON', '下载 JSON')}</button>
        <button class="danger" @click=${() => void this.#delete()}>
          ${say('Delete thread', '删除会话')}
        </button>
      </div>
      <section class="section">
        ${facts([
          [say('Created', '创建时间'), moment(thread.created_at)],
          [
            say('Vector stores', '向量库'),
            listed(stores.map((id) => link(`/stores/${encodeURIComponent(id)}`, id))),
          ],
          [say('Files for code', '代码可用的文件'), listed(files.map((id) => this.#names.link(id)))],
        ])}
        <h2>${say('Metadata', '元数据')}</h2>
        ${metadataView(thread.metadata)}
      </section>
      <section class="section">
        <h2>${say('Runs', '运行')}</h2>
        ${this.#runs.view(({ data, has_more: hasMore }) => runsView(data, hasMore, this.#id))}
      </section>
      <section class="section">
        <h2>${say('Messages', '消息')}</h2>
        ${this.#messagesView()} ${this.#addForm()}
      </section>`;
  }

  #messagesView(): TemplateResult {
    const { messages, hasEarlier, isLoading, problem } = this.#conversation;
    const parts = {
      names: this.#names,
      pictures: this.#pictures,
      edit: (message: Message) => this.#editMessage(message),
      remove: (message: Message) => void this.#deleteMessage(message),
    };
    const again = (): void => void this.#conversation.reload();
    return html`<p class="buttons">
        <button @click=${again} ?disabled=${isLoading}>${say('Reload', '刷新')}</button>
        ${
          hasEarlier
            ? html`<button @click=${() => void this.#conversation.earlier()} ?disabled=${isLoading}>
                ${say('Earlier messages', '更早的消息')}
              </button>`
            : nothing
        }
        ${isLoading ? html`<span class="quiet" aria-busy="true">${say('Loading …', '加载中……')}</span>` : nothing}
      </p>
      ${problem === null ? nothing : problemView(problem, again)}
      ${messages.map((message) => messageView(message, parts))}
      ${
        messages.length === 0 && !isLoading && problem === null
          ? html`<p class="quiet">${say('No messages yet.', '还没有消息。')}</p>`
          : nothing
      }`;
  }

  #addForm(): TemplateResult {
    return html`<form class="card" @submit=${submitted((form, element) => void this.#add(form, element))}>
      <h3>${say('Add a message', '添加消息')}</h3>
      <label
        >${say('By', '角色')}<select name="role">
          <option value="user">${say('User', '用户')}</option>
          <option value="assistant">${say('Assistant', '助手')}</option>
        </select></label
      >
      <label>${say('Text', '内容')}<textarea name="text" rows="3" required></textarea></label>
      ${this.#problem === null ? nothing : html`<p class="problem" role="alert">${this.#problem}</p>`}
      <div class="buttons">
        <button class="primary" ?disabled=${this.#isAdding}>${say('Add', '添加')}</button>
        <span class="hint"
          >${say('No model is asked; the playground does that.', '不会请求模型；如需回答，请使用演练场。')}</span
        >
      </div>
    </form>`;
  }

  async #add(form: FormData, element: HTMLFormElement): Promise<void> {
    this.#isAdding = true;
    this.#problem = null;
    this.#app.redraw();
    try {
      const body = { role: textIn(form, 'role'), content: textIn(form, 'text') };
      this.#conversation.put(await this.#app.api.post<Message>(`${this.#path}/messages`, body));
      element.reset();
    } catch (error) {
      this.#problem = wordsOf(error);
    }
    this.#isAdding = false;
    this.#app.redraw();
  }

  #editThread(thread: Thread): void {
    this.#editor = new MetadataEditor(this.#app, this.#path, thread, {
      saved: (saved) => {
        this.#thread.value = saved;
        this.#closeEditor();
      },
      closed: () => this.#closeEditor(),
    });
    this.#app.redraw();
  }

  #editMessage(message: Message): void {
    this.#editor = new MetadataEditor(this.#app, `${this.#path}/messages/${message.id}`, message, {
      saved: (saved) => {
        this.#conversation.put(saved);
        this.#closeEditor();
      },
      closed: () => this.#closeEditor(),
    });
    this.#app.redraw();
  }

  #closeEditor(): void {
    this.#editor = null;
    this.#app.redraw();
  }

  async #deleteMessage({ id }: Message): Promise<void> {
    const question = say(
      'Delete this message? It is lost for good, and models do not see it any more in this thread.',
      '删除这条消息吗？它将永久丢失，模型在此会话中也不会再看到它。',
    );
    const path = `${this.#path}/messages/${encodeURIComponent(id)}`;
    if (await deleteOne(this.#app, path, question, say('Delete', '删除'))) this.#conversation.forget(id);
  }

  async #delete(): Promise<void> {
    const question = say(
      'Delete this thread? Its messages and runs are lost for good, and a device that goes on with it begins anew. Files stay.',
      '删除此会话吗？其中的消息和运行将永久丢失，正在使用它的设备会重新开始对话。文件会保留。',
    );
    if (await deleteOne(this.#app, this.#path, question, say('Delete', '删除'))) this.#app.go('/threads');
  }

  async #download(thread: Thread): Promise<void> {
    await this.#app.attempt(async () => {
      const messages = await this.#app.api.all<Message>(
        `${this.#path}/messages`,
        { order: 'asc' },
        MOST_MESSAGES,
      );
      downloadJson({ thread, messages }, `${this.#id}.json`);
    });
  }
}

function runsView(runs: readonly Run[], hasMore: boolean, threadId: string): TemplateResult {
  if (runs.length === 0) return html`<p class="quiet">${say('None yet.', '还没有。')}</p>`;
  return html`<div class="scrolls" tabindex="0" role="region" aria-label=${say('Runs', '运行')}>
      <table>
        <thead>
          <tr>
            <th scope="col">${say('Run', '运行')}</th>
            <th scope="col">${say('Status', '状态')}</th>
            <th scope="col">${say('Model', '模型')}</th>
            <th scope="col">${say('Began', '开始时间')}</th>
            <th scope="col" class="number">${say('Tokens', '令牌')}</th>
          </tr>
        </thead>
        <tbody>
          ${runs.map(
            ({ id, status, model, created_at: at, usage }) =>
              html`<tr>
                <td>${link(`/runs/${threadId}/${id}`, id)}</td>
                <td>${statusView(status)}</td>
                <td>${model}</td>
                <td>${moment(at)}</td>
                <td class="number">${usage?.total_tokens ?? '–'}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
    ${hasMore ? html`<p class="hint">${say(`The newest ${runs.length}.`, `仅显示最近 ${runs.length} 次。`)}</p>` : nothing}`;
}

/** Links with space between; null where there are none. */
function listed(links: readonly TemplateResult[]): TemplateResult | null {
  return links.length === 0 ? null : html`${links.map((one) => html`${one} `)}`;
}
