/** What the list says where there was no run yet: how to make one. */
import { html, type TemplateResult } from 'lit-html';
import type { App } from '../app.ts';
import { say } from '../say.ts';
import { codeView, copyButton, empty, link } from '../views.ts';

/** @param model the name of one that can be asked */
export function firstRun(app: App, model: string): TemplateResult {
  const key = app.session.key === null ? '' : ` -H "Authorization: Bearer $LONGRUN_KEY"`;
  const body = JSON.stringify({
    model,
    messages: [{ role: 'user', content: say('Hello!', '你好！') }],
  });
  const line = `curl ${app.api.base}/chat/completions${key} -H 'content-type: application/json' -d '${body}'`;
  const words = say(
    'No runs yet. Everything that a model is asked through this server is a run.',
    '还没有运行。通过此服务器向模型提出的每个请求都是一个运行。',
  );
  return empty(
    words,
    html`<p>${link('', say('Say something in the playground', '在演练场中说句话'), 'button primary')}</p>
      <p>${say('or send this from a terminal:', '或在终端中执行：')}</p>
      <div class="line">${codeView(line, say('Command', '命令'))}${copyButton(() => line)}</div>`,
  );
}
