/** What is in a file, as far as it can be shown: text as text up to a bound, pictures as pictures. Names and types promise nothing. */
import { html, type TemplateResult } from 'lit-html';
import type { App } from '../app.ts';
import { Loaded } from '../loaded.ts';
import { say } from '../say.ts';
import type { StoredFile } from '../wire.ts';
import { codeView, size } from '../views.ts';
import { HEAD_BYTES, pictureType } from '../picture-type.ts';

/** How much text is shown. */
const TEXT_BYTES = 64 * 1024;
/** Larger pictures are not decoded. */
const PICTURE_BYTES = 20_000_000;

type Previewed =
  | { readonly type: 'text'; readonly text: string; readonly isWhole: boolean }
  | { readonly type: 'picture'; readonly url: string }
  | { readonly type: 'other' };

export class Preview {
  readonly #app: App;
  readonly #file: StoredFile;
  readonly #content: Loaded<Previewed>;

  constructor(app: App, file: StoredFile) {
    this.#app = app;
    this.#file = file;
    this.#content = new Loaded(app, async (signal) => this.#load(signal));
  }

  view(): TemplateResult {
    return this.#content.view((content) => contentView(content, this.#file));
  }

  close(): void {
    this.#content.close();
    const content = this.#content.value;
    if (content?.type === 'picture') URL.revokeObjectURL(content.url);
  }

  async #load(signal: AbortSignal): Promise<Previewed> {
    const path = `/files/${encodeURIComponent(this.#file.id)}/content`;
    const isLong = this.#file.bytes > TEXT_BYTES;
    const range: Readonly<Record<string, string>> = isLong ? { range: `bytes=0-${TEXT_BYTES - 1}` } : {};
    const start = await this.#app.api.blob(path, signal, range);
    const bytes = new Uint8Array(await start.arrayBuffer());
    const type = pictureType(bytes.subarray(0, HEAD_BYTES));
    if (type !== null && this.#file.bytes <= PICTURE_BYTES) {
      const whole = isLong ? await this.#app.api.blob(path, signal) : start;
      return { type: 'picture', url: URL.createObjectURL(new Blob([whole], { type })) };
    }
    const text = textIn(bytes);
    return text === null ? { type: 'other' } : { type: 'text', text, isWhole: !isLong };
  }
}

/** The text that bytes are; null where they are none. The last character may be cut. */
function textIn(bytes: Uint8Array): string | null {
  if (bytes.includes(0)) return null;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: true });
  } catch {
    return null;
  }
}

function contentView(content: Previewed, { filename, bytes }: StoredFile): TemplateResult {
  switch (content.type) {
    case 'picture':
      return html`<img class="picture" src=${content.url} alt=${filename} />`;
    case 'text':
      return html`${codeView(content.text, say('Content of the file', '文件内容'))}
      ${
        content.isWhole
          ? ''
          : html`<p class="hint">
              ${say(
                `The first ${size(TEXT_BYTES)} of ${size(bytes)}. Download it for the rest.`,
                `仅显示前 ${size(TEXT_BYTES)}，共 ${size(bytes)}。下载可查看全部。`,
              )}
            </p>`
      }`;
    case 'other':
      return html`<p class="quiet">
        ${say('This is neither text nor a picture. Download it to look into it.', '该文件既不是文本也不是图片，请下载后查看。')}
      </p>`;
  }
}
