/** Draws where the time of a run went: a table whose last column has the bars. */
import { html, nothing, type TemplateResult } from 'lit-html';
import { say } from '../say.ts';
import { count, duration, facts } from '../views.ts';
import { failureWords, wholeSeconds } from './times.ts';
import { speedOf, ticksOf, type PlacedSpan, type Timeline, type TraceSpan } from './trace.ts';

interface TimelineMeans {
  /** The spans whose attributes are shown, by id. */
  readonly open: ReadonlySet<string>;
  readonly toggle: (id: string) => void;
}

export function timelineView(timeline: Timeline, { open, toggle }: TimelineMeans): TemplateResult {
  const { spans, lengthMs, isCoarse } = timeline;
  const all = spans.map(({ span }) => span);
  const length = isCoarse ? wholeSeconds : duration;
  return html`${isCoarse ? html`<p class="hint">${say('To the second only: nothing finer is kept of this run.', '仅精确到秒：此运行没有更细的记录。')}</p>` : nothing}
    <table class="timeline">
      <thead>
        <tr>
          <th scope="col" class="what">${say('What', '内容')}</th>
          <th scope="col" class="number start">${say('Start', '开始')}</th>
          <th scope="col" class="number took">${say('Duration', '用时')}</th>
          <td class="bars">${scale(lengthMs)}</td>
        </tr>
      </thead>
      <tbody>
        ${spans.map((placed) =>
          row(placed, {
            all,
            lengthMs,
            length,
            isOpen: open.has(placed.span.id),
            toggle: () => toggle(placed.span.id),
          }),
        )}
      </tbody>
    </table>`;
}

/** Ticks after this share of the scale have their words on their left, where there is room. */
const LATE = 0.9;

function scale(lengthMs: number): TemplateResult {
  return html`<div class="scale" aria-hidden="true">
    ${ticksOf(lengthMs).map(
      (tick) =>
        html`<span class=${tick > LATE * lengthMs ? 'late' : ''} .style=${`left: ${percent(tick, lengthMs)}`}
          >${shortTime(tick)}</span
        >`,
    )}
  </div>`;
}

interface RowMeans {
  /** All spans of the run. */
  readonly all: readonly TraceSpan[];
  /** Of the whole run. */
  readonly lengthMs: number;
  /** A time in words, as finely as times are known. */
  readonly length: (ms: number) => string;
  readonly isOpen: boolean;
  readonly toggle: () => void;
}

function row(placed: PlacedSpan, { all, lengthMs, length, isOpen, toggle }: RowMeans): TemplateResult {
  const { span, depth, afterMs, durationMs, firstWordMs } = placed;
  const { id, status, error, kind } = span;
  const width = Math.max(durationMs, 0);
  const note = noteOf(placed);
  return html`<tr class=${isOpen ? 'opened' : ''}>
      <th scope="row" class="what depth-${Math.min(depth, 4)}">
        <button class="bare" aria-expanded=${isOpen} @click=${toggle}>${nameOf(span)}</button>
        ${error === null ? nothing : html`<span class="failed">${failureWords(span, all)}</span>`}
        ${note === '' ? nothing : html`<span class="hint">${note}</span>`}
      </th>
      <td class="number start">${startWords(afterMs, length)}</td>
      <td class="number took">
        ${length(durationMs)}${status === 'open' ? html` <span class="hint">${say('so far', '进行中')}</span>` : nothing}
      </td>
      <td class="bars" aria-hidden="true" @click=${toggle}>
        <div
          class="bar ${kind} ${status}"
          .style=${`left: ${percent(afterMs, lengthMs)}; width: ${percent(width, lengthMs)}`}
        >
          ${firstWordMs === null ? nothing : html`<i .style=${`left: ${percent(firstWordMs, Math.max(width, 1))}`}></i>`}
        </div>
      </td>
    </tr>
    ${
      isOpen
        ? html`<tr id="span-${id}" class="attributes">
            <td colspan="4">${attributesView(placed, length)}</td>
          </tr>`
        : nothing
    }`;
}

const startWords = (afterMs: number, length: RowMeans['length']): string =>
  afterMs < 1 ? '+0 s' : `+${length(afterMs)}`;

const percent = (part: number, whole: number): string => `${Math.min(100, (100 * part) / whole).toFixed(3)}%`;

/** What a span is, in plain words. */
function nameOf({ kind, name, attributes }: TraceSpan): string {
  const text = (key: string): string => String(attributes[key] ?? '');
  switch (kind) {
    case 'run':
      return say('Run', '运行');
    case 'queue':
      return say('Waits for a worker', '等待工作进程');
    case 'attempt':
      return say(`Worker ${text('longrun.worker')}`, `工作进程 ${text('longrun.worker')}`).trim();
    case 'client':
      return say('Waits for the client', '等待客户端');
    case 'model': {
      const model = text('gen_ai.request.model');
      return model === '' ? say('Message', '消息') : say(`Asks ${model}`, `请求 ${model}`);
    }
    case 'tool': {
      const tool = text('gen_ai.tool.name');
      return tool === '' ? say(`Tools (${name})`, `工具（${name}）`) : say(`Tool ${tool}`, `工具 ${tool}`);
    }
  }
}

/** The first word, and how fast the others came. */
function noteOf(placed: PlacedSpan): string {
  const { firstWordMs, outputTokens } = placed;
  const speed = speedOf(placed);
  return [
    firstWordMs === null
      ? ''
      : say(`first word after ${duration(firstWordMs)}`, `${duration(firstWordMs)} 后出现首字`),
    outputTokens === null ? '' : say(`${count(outputTokens)} tokens`, `${count(outputTokens)} 个令牌`),
    speed === null
      ? ''
      : say(`${count(Math.round(speed))} tokens/s`, `每秒 ${count(Math.round(speed))} 个令牌`),
  ]
    .filter((part) => part !== '')
    .join(' · ');
}

/** All that is known of a span, in the words of those who noted it. */
function attributesView(
  { span, afterMs, durationMs }: PlacedSpan,
  length: RowMeans['length'],
): TemplateResult {
  const { attributes, name, error } = span;
  const pairs = Object.entries(attributes).map(
    ([key, value]) => [key, typeof value === 'object' ? value.join(', ') : String(value)] as const,
  );
  return facts([
    [say('Name', '名称'), name],
    [say('Start', '开始'), startWords(afterMs, length)],
    [say('Duration', '用时'), length(durationMs)],
    [say('Error', '错误'), error],
    ...pairs,
  ]);
}

function shortTime(ms: number): string {
  if (ms === 0) return '0';
  if (ms < 1_000) return `${Number(ms.toFixed(1))} ms`;
  return ms < 120_000 ? `${Number((ms / 1_000).toFixed(2))} s` : `${Number((ms / 60_000).toFixed(1))} min`;
}
