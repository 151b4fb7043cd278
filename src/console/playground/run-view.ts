/** How a run stands: one line below what it said, and what to do where it failed. */
import { html, nothing, type TemplateResult } from 'lit-html';
import { say } from '../say.ts';
import { count, duration, link, statusView } from '../views.ts';
import { hasEnded, type Run } from '../wire.ts';
import { nameOf } from './stored-files.ts';

export function runView(run: Run): TemplateResult {
  const { status, usage, thread_id: threadId, id, last_error: error } = run;
  const tookMs = ((run.completed_at ?? 0) - (run.started_at ?? 0)) * 1_000;
  return html`<div class="run-line">
      ${statusView(status)}
      ${
        usage === null
          ? nothing
          : html`<span class="quiet" title=${say('tokens in and out', '输入和输出的 token 数')}
              >${count(usage.prompt_tokens)} → ${count(usage.completion_tokens)}
              ${say('tokens', 'tokens')}</span
            >`
      }
      ${hasEnded(status) && tookMs > 0 ? html`<span class="quiet">${duration(tookMs)}</span>` : nothing}
      ${link(`/runs/${threadId}/${id}`, say('Run', '运行详情'))}
    </div>
    ${error === null ? nothing : failureView(error)}
    ${status === 'incomplete' ? incompleteView(run) : nothing}
    ${status === 'expired' ? html`<p class="problem">${say('The run took longer than it may. Send the message again.', '运行超时。请重新发送消息。')}</p>` : nothing}`;
}

type RunError = NonNullable<Run['last_error']>;

function failureView({ code, message }: RunError): TemplateResult {
  return html`<div class="problem" role="alert">
    <p><strong>${say('The run failed.', '运行失败。')}</strong> ${nameOf(message)}</p>
    <p>${adviceFor(code)}</p>
  </div>`;
}

/** What the reader can do about a failure. */
function adviceFor(code: string): string {
  switch (code) {
    case 'rate_limit_exceeded':
      return say(
        'The model server has no room or no credit left. Wait a little and send the message again, or choose another model.',
        '模型服务器已达限额或余额不足。请稍候重发，或换一个模型。',
      );
    case 'invalid_prompt':
      return say(
        'The model server does not take this request. Check the model’s name and the tools in the assistant, then send the message again.',
        '模型服务器拒绝了此请求。请检查助手的模型名称和工具，然后重新发送。',
      );
    case 'context_length_exceeded':
      return say(
        'The conversation is too long for this model. Begin a new one, or choose a model with more room.',
        '对话超出了此模型的长度上限。请新建对话，或选择上下文更长的模型。',
      );
    default:
      return say(
        'Put right what it says, or send the message again. The page of the run shows every try, and the logs of the workers say more.',
        '请按提示修正，或重新发送消息。运行详情页会列出每次尝试，worker 日志里有更多信息。',
      );
  }
}

function incompleteView({ incomplete_details: details }: Run): TemplateResult {
  const isLong = details?.reason === 'max_completion_tokens' || details?.reason === 'max_tokens';
  return html`<p class="problem">
    ${
      isLong
        ? say(
            'The answer was cut: it reached its limit of tokens. Ask for the rest.',
            '回答达到 token 上限而被截断。可以请它继续。',
          )
        : say(
            `The answer is incomplete: ${details?.reason ?? 'no reason given'}.`,
            `回答不完整：${details?.reason ?? '未说明原因'}。`,
          )
    }
  </p>`;
}
