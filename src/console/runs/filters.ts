/** Which runs are wanted: kept in the address, so that a list can be kept and sent. */
import { html, nothing, type TemplateResult } from 'lit-html';
import { say } from '../say.ts';
import { statusWords } from '../views.ts';
import type { Assistant, RunStatus } from '../wire.ts';
import type { RunRow } from './row.ts';

/** All of them texts; empty for any. */
export interface RunFilters {
  /** One status or several, with commas between. */
  readonly status: string;
  readonly assistant: string;
  readonly thread: string;
  /** The reader's own where it is empty. */
  readonly project: string;
  /** At most so old, in seconds. */
  readonly age: string;
}

export const ANY_RUN: RunFilters = { status: '', assistant: '', thread: '', project: '', age: '' };

const NAMES = ['status', 'assistant', 'thread', 'project', 'age'] as const;

export function filtersIn(query: URLSearchParams): RunFilters {
  const named = (name: string): string => query.get(name) ?? '';
  return {
    status: named('status'),
    assistant: named('assistant'),
    thread: named('thread'),
    project: named('project'),
    age: named('age'),
  };
}

/** The address of the list, below `/console`. */
export function pathOf(filters: RunFilters): string {
  const query = new URLSearchParams(
    NAMES.flatMap((name) => (filters[name] === '' ? [] : [[name, filters[name]]])),
  );
  return query.size === 0 ? '/runs' : `/runs?${query}`;
}

export const isAny = (filters: RunFilters): boolean => NAMES.every((name) => filters[name] === '');

/** The filters as the API's list has them. @param now unix seconds, by the server's clock */
export function wantedBy({ status, assistant, thread, project, age }: RunFilters, now: number) {
  const created_after = /^\d+$/.test(age) ? Math.floor(now) - Number(age) : null;
  return { status, assistant_id: assistant, thread_id: thread, project, created_after };
}

/** Whether a run that has come or changed belongs into the list. Its project was asked for when news were. */
export function fits({ status, assistant, thread }: RunFilters, row: RunRow): boolean {
  return (
    (status === '' || status.split(',').includes(row.status)) &&
    (assistant === '' || row.assistant_id === assistant) &&
    (thread === '' || row.thread_id === thread)
  );
}

const STATUSES: readonly RunStatus[] = [
  'queued',
  'in_progress',
  'requires_action',
  'cancelling',
  'completed',
  'failed',
  'incomplete',
  'cancelled',
  'expired',
];

interface FilterMeans {
  readonly assistants: readonly Assistant[];
  readonly isOperator: boolean;
  readonly change: (filters: RunFilters) => void;
}

export function filtersView(filters: RunFilters, means: FilterMeans): TemplateResult {
  const { assistants, isOperator, change } = means;
  const field = (name: keyof RunFilters) => (event: Event) => {
    const { target } = event;
    const isField = target instanceof HTMLSelectElement || target instanceof HTMLInputElement;
    if (isField) change({ ...filters, [name]: target.value.trim() });
  };
  const choice = (name: keyof RunFilters, words: string, options: readonly Option[]): TemplateResult =>
    html`<label
      >${words}<select name=${name} @change=${field(name)}>
        ${withChosen(options, filters[name]).map(
          ([value, text]) =>
            html`<option value=${value} ?selected=${value === filters[name]}>${text}</option>`,
        )}
      </select></label
    >`;
  const text = (name: keyof RunFilters, words: string, hint: string): TemplateResult =>
    html`<label
      >${words}<input
        name=${name}
        .value=${filters[name]}
        placeholder=${hint}
        spellcheck="false"
        autocomplete="off"
        @change=${field(name)}
    /></label>`;
  return html`<form
    class="filters"
    role="search"
    aria-label=${say('Filters', '筛选')}
    @submit=${(event: Event) => event.preventDefault()}
  >
    ${choice('status', say('Status', '状态'), statusOptions())}
    ${choice('assistant', say('Assistant', '助手'), [
      ['', say('any', '全部')],
      ...assistants.map(({ id, name }): Option => [id, name ?? id]),
    ])}
    ${choice('age', say('Created', '创建时间'), ageOptions())}
    ${text('thread', say('Thread', '会话'), 'thread_…')}
    ${isOperator || filters.project !== '' ? text('project', say('Project', '项目'), say('my own', '我的项目')) : nothing}
  </form>`;
}

/** A value, and the words for it. */
type Option = readonly [string, string];

/** What the address names is a choice as well. */
function withChosen(options: readonly Option[], chosen: string): readonly Option[] {
  return options.some(([value]) => value === chosen) ? options : [...options, [chosen, chosen]];
}

function statusOptions(): readonly Option[] {
  return [
    ['', say('any', '全部')],
    ['queued,in_progress,requires_action,cancelling', say('under way', '未结束')],
    ['failed,incomplete,expired', say('went wrong', '出错')],
    ...STATUSES.map((status): Option => [status, statusWords(status)]),
  ];
}

function ageOptions(): readonly Option[] {
  return [
    ['', say('any time', '不限')],
    ['900', say('last 15 minutes', '最近 15 分钟')],
    ['3600', say('last hour', '最近 1 小时')],
    ['86400', say('last day', '最近 1 天')],
    ['604800', say('last week', '最近 1 周')],
  ];
}
