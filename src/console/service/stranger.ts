/** What a key that is no operator's sees. */
import { html, type TemplateResult } from 'lit-html';
import type { AdminHello } from '../admin-stream.ts';
import { say } from '../say.ts';
import { facts, link } from '../views.ts';

export function strangerView({ project, version, auth }: AdminHello, usage: TemplateResult): TemplateResult {
  return html`<section class="card">
      <h2>${say('The service itself is for operators', '服务状态仅供运维人员查看')}</h2>
      <p>
        ${say(
          'Your key is not the operator’s. Whoever runs this server sees queue, workers, model servers and all projects here with its ADMIN_KEY.',
          '你的密钥不是运维密钥。使用服务器的 ADMIN_KEY 可在此查看队列、工作进程、模型服务器和所有项目。',
        )}
      </p>
      <p>
        ${say('With your key you see what is yours:', '使用你的密钥可以看到你自己的内容：')}
        ${link('/runs', say('your runs', '你的运行'))}
      </p>
      ${facts([
        [say('Project', '项目'), html`<code class="id">${project}</code>`],
        [say('Version', '版本'), version],
        ['AUTH', auth],
      ])}
    </section>
    ${usage}`;
}
