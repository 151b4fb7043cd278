/** Draws the events of a run, newest last. */
import { html, nothing, type TemplateResult } from 'lit-html';
import { repeat } from 'lit-html/directives/repeat.js';
import { say } from '../say.ts';
import { count } from '../views.ts';
import type { EventKind, EventLog, LogEntry } from './event-log.ts';

/** What of the log is to be seen. */
export interface EventChoice {
  readonly kind: EventKind | '';
  readonly most: number;
}

export const FIRST_CHOICE: EventChoice = { kind: '', most: 100 };
const MORE = 200;

export function eventsView(
  log: EventLog,
  choice: EventChoice,
  choose: (choice: EventChoice) => void,
): TemplateResult {
  if (log.hasExpired)
    return html`<p>
      ${say(
        'The events of this run are not kept any more: the log of a run expires some time after its end. Steps and messages above are all there is.',
        '此运行的事件已不再保存：运行结束一段时间后，其事件日志会过期。以上步骤和消息仍可查看。',
      )}
    </p>`;
  const { shown, before } = log.newest(choice.kind, choice.most);
  const pick = ({ target }: Event): void => {
    if (target instanceof HTMLSelectElement) choose({ ...choice, kind: kindIn(target.value) });
  };
  const earlier = html`<p>
    <button class="small" @click=${() => choose({ ...choice, most: choice.most + MORE })}>
      ${say(`Show earlier ones (${count(before)})`, `显示更早的（${count(before)}）`)}
    </button>
  </p>`;
  const dropped = html`<p class="hint">
    ${say(`The oldest ${count(log.dropped)} are not kept in this page.`, `页面未保留最早的 ${count(log.dropped)} 条。`)}
  </p>`;
  return html`<div class="filters">
      <label
        >${say('Kind', '类型')}<select @change=${pick}>
          ${kinds().map(
            ([kind, words]) =>
              html`<option value=${kind} ?selected=${kind === choice.kind}>${words}</option>`,
          )}
        </select></label
      >
    </div>
    ${log.dropped === 0 ? nothing : dropped}${before === 0 ? nothing : earlier}
    <ol class="events">
      ${repeat(shown, ({ key }) => key, entryView)}
    </ol>
    ${log.isOver ? nothing : html`<p class="quiet">${say('Waiting for more …', '等待更多……')}</p>`}`;
}

function entryView({ name, about, fragments, text, status }: LogEntry): TemplateResult {
  const words = say(
    fragments === 1 ? '1 fragment' : `${count(fragments)} fragments`,
    `${count(fragments)} 个片段`,
  );
  if (fragments > 0)
    return html`<li>
      <code>${name}</code> <span class="quiet">${words}</span>
      <pre class="fragments">${text}</pre>
    </li>`;
  return html`<li>
    <details>
      <summary><code>${name}</code> <span class="quiet">${status} ${about}</span></summary>
      <pre class="code" tabindex="0" aria-label=${name}><code>${text}</code></pre>
    </details>
  </li>`;
}

const KINDS: readonly EventKind[] = ['run', 'step', 'message', 'other'];

const kindIn = (value: string): EventKind | '' => KINDS.find((kind) => kind === value) ?? '';

function kinds(): readonly (readonly [EventKind | '', string])[] {
  return [
    ['', say('all', '全部')],
    ['run', say('the run', '运行')],
    ['step', say('steps and calls', '步骤和调用')],
    ['message', say('messages', '消息')],
  ];
}
