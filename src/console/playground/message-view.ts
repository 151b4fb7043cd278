/** A message: its text as Markdown, its pictures and files, and what it cites. */
import { html, nothing, type TemplateResult } from 'lit-html';
import { guard } from 'lit-html/directives/guard.js';
import { dialog } from '../dialog.ts';
import { isWebAddress, markdown } from '../markdown.ts';
import { say } from '../say.ts';
import type { Annotation, Content, Message, Step } from '../wire.ts';
import { annotationAt, quoteOf, withMarks } from './citations.ts';
import type { Unfolded } from './parts-view.ts';
import type { StoredFiles } from '../stored-files.ts';

/** A citation that the reader has opened. */
export interface OpenCitation {
  readonly annotation: Annotation;
  /** The run that cited it. */
  readonly runId: string | null;
}

export interface MessageMeans {
  readonly files: StoredFiles;
  readonly unfolded: Unfolded;
  readonly openCitation: (citation: OpenCitation) => void;
}

export function messageView(message: Message, means: MessageMeans): TemplateResult {
  const { role, content, attachments } = message;
  const isUser = role === 'user';
  return html`<article
    class="message ${role}"
    aria-label=${isUser ? say('You', '你') : say('Assistant', '助手')}
  >
    ${content.map((part) => partView(part, message, means))}
    ${(attachments ?? []).map(
      ({ file_id: id }) =>
        html`<p class="attached">${say('File', '文件')} <bdi>${means.files.names.of(id)}</bdi></p>`,
    )}
  </article>`;
}

function partView(part: Content, message: Message, means: MessageMeans): TemplateResult | typeof nothing {
  switch (part.type) {
    case 'text':
      return textView(part.text, message, means);
    case 'image_file':
      return means.files.pictures.view(part.image_file.file_id, say('Picture', '图片'));
    case 'image_url':
      return pictureLink(part.image_url.url);
  }
}

/** Pictures from elsewhere are not loaded: that would tell strangers who reads. */
function pictureLink(url: string): TemplateResult {
  if (url.startsWith('data:image/'))
    return html`<img class="picture" src=${url} alt=${say('Picture', '图片')} />`;
  return isWebAddress(url)
    ? html`<p><a href=${url} target="_blank" rel="noopener noreferrer nofollow">${url}</a></p>`
    : html`<p>${url}</p>`;
}

function textView(
  { value, annotations }: Extract<Content, { type: 'text' }>['text'],
  { role, run_id: runId }: Message,
  means: MessageMeans,
): TemplateResult {
  // What the reader has written is shown as it was written.
  if (role === 'user') return html`<p class="said">${value}</p>`;
  const open = (annotation: Annotation): void => {
    if (annotation.file_path !== undefined) void means.files.save(annotation.file_path.file_id);
    else means.openCitation({ annotation, runId });
  };
  return html`${guard([value, annotations], () =>
    markdown(withMarks(value, annotations), (href, text) => {
      const index = annotationAt(href, annotations);
      const annotation = index === null ? undefined : annotations[index];
      if (annotation === undefined) return null;
      return annotation.type === 'file_citation'
        ? html`<button
            class="mark"
            aria-label=${say(`Source ${(index ?? 0) + 1}`, `来源 ${(index ?? 0) + 1}`)}
            @click=${() => open(annotation)}
          >
            ${text}
          </button>`
        : html`<button class="mark" @click=${() => open(annotation)}>${text}</button>`;
    }),
  )}
  ${madeFiles(annotations, means.files)}`;
}

/** The files that code has made, to be saved. */
function madeFiles(annotations: readonly Annotation[], files: StoredFiles): TemplateResult | typeof nothing {
  const ids = new Set(
    annotations.flatMap(({ file_path: path }) => (path === undefined ? [] : [path.file_id])),
  );
  if (ids.size === 0) return nothing;
  return html`<div class="buttons">
    ${[...ids].map(
      (id) =>
        html`<button class="small" @click=${() => void files.save(id)}>
          ${say('Save', '保存')} <bdi>${files.names.of(id)}</bdi>
        </button>`,
    )}
  </div>`;
}

/** What lies behind a mark: the file, and what was found in it. */
export function citationDialog(
  { annotation }: OpenCitation,
  { files, unfolded, steps }: MessageMeans & { readonly steps: readonly Step[] },
  close: () => void,
): TemplateResult {
  const id = annotation.file_citation?.file_id ?? '';
  const quote = quoteOf(annotation, steps);
  const content = html`<p>
      <strong><bdi>${files.names.of(id)}</bdi></strong>
    </p>
    ${
      quote === null
        ? html`<p class="quiet">${say('The server keeps no quote of it.', '服务器没有保存引文。')}</p>`
        : unfolded.text(quote, say('Quote', '引文'), `quote-${id}`)
    }
    <div class="buttons">
      <button @click=${() => void files.save(id)}>${say('Save the file', '保存文件')}</button>
    </div>`;
  return dialog(say('Source', '来源'), content, close);
}
