/** The tools of an assistant. */
import { html, nothing, type TemplateResult } from 'lit-html';
import { say } from '../say.ts';
import type { Assistant, Tool } from '../wire.ts';
import { codeView, jsonText } from '../views.ts';

export function toolNames({ tools }: Pick<Assistant, 'tools'>): readonly string[] {
  return tools.map((tool) => (tool.type === 'function' ? tool.function.name : tool.type));
}

export function toolsView({ tools }: Pick<Assistant, 'tools'>): TemplateResult {
  if (tools.length === 0) return html`<p class="quiet">${say('None.', '无。')}</p>`;
  return html`<ul>
    ${tools.map((tool) => html`<li>${toolView(tool)}</li>`)}
  </ul>`;
}

function toolView(tool: Tool): TemplateResult {
  if (tool.type !== 'function') return html`<code>${tool.type}</code>`;
  const { name, description, parameters } = tool.function;
  return html`<code class="name">${name}</code> ${description ?? ''}
    ${
      parameters == null
        ? nothing
        : html`<details>
            <summary>${say('Parameters', '参数')}</summary>
            ${codeView(jsonText(parameters), say(`Parameters of ${name}`, `${name} 的参数`))}
          </details>`
    }`;
}
