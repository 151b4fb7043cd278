/** The tools of an assistant. */
import { html, nothing, type TemplateResult } from 'lit-html';
import { say } from '../say.ts';
import type { Assistant, Tool } from '../wire.ts';
import { codeView, jsonText } from '../views.ts';

type Tooled = Pick<Assistant, 'tools' | 'metadata'>;

/** What its tools are called; of those that the server answers itself, that it does. */
export function toolNames(assistant: Tooled): readonly string[] {
  const answered = answeredOf(assistant);
  const server = (name: string): string => say(`${name} (server)`, `${name}（服务器）`);
  const declared = assistant.tools.map((tool) => {
    const name = nameOf(tool);
    return answered.isAnswered(tool) ? server(name) : name;
  });
  return [...declared, ...answered.others.map(server)];
}

export function toolsView(assistant: Tooled): TemplateResult {
  const { isAnswered, others, isAll } = answeredOf(assistant);
  if (assistant.tools.length + others.length === 0) return html`<p class="quiet">${say('None.', '无。')}</p>`;
  const byServer = html`<span class="quiet"
    >${isAll ? say('answered by the server, if it has it', '由服务器执行（如具备）') : say('answered by the server', '由服务器执行')}</span
  >`;
  return html`<ul>
    ${assistant.tools.map((tool) => html`<li>${toolView(tool, isAnswered(tool) ? byServer : nothing)}</li>`)}
    ${others.map((name) => html`<li><code class="name">${name}</code> ${byServer}</li>`)}
  </ul>`;
}

const nameOf = (tool: Tool): string => (tool.type === 'function' ? tool.function.name : tool.type);

/** Which tools the server answers itself: `auto_tools` names them; `true` is all functions that are declared. */
function answeredOf({ tools, metadata }: Tooled): {
  readonly isAnswered: (tool: Tool) => boolean;
  readonly others: readonly string[];
  readonly isAll: boolean;
} {
  const asked = metadata['auto_tools'] ?? '';
  const isAll = asked.trim() === 'true';
  const names = new Set(isAll ? [] : asked.split(',').map((name) => name.trim()));
  names.delete('');
  const declared = new Set(tools.map(nameOf));
  return {
    isAnswered: (tool) => tool.type === 'function' && (isAll || names.has(tool.function.name)),
    others: [...names].filter((name) => !declared.has(name)),
    isAll,
  };
}

function toolView(tool: Tool, answered: TemplateResult | typeof nothing): TemplateResult {
  if (tool.type !== 'function') return html`<code>${tool.type}</code>`;
  const { name, description, parameters } = tool.function;
  return html`<code class="name">${name}</code> ${answered} ${description ?? ''}
    ${
      parameters == null
        ? nothing
        : html`<details>
            <summary>${say('Parameters', '参数')}</summary>
            ${codeView(jsonText(parameters), say(`Parameters of ${name}`, `${name} 的参数`))}
          </details>`
    }`;
}
