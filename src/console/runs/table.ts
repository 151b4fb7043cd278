/** The table of runs, of which only what is to be seen is drawn. */
import { html, nothing, type TemplateResult } from 'lit-html';
import { guard } from 'lit-html/directives/guard.js';
import { ref } from 'lit-html/directives/ref.js';
import { repeat } from 'lit-html/directives/repeat.js';
import { say } from '../say.ts';
import { count, link, moment, statusView } from '../views.ts';
import { hasEnded } from '../wire.ts';
import { money } from './money.ts';
import { hasAssistant, type RunRow } from './row.ts';
import { wholeSeconds } from './times.ts';
import type { RowRange, RowWindow } from './row-window.ts';

export interface TableMeans {
  readonly rows: readonly RunRow[];
  readonly range: RowRange;
  /** How many there are; null while older ones may exist. */
  readonly total: number | null;
  readonly loaded: number;
  readonly window: RowWindow;
  readonly nameOf: (row: RunRow) => string;
  /** Unix seconds, by the server's clock. */
  readonly now: number;
  /** What costs are in; null where there are none to be shown. */
  readonly currency: string | null;
}

export function runTable(means: TableMeans): TemplateResult {
  const { rows, range, total, loaded, window, currency } = means;
  const height = window.rowHeight;
  const take = (body?: Element): void => {
    window.body = body ?? null;
  };
  return html`<table
    class="runs ${currency === null ? '' : 'with-cost'}"
    aria-label=${say('Runs, newest first', '运行，最新的在前')}
    aria-rowcount=${total === null ? -1 : total + 1}
  >
    <thead>
      <tr aria-rowindex="1">
        <th scope="col" class="state">${say('Status', '状态')}</th>
        <th scope="col" class="when">${say('Created', '创建时间')}</th>
        <th scope="col">${say('Assistant', '助手')}</th>
        <th scope="col" class="wide">${say('Model', '模型')}</th>
        <th scope="col" class="number took">${say('Duration', '用时')}</th>
        <th scope="col" class="number wide tokens">${say('Tokens', '令牌数')}</th>
        ${currency === null ? nothing : html`<th scope="col" class="number wide tokens">${say('Cost', '费用')}</th>`}
        <th scope="col" class="wide">${say('Thread', '会话')}</th>
      </tr>
    </thead>
    <tbody ${ref(take)}>
      ${spacer(range.from * height)}
      ${repeat(
        rows,
        ({ id }) => id,
        (row, index) => guardedLine(row, range.from + index + 2, means),
      )}
      ${spacer((loaded - range.to) * height)}
    </tbody>
  </table>`;
}

/** Stands for rows that are not drawn. */
function spacer(height: number): TemplateResult {
  return html`<tr aria-hidden="true" class="spacer">
    <td .style=${`height: ${height}px`}></td>
  </tr>`;
}

/** A row, made anew only where it has changed: most of them stay as they are while the reader scrolls. */
function guardedLine(row: RunRow, place: number, means: TableMeans): unknown {
  const took = durationOf(row, means.now);
  return guard([row, place, means.nameOf(row), took, means.currency], () => line(row, place, means));
}

function line(row: RunRow, place: number, { nameOf, now, currency }: TableMeans): TemplateResult {
  const { id, thread_id, model, status, created_at, tokens, cost } = row;
  const name = nameOf(row);
  const took = durationOf(row, now);
  const used = tokens === null ? [] : [say(`${count(tokens)} tokens`, `${count(tokens)} 令牌`)];
  const path = `/runs/${encodeURIComponent(thread_id)}/${encodeURIComponent(id)}`;
  return html`<tr data-row aria-rowindex=${place}>
    <td class="state">${statusView(status)}<small class="narrow">${[took, ...used].join(' · ')}</small></td>
    <td class="when">${moment(created_at)}</td>
    <td>
      ${link(path, html`${name}<span class="unseen"> ${id}</span>`, hasAssistant(row) ? 'whole' : 'whole quiet')}
    </td>
    <td class="wide">${model}</td>
    <td class="number took">${took}</td>
    <td class="number wide tokens">${tokens === null ? '–' : count(tokens)}</td>
    ${currency === null ? nothing : html`<td class="number wide tokens">${cost === null ? '–' : money(cost, currency)}</td>`}
    <td class="wide">
      ${thread_id === '' ? '–' : link(`/threads/${encodeURIComponent(thread_id)}`, thread_id, 'beside')}
    </td>
  </tr>`;
}

/** So far, or in all: runs tell whole seconds. */
function durationOf({ status, created_at, ended_at }: RunRow, now: number): string {
  if (ended_at === null && hasEnded(status)) return '–';
  const seconds = Math.max(0, (ended_at ?? Math.floor(now)) - created_at);
  return wholeSeconds(seconds * 1_000);
}
