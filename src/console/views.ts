/** Small things that all pages show in the same way. */
import { html, nothing, type TemplateResult } from 'lit-html';
import { BASE } from './app.ts';
import { currentLanguage, say, tag } from './say.ts';
import type { RunStatus } from './wire.ts';

/** A link to another page of the console. */
export function link(path: string, text: unknown, className = ''): TemplateResult {
  return html`<a href="${BASE}${path}" class="${className}">${text}</a>`;
}

/** What a list says that has nothing in it: why, and what to do. */
export function empty(text: string, action: TemplateResult | typeof nothing = nothing): TemplateResult {
  return html`<div class="empty">
    <p>${text}</p>
    ${action}
  </div>`;
}

const STATUS_WORDS: Readonly<Record<RunStatus, readonly [string, string]>> = {
  queued: ['queued', '排队中'],
  in_progress: ['in progress', '进行中'],
  requires_action: ['waits for the client', '等待客户端'],
  cancelling: ['cancelling', '取消中'],
  cancelled: ['cancelled', '已取消'],
  failed: ['failed', '失败'],
  completed: ['completed', '已完成'],
  incomplete: ['incomplete', '不完整'],
  expired: ['expired', '已过期'],
};

/** The status of a run in words and colour. */
export function statusView(status: RunStatus): TemplateResult {
  return html`<span class="status ${status}">${say(...STATUS_WORDS[status])}</span>`;
}

export function statusWords(status: RunStatus): string {
  return say(...STATUS_WORDS[status]);
}

/** A moment, in the reader's own time; the whole of it as a tooltip. @param at unix seconds */
export function moment(at: number | null | undefined): TemplateResult | string {
  if (at == null) return '–';
  const date = new Date(at * 1000);
  return html`<time datetime=${date.toISOString()} title=${formatter('whole').format(date)}
    >${formatter(isToday(date) ? 'time' : 'day').format(date)}</time
  >`;
}

const isToday = (date: Date): boolean => date.toDateString() === new Date().toDateString();

const MOMENTS = {
  time: { hour: '2-digit', minute: '2-digit', second: '2-digit' },
  day: { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' },
  whole: { dateStyle: 'medium', timeStyle: 'medium' },
} as const satisfies Readonly<Record<string, Intl.DateTimeFormatOptions>>;

/** Making one takes far longer than using it, and tables use them for every row. */
const formatters = new Map<string, Intl.DateTimeFormat>();

function formatter(kind: keyof typeof MOMENTS): Intl.DateTimeFormat {
  const key = `${tag()} ${kind}`;
  const known = formatters.get(key) ?? new Intl.DateTimeFormat(tag(), MOMENTS[kind]);
  formatters.set(key, known);
  return known;
}

/** `340 ms`, `12.4 s`, `3 min 20 s`. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} min ${Math.round((ms % 60_000) / 1_000)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

const NUMBERS = { en: new Intl.NumberFormat('en'), zh: new Intl.NumberFormat('zh-CN') };

export function count(value: number): string {
  return NUMBERS[currentLanguage()].format(value);
}

/** `3.4 MB`. */
export function size(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let [value, unit] = [bytes, 0];
  while (value >= 1_000 && unit < units.length - 1) [value, unit] = [value / 1_000, unit + 1];
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** An id that can be copied. */
export function idView(id: string): TemplateResult {
  return html`<code class="id">${id}</code>`;
}

/** How much longer indenting may make JSON: lists in lists in lists would fill the memory with blanks. */
const MAX_GROWTH = 4;
/** Deeper JSON is shown as it came. */
const MAX_JSON_DEPTH = 40;

/** JSON for people; what is no JSON stays as it is. */
export function jsonText(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
  if (depthOf(text) > MAX_JSON_DEPTH) return text;
  try {
    const indented = JSON.stringify(JSON.parse(text), null, 2);
    return indented.length > MAX_GROWTH * text.length + 10_000 ? text : indented;
  } catch {
    return text;
  }
}

/** How deep JSON is nested, or a little more where a string has brackets. */
function depthOf(text: string): number {
  let [depth, deepest] = [0, 0];
  for (const [mark] of text.matchAll(/[[\]{}]/g)) {
    depth += mark === '[' || mark === '{' ? 1 : -1;
    deepest = Math.max(deepest, depth);
  }
  return deepest;
}

/** Text with its line breaks, in a box that scrolls. */
export function codeView(text: string, label: string): TemplateResult {
  return html`<pre class="code" tabindex="0" aria-label=${label}><code>${text}</code></pre>`;
}

/** Names and values. */
export function facts(pairs: readonly (readonly [string, unknown])[]): TemplateResult {
  const shown = pairs.filter(([, value]) => value != null && value !== '');
  return html`<dl class="facts">
    ${shown.map(
      ([name, value]) =>
        html`<div>
          <dt>${name}</dt>
          <dd>${value}</dd>
        </div>`,
    )}
  </dl>`;
}

/** How long a button says that it has copied something. */
const COPIED_MS = 1_500;

/** Copies text, and says so on the button for a moment. */
export function copyButton(text: () => string, words = say('Copy', '复制')): TemplateResult {
  const copy = async ({ currentTarget: button }: Event): Promise<void> => {
    await navigator.clipboard.writeText(text());
    if (!(button instanceof HTMLButtonElement)) return;
    button.dataset['copied'] = say('Copied', '已复制');
    setTimeout(() => delete button.dataset['copied'], COPIED_MS);
  };
  return html`<button class="small" @click=${(event: Event) => void copy(event)}>${words}</button>`;
}
