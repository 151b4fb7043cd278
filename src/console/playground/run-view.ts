/** How a run stands: one line below what it said, and what to do where it failed. */
import { html, nothing, type TemplateResult } from 'lit-html';
import { explain } from '../explain.ts';
import { say } from '../say.ts';
import { count, duration, link, statusView } from '../views.ts';
import { hasEnded, type Run } from '../wire.ts';
import { plainName } from '../plain-name.ts';

/** @param again makes another run for the same question; null where that would make no sense */
export function runView(run: Run, again: (() => void) | null): TemplateResult {
  const { status, usage, thread_id: threadId, id } = run;
  const took = hasEnded(status) ? tookWords(run) : null;
  return html`<div class="run-line">
      ${statusView(status)}
      ${
        usage === null
          ? nothing
          : html`<span class="quiet" title=${say('tokens in and out', '输入和输出的令牌数')}
              >${count(usage.prompt_tokens)} → ${count(usage.completion_tokens)}
              ${say('tokens', '令牌')}</span
            >`
      }
      ${took === null ? nothing : html`<span class="quiet">${took}</span>`}
      ${link(`/runs/${threadId}/${id}`, say('Run', '运行详情'))}
    </div>
    ${failureView(run, hasEnded(status) ? again : null)}`;
}

/** Why a run has no whole answer, in the words that the page of the run has for it. */
function failureView(run: Run, again: (() => void) | null): TemplateResult | typeof nothing {
  const explanation = explain(run);
  if (explanation === null) return nothing;
  const { what, todo, words } = explanation;
  return html`<div class="problem" role="alert">
    <p><strong>${what}</strong>${say(' ', '')}${todo}</p>
    ${words === null ? nothing : html`<p class="words">${plainName(words)}</p>`}
    ${again === null ? nothing : html`<button class="small" @click=${again}>${say('Run again', '重新运行')}</button>`}
  </div>`;
}

/** How long a run took as its reader has lived it, whoever worked at it; the times of the API are whole seconds. */
function tookWords({ created_at: from, completed_at, failed_at, cancelled_at }: Run): string | null {
  const to = completed_at ?? failed_at ?? cancelled_at;
  if (to === null) return null;
  return to > from ? wholeSeconds(to - from) : '< 1 s';
}

function wholeSeconds(seconds: number): string {
  return seconds < 60 ? `${seconds} s` : duration(seconds * 1_000);
}
