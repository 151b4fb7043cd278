/** The head of a run: what it is, how it went, what is wrong with it, and what can be done. */
import { html, nothing, type TemplateResult } from 'lit-html';
import { say } from '../say.ts';
import { copyButton, count, duration, facts, idView, link, moment } from '../views.ts';
import { hasEnded, type Run, type Usage } from '../wire.ts';
import { explain } from '../explain.ts';
import { money } from './money.ts';
import { endOf, hasAssistant } from './row.ts';
import { lengthWords, wholeSeconds, type Waits } from './times.ts';

export interface HeadMeans {
  readonly assistantName: string | null;
  readonly project: string | null;
  readonly cost: number | null;
  readonly currency: string | null;
  /** Unix seconds, by the server's clock. */
  readonly now: number;
  /** The whole of it in milliseconds, where that is known better than to the second. */
  readonly lengthMs: number | null;
  /** What the trace knows of its waits; null where nothing. */
  readonly waits: Waits | null;
}

export function factsView(run: Run, means: HeadMeans): TemplateResult {
  const { assistantName, project, cost, currency, now, lengthMs, waits } = means;
  const { created_at, started_at, assistant_id, model, usage, metadata } = run;
  const ended = endOf(run);
  const totalMs = Math.max(0, lengthMs ?? ((ended ?? now) - created_at) * 1_000);
  const length = lengthMs === null ? wholeSeconds(totalMs) : duration(totalMs);
  const own = Object.entries(metadata);
  const assistant = hasAssistant(run)
    ? link(`/assistants/${encodeURIComponent(assistant_id)}`, assistantName ?? assistant_id)
    : say('none', '无');
  return html`<div class="run-facts">
      ${facts([
        [say('Assistant', '助手'), assistant],
        [say('Model', '模型'), model],
        [say('Project', '项目'), project],
        [say('Created', '创建时间'), moment(created_at)],
        [say('Started', '开始时间'), moment(waits?.startedAt ?? started_at)],
        [say('Ended', '结束时间'), hasEnded(run.status) ? moment(ended) : null],
        [say('Waited for a worker', '等待工作进程'), waitWords(run, waits)],
        [
          hasEnded(run.status) ? say('Duration', '用时') : say('Duration so far', '已用时'),
          lengthWords(length, waits),
        ],
        [say('Tokens', '令牌数'), usage === null ? null : usageWords(usage)],
        [say('Cost', '费用'), cost === null || currency === null ? null : money(cost, currency)],
        [say('Thread', '会话'), link(`/threads/${encodeURIComponent(run.thread_id)}`, idView(run.thread_id))],
        [say('Run', '运行'), idView(run.id)],
      ])}
    </div>
    ${
      own.length === 0
        ? nothing
        : html`<details>
            <summary>${say('Metadata', '元数据')} (${own.length})</summary>
            ${facts(own)}
          </details>`
    }`;
}

/** A run tells when it was started last, so only its trace knows what one has waited that was taken over. */
function waitWords({ created_at, started_at }: Run, waits: Waits | null): string | null {
  if (waits !== null) return duration(waits.workerMs);
  return started_at === null ? null : wholeSeconds((started_at - created_at) * 1_000);
}

function usageWords(usage: Usage): string {
  const cached = usage.prompt_token_details?.cached_tokens ?? 0;
  const thought = usage.completion_tokens_details?.reasoning_tokens ?? 0;
  return [
    say(`${count(usage.prompt_tokens)} in`, `输入 ${count(usage.prompt_tokens)}`),
    cached === 0 ? '' : say(`(${count(cached)} cached)`, `（缓存 ${count(cached)}）`),
    say(`+ ${count(usage.completion_tokens)} out`, `+ 输出 ${count(usage.completion_tokens)}`),
    thought === 0 ? '' : say(`(${count(thought)} of them thoughts)`, `（其中思考 ${count(thought)}）`),
  ]
    .filter((part) => part !== '')
    .join(' ');
}

/** What is wrong with a run, or what it waits for. */
export function troubleView(run: Run): TemplateResult | typeof nothing {
  const explanation = explain(run);
  if (explanation !== null) {
    const { what, todo, words } = explanation;
    return html`<section class="problem" aria-label=${say('What went wrong', '出错原因')}>
      <p><strong>${what}</strong> ${todo}</p>
      ${
        words === null
          ? nothing
          : html`<p class="hint">${say('In the words of the server:', '服务器的原话：')}</p>
              <pre class="words">${words}</pre>`
      }
    </section>`;
  }
  const calls = run.required_action?.submit_tool_outputs.tool_calls ?? [];
  if (calls.length === 0) return nothing;
  const names = calls.map((call) => call.function?.name ?? call.type).join(', ');
  return html`<section class="card waits" aria-label=${say('What it waits for', '等待内容')}>
    <p>
      ${say(
        `It waits for its client to answer: ${names}. The client sends the outputs with submit_tool_outputs.`,
        `正在等待客户端的工具输出：${names}。客户端通过 submit_tool_outputs 提交输出。`,
      )}
      ${run.expires_at === null ? nothing : html`${say('It expires at ', '过期时间：')}${moment(run.expires_at)}${say('.', '。')}`}
    </p>
  </section>`;
}

interface Actions {
  readonly cancel: () => void;
  readonly again: () => void;
}

export function actionsView(run: Run, { cancel, again }: Actions): TemplateResult {
  const canCancel = !hasEnded(run.status) && run.status !== 'cancelling';
  return html`<div class="buttons">
    ${canCancel ? html`<button class="danger" @click=${cancel}>${say('Cancel', '取消运行')}</button>` : nothing}
    ${
      hasEnded(run.status) && hasAssistant(run)
        ? html`<button @click=${again}>${say('Run again', '再次运行')}</button>`
        : nothing
    }
    ${link(`?thread=${encodeURIComponent(run.thread_id)}`, say('Open in playground', '在演练场中打开'), 'button')}
    ${copyButton(() => run.id, say('Copy id', '复制 ID'))}
  </div>`;
}
