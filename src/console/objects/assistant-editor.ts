/**
 * The dialog in which an assistant is made or changed. Pages draw it by `view()` while it is open:
 *
 *     this.#editor = assistantEditor(app, assistant, { saved: (stored) => …, closed: () => (this.#editor = null) });
 */
import { html, nothing, type TemplateResult } from 'lit-html';
import { repeat } from 'lit-html/directives/repeat.js';
import { wordsOf, type App } from '../app.ts';
import { dialog } from '../dialog.ts';
import { submitted } from '../forms.ts';
import { Loaded } from '../loaded.ts';
import { say } from '../say.ts';
import { jsonText } from '../views.ts';
import type { Assistant, FunctionTool, List, Model, Plugin, VectorStore } from '../wire.ts';
import { hostedFields, modelField, pluginFields, settingFields } from './assistant-fields.ts';
import { assistantBody, FormProblem } from './assistant-form.ts';

export interface AssistantEditor {
  /** The dialog, open as long as it is drawn. */
  view(): TemplateResult;
  /** Ends what is being loaded. */
  close(): void;
}

export interface EditorListeners {
  /** The server has stored it; `closed` is called before. */
  readonly saved: (assistant: Assistant) => void;
  /** The dialog is to be drawn no more. */
  readonly closed: () => void;
}

/** @param assistant the one to change; null makes a new one */
export function assistantEditor(
  app: App,
  assistant: Assistant | null,
  listeners: EditorListeners,
): AssistantEditor {
  return new Editor(app, assistant, listeners);
}

/** What models, stores and tools there are to choose from. */
interface Choices {
  readonly models: readonly Model[];
  readonly plugins: readonly Plugin[];
  readonly stores: readonly VectorStore[];
}

/** A function as it stands in the form. */
interface Row {
  readonly key: number;
  readonly text: string;
}

/** What a new function begins with. */
const NEW_FUNCTION: FunctionTool = {
  name: 'get_weather',
  description: 'The weather in a city',
  parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
};

class Editor implements AssistantEditor {
  readonly #app: App;
  readonly #assistant: Assistant | null;
  readonly #listeners: EditorListeners;
  readonly #choices: Loaded<Choices>;
  #functions: readonly Row[];
  #lastKey = 0;
  #problem: string | null = null;
  #isSaving = false;
  #isChanged = false;

  constructor(app: App, assistant: Assistant | null, listeners: EditorListeners) {
    this.#app = app;
    this.#assistant = assistant;
    this.#listeners = listeners;
    this.#choices = new Loaded(app, async (signal) => {
      const [models, plugins, stores] = await Promise.all([
        app.api.get<List<Model>>('/models', {}, signal),
        app.api.get<List<Plugin>>('/plugins', {}, signal),
        app.api.all<VectorStore>('/vector_stores'),
      ]);
      return { models: models.data, plugins: plugins.data, stores };
    });
    this.#functions = (assistant?.tools ?? [])
      .filter((tool) => tool.type === 'function')
      .map((tool) => this.#row(tool.function));
  }

  close(): void {
    this.#choices.close();
  }

  view(): TemplateResult {
    const title =
      this.#assistant === null ? say('New assistant', '新建助手') : say('Edit assistant', '编辑助手');
    return dialog(
      title,
      this.#choices.view((choices) => this.#form(choices)),
      () => void this.#leave(),
    );
  }

  #form({ models, plugins, stores }: Choices): TemplateResult {
    const assistant = this.#assistant;
    const send = submitted((form) => void this.#save(form));
    return html`<form class="editor" @submit=${send} @input=${() => (this.#isChanged = true)}>
      <label
        >${say('Name', '名称')}<input name="name" maxlength="256" .value=${assistant?.name ?? ''} autofocus
      /></label>
      ${modelField(models, assistant?.model ?? models[0]?.id ?? '')}
      <label
        >${say('Instructions', '指令')}
        <textarea
          name="instructions"
          rows="5"
          placeholder=${say('You are a helpful assistant.', '你是一个乐于助人的助手。')}
          .value=${assistant?.instructions ?? ''}
        ></textarea>
      </label>
      ${hostedFields(assistant, stores)} ${pluginFields(assistant, plugins)} ${this.#functionFields()}
      ${settingFields(assistant)}
      ${this.#problem === null ? nothing : html`<p class="problem" role="alert">${this.#problem}</p>`}
      <div class="buttons">
        <button class="primary" ?disabled=${this.#isSaving}>${say('Save', '保存')}</button>
        <button type="button" @click=${() => void this.#leave()}>${say('Cancel', '取消')}</button>
      </div>
    </form>`;
  }

  #functionFields(): TemplateResult {
    const add = (): void => this.#setFunctions([...this.#functions, this.#row(NEW_FUNCTION)]);
    const remove = (row: Row): void => this.#setFunctions(this.#functions.filter((each) => each !== row));
    return html`<fieldset>
      <legend>${say('Functions that the client answers', '由客户端回答的函数')}</legend>
      ${repeat(
        this.#functions,
        ({ key }) => key,
        (row, index) =>
          html`<div class="function-row">
            <label
              >${say(`Function ${index + 1}`, `函数 ${index + 1}`)}
              <textarea
                class="code"
                name="function"
                rows="7"
                spellcheck="false"
                .value=${row.text}
              ></textarea>
            </label>
            <button type="button" class="small" @click=${() => remove(row)}>
              ${say(`Remove function ${index + 1}`, `移除函数 ${index + 1}`)}
            </button>
          </div>`,
      )}
      <p class="hint">
        ${say(
          'JSON with name, description and parameters (a JSON schema). The run waits until its client has sent the output.',
          '包含 name、description 和 parameters（JSON Schema）的 JSON。运行会等待客户端提交输出。',
        )}
      </p>
      <button type="button" @click=${add}>${say('Add a function', '添加函数')}</button>
    </fieldset>`;
  }

  #setFunctions(rows: readonly Row[]): void {
    this.#functions = rows;
    this.#isChanged = true;
    this.#app.redraw();
  }

  #row(tool: FunctionTool): Row {
    this.#lastKey += 1;
    return { key: this.#lastKey, text: jsonText(tool) };
  }

  async #save(form: FormData): Promise<void> {
    if (this.#isSaving) return;
    this.#isSaving = true;
    this.#problem = null;
    this.#app.redraw();
    try {
      const body = assistantBody(form, this.#assistant);
      const path = this.#assistant === null ? '/assistants' : `/assistants/${this.#assistant.id}`;
      const stored = await this.#app.api.post<Assistant>(path, body);
      this.#end();
      this.#listeners.saved(stored);
    } catch (error) {
      this.#problem = error instanceof FormProblem ? error.message : wordsOf(error);
    }
    this.#isSaving = false;
    this.#app.redraw();
  }

  async #leave(): Promise<void> {
    const isLost =
      !this.#isChanged ||
      (await this.#app.ask(say('Your changes are not saved.', '你的更改尚未保存。'), say('Discard', '放弃')));
    if (isLost) this.#end();
  }

  #end(): void {
    this.close();
    this.#listeners.closed();
    this.#app.redraw();
  }
}
