/** Where the reader writes: text, pictures and files. */
import { html, nothing, type TemplateResult } from 'lit-html';
import type { App } from '../app.ts';
import { submitted } from '../forms.ts';
import { say } from '../say.ts';
import { size } from '../views.ts';
import type { Assistant, StoredFile } from '../wire.ts';
import type { NewMessage } from './conversation.ts';
import { plainName } from '../plain-name.ts';
import type { StoredFiles } from '../stored-files.ts';

/** What the composer is given to decide with. */
interface ComposerState {
  /** A run is under way, which takes in what is sent. */
  readonly steers: boolean;
  readonly isSending: boolean;
  /** Whether it is in the thread. */
  readonly send: (draft: Draft) => Promise<boolean>;
  readonly cancel: () => void;
}

/** What the reader has written, and the files that go with it. */
export interface Draft {
  readonly text: string;
  readonly chosen: readonly Chosen[];
}

interface Chosen {
  readonly file: StoredFile;
  readonly isPicture: boolean;
}

/** A key that comes so soon after a composition has ended it, in milliseconds. */
const COMPOSED_MS = 30;

export class Composer {
  #text = '';
  #chosen: readonly Chosen[] = [];
  #uploads = 0;
  /** When the composition of a character ended, as with Chinese. */
  #composedAt = -COMPOSED_MS;
  readonly #app: App;
  readonly #files: StoredFiles;

  constructor(app: App, files: StoredFiles) {
    this.#app = app;
    this.#files = files;
  }

  view(state: ComposerState): TemplateResult {
    const send = submitted((_, form) => void this.#send(state, form));
    return html`<form class="composer" @submit=${send}>
      ${
        this.#chosen.length === 0
          ? nothing
          : html`<ul class="chosen">
              ${this.#chosen.map((each) => this.#chip(each))}
            </ul>`
      }
      <label class="unseen" for="composer-text">${say('Message', '消息')}</label>
      <textarea
        id="composer-text"
        rows="2"
        placeholder=${
          state.steers
            ? say('Add something for the run under way', '给正在进行的运行补充一句')
            : say('Write a message', '输入消息')
        }
        aria-describedby="composer-hint"
        .value=${this.#text}
        @input=${(event: Event) => this.#write(event)}
        @keydown=${(event: KeyboardEvent) => this.#sendByEnter(event)}
        @compositionend=${({ timeStamp }: Event) => (this.#composedAt = timeStamp)}
        @paste=${(event: ClipboardEvent) => this.#paste(event)}
      ></textarea>
      <div class="buttons">
        <button class="primary" ?disabled=${state.isSending || this.#uploads > 0}>
          ${state.steers ? say('Steer', '插话') : say('Send', '发送')}
        </button>
        <label class="button attach"
          >${say('Attach', '附件')}<input
            type="file"
            multiple
            @change=${(event: Event) => this.#choose(event)}
        /></label>
        ${state.steers ? html`<button type="button" class="danger" @click=${state.cancel}>${say('Cancel the run', '取消运行')}</button>` : nothing}
        ${this.#uploads > 0 ? html`<span class="quiet" aria-busy="true">${say('Uploading …', '上传中……')}</span>` : nothing}
        <span id="composer-hint" class="hint"
          >${say('Enter sends, Shift+Enter begins a line.', 'Enter 发送，Shift+Enter 换行。')}</span
        >
      </div>
    </form>`;
  }

  #chip(chosen: Chosen): TemplateResult {
    const name = plainName(chosen.file.filename);
    const remove = (): void => {
      this.#chosen = this.#chosen.filter((each) => each !== chosen);
      this.#app.redraw();
    };
    return html`<li>
      <span
        >${chosen.isPicture ? say('Picture', '图片') : say('File', '文件')} <bdi>${name}</bdi>
        <span class="quiet">${size(chosen.file.bytes)}</span></span
      >
      <button
        type="button"
        class="small"
        aria-label=${say(`Remove ${name}`, `移除 ${name}`)}
        @click=${remove}
      >
        ✕
      </button>
    </li>`;
  }

  #write({ target }: Event): void {
    if (target instanceof HTMLTextAreaElement) this.#text = target.value;
  }

  /** Enter sends, unless it only ends a composition. Safari says so before it tells of the key. */
  #sendByEnter(event: KeyboardEvent): void {
    const isComposing = event.isComposing || event.timeStamp - this.#composedAt < COMPOSED_MS;
    if (event.key !== 'Enter' || event.shiftKey || isComposing) return;
    event.preventDefault();
    if (event.target instanceof HTMLTextAreaElement) event.target.form?.requestSubmit();
  }

  #choose({ target }: Event): void {
    if (!(target instanceof HTMLInputElement)) return;
    this.#upload([...(target.files ?? [])]);
    target.value = '';
  }

  #paste(event: ClipboardEvent): void {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length === 0) return;
    event.preventDefault();
    this.#upload(files);
  }

  #upload(files: readonly File[]): void {
    for (const file of files) void this.#app.attempt(async () => this.#uploadOne(file));
  }

  async #uploadOne(file: File): Promise<void> {
    const isPicture = ['image/png', 'image/jpeg', 'image/gif', 'image/webp'].includes(file.type);
    const form = new FormData();
    form.set('purpose', isPicture ? 'vision' : 'assistants');
    form.set('file', file);
    this.#uploads += 1;
    this.#app.redraw();
    try {
      const stored = await this.#app.api.send<StoredFile>('/files', form);
      this.#files.names.know(stored);
      this.#chosen = [...this.#chosen, { file: stored, isPicture }];
    } finally {
      this.#uploads -= 1;
    }
  }

  async #send({ isSending, send }: ComposerState, form: HTMLFormElement): Promise<void> {
    const text = this.#text.trim();
    if (isSending || this.#uploads > 0 || (text === '' && this.#chosen.length === 0)) return;
    const isThere = await send({ text, chosen: this.#chosen });
    if (!isThere) return;
    this.#chosen = [];
    // Unless the reader has gone on writing meanwhile.
    if (this.#text.trim() === text) this.#text = '';
    const field = form.querySelector('textarea');
    if (field !== null) field.value = this.#text;
    this.#app.redraw();
  }
}

/** A message with its pictures as content, and its other files for the tools that the assistant has. */
export function messageOf({ text, chosen }: Draft, { tools }: Assistant): NewMessage {
  const hosted = tools.filter(({ type }) => type !== 'function').map(({ type }) => ({ type }));
  const pictures = chosen.filter(({ isPicture }) => isPicture);
  const others = chosen.filter(({ isPicture }) => !isPicture);
  return {
    role: 'user',
    content: [
      // A message has words or pictures; files alone are named in words.
      ...(text === '' && pictures.length > 0 ? [] : [{ type: 'text', text: text || namesOf(others) }]),
      ...pictures.map(({ file }) => ({ type: 'image_file', image_file: { file_id: file.id } })),
    ],
    ...(others.length > 0 && {
      attachments: others.map(({ file }) => ({
        file_id: file.id,
        tools: hosted.length > 0 ? hosted : [{ type: 'file_search' }],
      })),
    }),
  };
}

const namesOf = (chosen: readonly Chosen[]): string => chosen.map(({ file }) => file.filename).join(', ');
