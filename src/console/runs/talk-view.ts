/** Draws messages, and steps with their calls. What models, tools and users say is shown as text. */
import { html, nothing, type TemplateResult } from 'lit-html';
import { guard } from 'lit-html/directives/guard.js';
import { markdown } from '../markdown.ts';
import { say } from '../say.ts';
import { codeView, jsonText, moment, statusView } from '../views.ts';
import type { CodeOutput, Content, Message, Step, StepCall } from '../wire.ts';
import type { FilePictures } from '../stored-files.ts';
import type { Talk } from './talk.ts';

interface TalkMeans {
  readonly steps: readonly Step[];
  readonly hasEnded: boolean;
  readonly pictures: FilePictures;
  /** What a message says that is not in the thread yet. */
  readonly saidSoFar: (messageId: string) => string;
}

export function talkView(
  talk: Talk | null,
  { steps, hasEnded, pictures, saidSoFar }: TalkMeans,
): TemplateResult {
  const notKept = html`<p class="quiet">
    ${say(
      'This run belongs to a chat without a thread: its messages are not kept.',
      '此运行来自没有会话的聊天：消息不会保存。',
    )}
  </p>`;
  const nothingSaid = hasEnded
    ? say('It has said and done nothing.', '没有任何输出。')
    : say('It has not said or done anything yet.', '尚无输出。');
  return html`${talk === null ? notKept : talk.asked.map((message) => messageView(message, pictures))}
  ${steps.map((step) => stepView(step, talk, pictures, saidSoFar))}
  ${steps.length === 0 ? html`<p class="quiet">${nothingSaid}</p>` : nothing}`;
}

function messageView(message: Message, pictures: FilePictures): TemplateResult {
  const { role, content, created_at, attachments } = message;
  const isUser = role === 'user';
  return html`<article class="card said ${role}">
    <h3>
      ${isUser ? say('Asked', '提问') : say('Said', '回答')} <span class="hint">${moment(created_at)}</span>
    </h3>
    ${content.map((part) => partView(part, isUser, pictures))}
    ${(attachments ?? []).map(({ file_id }) => html`<p class="hint">${say('File', '文件')} ${file_id}</p>`)}
  </article>`;
}

function partView(part: Content, isUser: boolean, pictures: FilePictures): unknown {
  switch (part.type) {
    case 'text':
      return isUser ? html`<p class="as-is">${part.text.value}</p>` : read(part.text.value);
    case 'image_file':
      return pictures.view(part.image_file.file_id, say('A picture of the conversation', '对话中的图片'));
    case 'image_url':
      return html`<p class="hint">${say('Picture at', '图片地址')} ${part.image_url.url}</p>`;
  }
}

function stepView(
  step: Step,
  talk: Talk | null,
  pictures: FilePictures,
  saidSoFar: (messageId: string) => string,
): TemplateResult {
  const { step_details: details, last_error, status } = step;
  const failed =
    last_error === null ? nothing : html`<p class="problem">${last_error.code}: ${last_error.message}</p>`;
  if (details.type === 'message_creation') {
    const { message_id } = details.message_creation;
    const message = talk?.said.get(message_id);
    const soFar = saidSoFar(message_id);
    if (soFar === '' && message !== undefined) return html`${messageView(message, pictures)}${failed}`;
    return html`<article class="card said assistant">
      <h3>${say('Said', '回答')} ${stepStatus(status)}</h3>
      ${soFar === '' ? html`<p class="quiet">${say('The message is not there any more.', '消息已不存在。')}</p>` : read(soFar)}
      ${failed}
    </article>`;
  }
  return html`<article class="card">
    <h3>${say('Calls', '调用')} ${stepStatus(status)}</h3>
    ${details.tool_calls.map((call) => callView(call, pictures))} ${failed}
  </article>`;
}

/** Markdown, taken apart only where it has changed: a page that follows a run is drawn often. */
const read = (text: string): unknown => guard([text], () => markdown(text));

/** JSON, likewise. */
const json = (text: string, label: string): unknown =>
  guard([text, label], () => codeView(jsonText(text), label));

/** Steps have a few of the statuses of runs. */
const stepStatus = (status: Step['status']): TemplateResult => statusView(status);

function callView(call: StepCall, pictures: FilePictures): TemplateResult {
  switch (call.type) {
    case 'function': {
      const { name, arguments: given, output } = call.function;
      return html`<section class="call">
        <h4><code>${name}</code></h4>
        ${json(given, say(`Arguments of ${name}`, `${name} 的参数`))}
        ${
          output == null
            ? html`<p class="quiet">${say('No output yet.', '尚无输出。')}</p>`
            : html`<p class="hint">${say('Output', '输出')}</p>
                ${json(output, say(`Output of ${name}`, `${name} 的输出`))}`
        }
      </section>`;
    }
    case 'code_interpreter': {
      const { input, outputs } = call.code_interpreter;
      return html`<section class="call">
        <h4>${say('Code', '代码')}</h4>
        ${codeView(input, say('Code', '代码'))} ${outputs.map((output) => codeOutput(output, pictures))}
      </section>`;
    }
    case 'file_search':
      return html`<section class="call">
        <h4>${say('File search', '文件搜索')}</h4>
        <ul>
          ${(call.file_search.results ?? []).map(
            ({ file_name, score }) =>
              html`<li>${file_name} <span class="quiet">${score.toFixed(2)}</span></li>`,
          )}
        </ul>
      </section>`;
    default:
      return codeView(jsonText(call), say('A call of another kind', '其他类型的调用'));
  }
}

function codeOutput(output: CodeOutput, pictures: FilePictures): TemplateResult {
  return output.type === 'logs'
    ? codeView(output.logs, say('What the code printed', '代码输出'))
    : pictures.view(output.image.file_id, say('A picture that the code made', '代码生成的图片'));
}
