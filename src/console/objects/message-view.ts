/** A message of a thread, with all that belongs to it. */
import { html, nothing, type TemplateResult } from 'lit-html';
import { guard } from 'lit-html/directives/guard.js';
import { isWebAddress, markdown } from '../markdown.ts';
import { say } from '../say.ts';
import type { Annotation, Content, Message } from '../wire.ts';
import { codeView, idView, jsonText, link, moment } from '../views.ts';
import { metadataText } from './metadata.ts';
import type { FileNames, FilePictures } from '../stored-files.ts';

export interface MessageParts {
  readonly names: FileNames;
  readonly pictures: FilePictures;
  readonly edit: (message: Message) => void;
  readonly remove: (message: Message) => void;
}

export function messageView(message: Message, parts: MessageParts): TemplateResult {
  const { id, role, run_id: runId, thread_id: threadId, status, created_at: at } = message;
  const labels = metadataText(message.metadata);
  return html`<article class="message ${role}" aria-labelledby="role-${id}">
    <header>
      <h3 id="role-${id}">${roleWords(role)}</h3>
      ${moment(at)} <span class="quiet">${idView(id)}</span>
      ${runId === null ? nothing : link(`/runs/${threadId}/${runId}`, say('Run', '运行'))}
      ${
        status === undefined || status === 'completed'
          ? nothing
          : html`<span class="status ${status}">${statusWords(status)}</span>`
      }
      <span class="buttons">
        <button class="small" @click=${() => parts.edit(message)}>${say('Metadata', '元数据')}</button>
        <button class="small danger" @click=${() => parts.remove(message)}>${say('Delete', '删除')}</button>
      </span>
    </header>
    ${message.content.map((content) => contentView(content, message, parts))}
    ${attachmentsView(message, parts)} ${labels === '' ? nothing : html`<p class="hint">${labels}</p>`}
  </article>`;
}

function roleWords(role: Message['role']): string {
  return role === 'user' ? say('User', '用户') : say('Assistant', '助手');
}

function statusWords(status: 'in_progress' | 'incomplete'): string {
  return status === 'incomplete' ? say('incomplete', '不完整') : say('being written', '正在生成');
}

function contentView(content: Content, { role }: Message, { pictures, names }: MessageParts): TemplateResult {
  switch (content.type) {
    case 'text': {
      const { value, annotations } = content.text;
      // What models say is Markdown; what people type is not.
      const text =
        role === 'assistant' ? guard([value], () => markdown(value)) : html`<p class="typed">${value}</p>`;
      return html`${text}${annotations.length === 0 ? nothing : sourcesView(annotations, names)}`;
    }
    case 'image_file': {
      const id = content.image_file.file_id;
      return html`${pictures.view(id, say('Picture in the message', '消息中的图片'))}
        <p class="hint">${names.link(id)}</p>`;
    }
    case 'image_url':
      return sentPictureView(content.image_url.url);
    default:
      // A kind of content that is newer than this page.
      return codeView(jsonText(content), say('Content', '内容'));
  }
}

/** A picture that was sent by its address. Loading one from elsewhere would tell a stranger's server that somebody reads this. */
function sentPictureView(url: string): TemplateResult {
  if (/^data:image\/(?:png|jpeg|gif|webp)[;,]/i.test(url))
    return html`<img class="picture" src=${url} alt=${say('Picture in the message', '消息中的图片')} />`;
  const words = say('Picture:', '图片：');
  return html`<p>${words} ${outside(url, url.slice(0, 200))}</p>`;
}

/** What the text refers to: files that it cites or has made. */
function sourcesView(annotations: readonly Annotation[], names: FileNames): TemplateResult {
  return html`<ul class="notes" aria-label=${say('Sources', '来源')}>
    ${annotations.map(({ text, file_citation: cited, file_path: made, url_citation: page }) => {
      const id = cited?.file_id ?? made?.file_id;
      return html`<li>
        <span class="quiet">${text}</span> ${id === undefined ? nothing : names.link(id)}
        ${page ? outside(page.url, page.title) : nothing}
        ${cited?.quote ? html`<q>${cited.quote}</q>` : nothing}
      </li>`;
    })}
  </ul>`;
}

function attachmentsView({ attachments }: Message, { names }: MessageParts): TemplateResult | typeof nothing {
  if (attachments === null || attachments.length === 0) return nothing;
  return html`<ul class="notes" aria-label=${say('Attachments', '附件')}>
    ${attachments.map(
      ({ file_id: id, tools }) =>
        html`<li>
          ${names.link(id)}
          <span class="quiet">${(tools ?? []).map(({ type }) => type).join(', ')}</span>
        </li>`,
    )}
  </ul>`;
}

/** A link to a web page elsewhere; no link where the address leads to something else. */
function outside(url: string, text: string): TemplateResult {
  return isWebAddress(url)
    ? html`<a href=${url} target="_blank" rel="noopener noreferrer nofollow">${text}</a>`
    : html`<span>${text}</span>`;
}
