/** Projects, tools, MCP servers, limits and settings. */
import { html, nothing, type TemplateResult } from 'lit-html';
import { costWords } from './cost.ts';
import { say, tag } from '../say.ts';
import { count, duration, empty, facts, jsonText, moment, size } from '../views.ts';
import type { Health, McpServer, ProjectDetails, ServiceDetails, ToolDetails } from './details.ts';
import { tableView, type Cell } from './table.ts';

export function projectsView({ projects, at }: ServiceDetails): TemplateResult {
  const name = say('Projects', '项目');
  const columns = [
    say('Project', '项目'),
    say('Open runs', '未结束的运行'),
    say('Runs today', '今日运行'),
    say('Tokens today', '今日令牌'),
    say('Cost today', '今日费用'),
  ];
  return html`<section>
    <h2>${name}</h2>
    <p class="quiet">
      ${say('Each key of callers has a project of its own with AUTH=passthrough; otherwise there is one.', '使用 AUTH=passthrough 时每个密钥对应一个项目，否则只有一个。')}
    </p>
    <p class="hint">${say('As of', '截至')} ${moment(at)}</p>
    ${tableView(name, columns, projects.map(projectRow))}
  </section>`;
}

function projectRow({
  project,
  open_runs: open,
  usage_today: today,
  limits,
}: ProjectDetails): readonly Cell[] {
  const most = limits.max_open_runs;
  return [
    html`<code class="id">${project}</code>`,
    {
      number:
        most === null
          ? count(open)
          : say(`${count(open)} of ${count(most)}`, `${count(open)} / ${count(most)}`),
    },
    { number: count(today === null ? 0 : sum(Object.values(today.runs))) },
    { number: count(today?.total_tokens ?? 0) },
    { number: costWords(today?.cost, today?.currency) },
  ];
}

export function toolsView({ tools, mcp_servers: servers }: ServiceDetails): TemplateResult {
  const name = say('Tools', '工具');
  const columns = [say('Tool', '工具'), say('From', '来源'), say('Health', '状态'), say('May take', '时限')];
  const none = empty(
    say(
      'The server has no tools of its own. docs/tools.md says how to give it some.',
      '服务器没有自己的工具。添加方法见 docs/tools.md。',
    ),
  );
  return html`<section>
    <h2>${name}</h2>
    ${tools.length === 0 ? none : tableView(name, columns, tools.map(toolRow))}
    ${servers.length === 0 ? nothing : serversView(servers)}
  </section>`;
}

function toolRow({ name, description, source, health, timeout_ms: timeout }: ToolDetails): readonly Cell[] {
  return [
    html`<strong>${name}</strong><span class="hint one-line" title=${description}>${description}</span>`,
    html`${source.type}<span class="hint">${source.from}</span>`,
    healthView(health),
    { number: duration(timeout) },
  ];
}

function healthView(health: Health): TemplateResult {
  if (health.status === 'ok') return html`<span class="status completed">${say('works', '正常')}</span>`;
  return html`<span class="status failed">${say('cannot be used', '无法使用')}</span>
    <span class="hint"
      >${say('since', '自')} ${moment(health.since)}${say(': ', '：')}${health.reason}</span
    >`;
}

function serversView(servers: readonly McpServer[]): TemplateResult {
  const name = say('MCP servers', 'MCP 服务器');
  const columns = [
    say('Server', '服务器'),
    say('For the API', 'API 侧'),
    say('For workers', '工作进程侧'),
    say('Tools', '工具'),
  ];
  return html`<h3>${name}</h3>
    ${tableView(
      name,
      columns,
      servers.map((server) => [
        html`<strong>${server.name}</strong>`,
        healthView(healthOf(server)),
        html`${server.workers.map(
          (each) => html`<div><code>${each.worker}</code> ${healthView(healthOf(each))}</div>`,
        )}`,
        server.tools.join(', ') || '–',
      ]),
    )}`;
}

function healthOf({
  state,
  since,
  last_error: reason,
}: Pick<McpServer, 'state' | 'since' | 'last_error'>): Health {
  return state === 'ok'
    ? { status: 'ok' }
    : { status: 'unavailable', since: since ?? 0, reason: reason ?? state };
}

/** Limits and settings under the names of their environment variables, as docs/configuration.md has them. */
export function settingsView({ limits, settings }: ServiceDetails): TemplateResult {
  const { upstreams, ...others } = settings;
  return html`<section>
    <h2>${say('Limits and settings', '限制与设置')}</h2>
    <p class="quiet">
      ${say('As configured; docs/configuration.md explains each. 0 is no limit.', '即当前配置，含义见 docs/configuration.md；0 表示不限。')}
    </p>
    <details class="card">
      <summary>${say('Limits', '限制')}</summary>
      ${facts(Object.entries(limits).map(settingOf))}
    </details>
    <details class="card">
      <summary>${say('Settings', '设置')}</summary>
      ${facts(Object.entries(others).map(settingOf))}
      <h3>${say('Model servers', '模型服务器')}</h3>
      ${facts(
        upstreams.map(({ name, models, preset, slots }) => {
          const parts = [
            models.length === 0 ? say('any model', '任意模型') : models.join(', '),
            ...(preset === null ? [] : [preset]),
            ...(slots === null ? [] : [say(`${slots} slots`, `${slots} 个槽位`)]),
          ];
          return [name, parts.join(' · ')] as const;
        }),
      )}
    </details>
  </section>`;
}

function settingOf([name, value]: readonly [string, unknown]): readonly [string, string] {
  return [name.toUpperCase(), valueWords(name, value)];
}

function valueWords(name: string, value: unknown): string {
  if (value === null || value === undefined) return say('not set', '未设置');
  if (Array.isArray(value)) return value.length === 0 ? say('none', '无') : value.join(', ');
  if (typeof value === 'boolean') return value ? say('yes', '是') : say('no', '否');
  if (typeof value !== 'number') return jsonText(value);
  if (value > 0 && name.endsWith('_bytes')) return size(value);
  if (value > 0 && name.endsWith('_ms')) return duration(value);
  return value.toLocaleString(tag());
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
