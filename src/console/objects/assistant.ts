/** One assistant: what it is, how devices name it, and what may be done with it. */
import { html, nothing, type TemplateResult } from 'lit-html';
import type { App, Page } from '../app.ts';
import { Loaded } from '../loaded.ts';
import { say } from '../say.ts';
import type { Assistant } from '../wire.ts';
import { codeView, copyButton, facts, idView, jsonText, link, moment } from '../views.ts';
import { assistantEditor, type AssistantEditor } from './assistant-editor.ts';
import { curlView, JSON_BODY, shellText } from './curl.ts';
import { deleteOne } from './deleting.ts';
import { MetadataEditor, metadataView } from './metadata.ts';
import { FileNames } from '../stored-files.ts';
import { toolsView } from './tool-views.ts';

export class AssistantPage implements Page {
  readonly #app: App;
  readonly #path: string;
  readonly #assistant: Loaded<Assistant>;
  readonly #names: FileNames;
  #editor: AssistantEditor | MetadataEditor<Assistant> | null = null;

  constructor(app: App, id: string) {
    this.#app = app;
    this.#path = `/assistants/${encodeURIComponent(id)}`;
    this.#assistant = new Loaded(app, async (signal) => app.api.get<Assistant>(this.#path, {}, signal));
    this.#names = new FileNames(app);
  }

  get title(): string {
    return this.#assistant.value?.name || say('Assistant', '助手');
  }

  view(): TemplateResult {
    return html`<p class="back">${link('/assistants', say('← Assistants', '← 助手'))}</p>
      <h1 class="name">${this.title}</h1>
      ${this.#assistant.view((assistant) => this.#assistantView(assistant))}
      ${this.#editor?.view() ?? nothing}`;
  }

  close(): void {
    this.#assistant.close();
    this.#closeEditor();
  }

  #assistantView(assistant: Assistant): TemplateResult {
    const { id, model, instructions, description, tool_resources: resources } = assistant;
    const stores = resources?.file_search?.vector_store_ids ?? [];
    const files = resources?.code_interpreter?.file_ids ?? [];
    return html`<div class="buttons">
        ${link(`?assistant=${encodeURIComponent(id)}`, say('Try it', '试一试'), 'button primary')}
        <button @click=${() => void this.#edit()}>${say('Edit', '编辑')}</button>
        <button @click=${() => this.#editMetadata(assistant)}>${say('Edit metadata', '编辑元数据')}</button>
        <button @click=${() => void this.#duplicate(assistant)}>${say('Duplicate', '复制一份')}</button>
        ${copyButton(() => id, say('Copy id', '复制 ID'))}
        <button class="danger" @click=${() => void this.#delete()}>
          ${say('Delete assistant', '删除助手')}
        </button>
      </div>
      <section class="section">
        ${facts([
          ['ID', idView(id)],
          [say('Model', '模型'), model],
          [say('Description', '描述'), description],
          [say('Created', '创建时间'), moment(assistant.created_at)],
          [say('Temperature', '温度'), assistant.temperature],
          ['top_p', assistant.top_p],
          [say('Reasoning', '推理强度'), assistant.reasoning_effort],
          [say('Answers as', '回答格式'), formatWords(assistant.response_format)],
        ])}
      </section>
      <section class="section">
        <h2>${say('Instructions', '指令')}</h2>
        ${
          instructions
            ? codeView(instructions, say('Instructions', '指令'))
            : html`<p class="quiet">${say('None.', '无。')}</p>`
        }
      </section>
      <section class="section">
        <h2>${say('Tools', '工具')}</h2>
        ${toolsView(assistant)}
        ${
          stores.length === 0
            ? nothing
            : html`<p>
                ${say('Searches in', '检索的向量库：')}
                ${stores.map((store) => html`${link(`/stores/${encodeURIComponent(store)}`, store)} `)}
              </p>`
        }
        ${
          files.length === 0
            ? nothing
            : html`<p>
                ${say('Files for code', '代码可用的文件：')}
                ${files.map((file) => html`${this.#names.link(file)} `)}
              </p>`
        }
      </section>
      <section class="section">
        <h2>${say('Metadata', '元数据')}</h2>
        ${metadataView(assistant.metadata)}
      </section>
      <section class="section">
        <h2>${say('On devices', '在设备上使用')}</h2>
        ${this.#devicesView(assistant)}
      </section>`;
  }

  /** What docs/devices.md says, with this assistant's own name. */
  #devicesView({ id, name }: Assistant): TemplateResult {
    const word = name || id;
    const isAscii = /^[\x20-\x7E]+$/.test(word);
    const body = shellText({ model: word, messages: [{ role: 'user', content: 'Hello' }], stream: true });
    return html`<p>
        ${say(
          'Glasses, voice engines and chat apps have a field for the model. Type this there:',
          '眼镜、语音引擎和聊天应用都有“模型”一栏，在其中填写：',
        )}
        <code class="name">${word}</code> ${copyButton(() => word)}
      </p>
      <p>
        ${say('The address is', '地址为')}
        <code class="name">${this.#app.api.base}/chat/completions</code>${say(
          ', or whatever of it the app asks for; seen from elsewhere, this machine has another name than here.',
          '（或应用要求的其中一部分）；从其他设备访问时，主机名可能与此处不同。',
        )}${isAscii ? '' : say(' Some devices take ASCII only: type the id there.', '有些设备只接受 ASCII 字符，此时请填写 ID。')}
      </p>
      ${curlView(this.#app, '/chat/completions', `${JSON_BODY} ${body}`)}`;
  }

  /** The form begins with the assistant as it is now, not as it was when the page was opened. */
  async #edit(): Promise<void> {
    await this.#assistant.again();
    const assistant = this.#assistant.value;
    if (assistant === null || this.#assistant.problem !== null) return;
    this.#editor = assistantEditor(this.#app, assistant, this.#ends());
    this.#app.redraw();
  }

  #editMetadata(assistant: Assistant): void {
    this.#editor = new MetadataEditor(this.#app, this.#path, assistant, this.#ends());
    this.#app.redraw();
  }

  #ends() {
    const closed = (): void => {
      this.#closeEditor();
      this.#app.redraw();
    };
    const saved = (assistant: Assistant): void => {
      this.#assistant.value = assistant;
      closed();
    };
    return { saved, closed };
  }

  #closeEditor(): void {
    if (this.#editor !== null && 'close' in this.#editor) this.#editor.close();
    this.#editor = null;
  }

  async #duplicate(assistant: Assistant): Promise<void> {
    const { id: _id, object: _object, created_at: _at, name, ...rest } = assistant;
    const copied = name ? { name: say(`${name} (copy)`, `${name}（副本）`) } : {};
    await this.#app.attempt(async () => {
      const made = await this.#app.api.post<Assistant>('/assistants', { ...rest, ...copied });
      this.#app.go(`/assistants/${encodeURIComponent(made.id)}`);
      this.#app.tell(say('This is the copy.', '这是副本。'));
    });
  }

  async #delete(): Promise<void> {
    const question = say(
      'Delete this assistant? Its instructions and tools are lost for good, and devices that name it get no answer any more. Threads and runs stay.',
      '删除此助手吗？其指令和工具将永久丢失，使用其名称的设备将得不到回答。会话和运行会保留。',
    );
    if (await deleteOne(this.#app, this.#path, question, say('Delete', '删除'))) this.#app.go('/assistants');
  }
}

function formatWords(format: unknown): unknown {
  if (format == null || format === 'auto') return null;
  return html`<details>
    <summary>JSON</summary>
    ${codeView(jsonText(format), say('Format of answers', '回答格式'))}
  </details>`;
}
