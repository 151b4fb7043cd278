/** The fields of an assistant that do not change while they are filled in. */
import { html, nothing, type TemplateResult } from 'lit-html';
import { say } from '../say.ts';
import { jsonText } from '../views.ts';
import type { Assistant, Model, Plugin, Tool, VectorStore } from '../wire.ts';

const EFFORTS = ['none', 'minimal', 'low', 'medium', 'high'];

export function modelField(models: readonly Model[], model: string): TemplateResult {
  return html`<label
    >${say('Model', '模型')}
    <input name="model" required list="editor-models" autocomplete="off" .value=${model} />
    <datalist id="editor-models">${models.map(({ id }) => html`<option value=${id}></option>`)}</datalist>
  </label>`;
}

export function hostedFields(assistant: Assistant | null, stores: readonly VectorStore[]): TemplateResult {
  const has = (type: Tool['type']): boolean => assistant?.tools.some((tool) => tool.type === type) ?? false;
  const [store = ''] = assistant?.tool_resources.file_search?.vector_store_ids ?? [];
  const known = stores.some(({ id }) => id === store) || store === '';
  return html`<fieldset>
    <legend>${say('Hosted tools', '托管工具')}</legend>
    <label class="check"
      ><input type="checkbox" name="code_interpreter" ?checked=${has('code_interpreter')} /><span
        >code_interpreter<span class="hint"
          >${say('Runs Python that the model writes.', '运行模型编写的 Python。')}</span
        ></span
      ></label
    >
    <label class="check"
      ><input type="checkbox" name="file_search" ?checked=${has('file_search')} /><span
        >file_search<span class="hint"
          >${say('Searches attached files and a vector store.', '搜索附件和向量库。')}</span
        ></span
      ></label
    >
    <label
      >${say('Vector store', '向量库')}
      <select name="vector_store">
        <option value="" ?selected=${store === ''}>${say('none', '无')}</option>
        ${known ? nothing : html`<option value=${store} selected>${store}</option>`}
        ${stores.map(
          ({ id, name }) => html`<option value=${id} ?selected=${id === store}>${name || id}</option>`,
        )}
      </select>
    </label>
  </fieldset>`;
}

/** The names in a list of metadata; `all` where it says so by `true`. */
function named(list: string | undefined): { readonly all: boolean; readonly names: readonly string[] } {
  const names = (list ?? '').split(',').map((name) => name.trim());
  return { all: list?.trim() === 'true', names };
}

export function pluginFields(assistant: Assistant | null, plugins: readonly Plugin[]): TemplateResult {
  const auto = named(assistant?.metadata['auto_tools']);
  const asks = named(assistant?.metadata['approve']);
  const declared = (assistant?.tools ?? []).map((tool) =>
    tool.type === 'function' ? tool.function.name : '',
  );
  // What other servers or workers have stays as it is.
  const unknown = (names: readonly string[]): readonly string[] =>
    names.filter((name) => name !== '' && name !== 'true' && plugins.every((plugin) => plugin.name !== name));
  return html`<fieldset>
    <legend>${say('Tools of the server', '服务器的工具')}</legend>
    ${unknown(auto.names).map((name) => html`<input type="hidden" name="plugin" value=${name} />`)}
    ${unknown(asks.names).map((name) => html`<input type="hidden" name="approve" value=${name} />`)}
    ${plugins.length === 0 ? html`<p class="hint">${say('It has none.', '没有工具。')}</p>` : nothing}
    ${plugins.map(({ name, description }) => {
      const isChosen = auto.names.includes(name) || (auto.all && declared.includes(name));
      return html`<div class="plugin-row">
        <label class="check"
          ><input type="checkbox" name="plugin" value=${name} ?checked=${isChosen} /><span
            >${name}<span class="hint">${description}</span></span
          ></label
        >
        <label class="check"
          ><input
            type="checkbox"
            name="approve"
            value=${name}
            aria-label=${say(`Ask me before ${name} is called`, `调用 ${name} 前先询问我`)}
            ?checked=${asks.all || asks.names.includes(name)}
          />${say('Ask me first', '先询问我')}</label
        >
      </div>`;
    })}
  </fieldset>`;
}

export function settingFields(assistant: Assistant | null): TemplateResult {
  const { auto_tools: _auto, approve: _approve, ...metadata } = assistant?.metadata ?? {};
  const number = (value: number | null | undefined): string => (value == null ? '' : String(value));
  const effort = assistant?.reasoning_effort ?? '';
  const format = assistant?.response_format ?? 'auto';
  return html`<details>
    <summary>${say('Further settings', '更多设置')}</summary>
    <label
      >${say('Temperature', '温度')}<input
        name="temperature"
        type="number"
        min="0"
        max="2"
        step="any"
        .value=${number(assistant?.temperature)}
    /></label>
    <label
      >${say('top_p', 'top_p')}<input
        name="top_p"
        type="number"
        min="0"
        max="1"
        step="any"
        .value=${number(assistant?.top_p)}
    /></label>
    <label
      >${say('Reasoning effort', '推理强度')}
      <select name="reasoning_effort">
        <option value="" ?selected=${effort === ''}>${say('as the model has it', '由模型决定')}</option>
        ${EFFORTS.map((each) => html`<option value=${each} ?selected=${effort === each}>${each}</option>`)}
      </select>
    </label>
    <label
      >${say('Form of the answer', '回答格式')}
      <textarea
        class="code"
        name="response_format"
        rows="2"
        spellcheck="false"
        .value=${typeof format === 'string' ? format : jsonText(format)}
      ></textarea>
      <span class="hint"
        >${say('auto, or JSON such as {"type": "json_object"}', 'auto，或 JSON，例如 {"type": "json_object"}')}</span
      >
    </label>
    <label
      >${say('Description', '描述')}<input
        name="description"
        maxlength="512"
        .value=${assistant?.description ?? ''}
    /></label>
    <label
      >${say('Further metadata (JSON)', '其他元数据（JSON）')}
      <textarea
        class="code"
        name="metadata"
        rows="3"
        spellcheck="false"
        .value=${jsonText(metadata)}
      ></textarea>
    </label>
  </details>`;
}
