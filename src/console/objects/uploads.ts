/** Uploads: several files at once, dropped or picked, and how far each of them is. */
import { html, nothing, type TemplateResult } from 'lit-html';
import { isAbort, wordsOf, type App } from '../app.ts';
import { say } from '../say.ts';
import type { StoredFile } from '../wire.ts';
import { link, size } from '../views.ts';
import { sendFile } from './sending.ts';

interface Upload {
  readonly file: File;
  readonly aborter: AbortController;
  part: number;
  stored: StoredFile | null;
  problem: string | null;
}

/** Files that are sent at a time. */
const AT_A_TIME = 3;
/** Purposes that clients may give. */
export const PURPOSES = ['assistants', 'user_data', 'vision', 'batch', 'fine-tune', 'evals'];

export class Uploads {
  purpose = 'assistants';
  readonly #app: App;
  readonly #onStored: (file: StoredFile) => void;
  #uploads: Upload[] = [];
  #waiting: Upload[] = [];
  #sending = 0;
  #isOver = false;

  /** @param onStored hears of each file that has come */
  constructor(app: App, onStored: (file: StoredFile) => void) {
    this.#app = app;
    this.#onStored = onStored;
  }

  add(files: Iterable<File>): void {
    const added = [...files].map((file) => newUpload(file));
    this.#uploads = [...this.#uploads, ...added];
    this.#waiting.push(...added);
    for (let free = AT_A_TIME - this.#sending; free > 0; free -= 1) void this.#work();
    this.#app.redraw();
  }

  close(): void {
    this.#waiting = [];
    for (const { aborter } of this.#uploads) aborter.abort();
  }

  /** @param asksPurpose whether the reader may choose what the files are for */
  view(asksPurpose: boolean): TemplateResult {
    const over = (event: DragEvent): void => {
      event.preventDefault();
      this.#hover(true);
    };
    const drop = (event: DragEvent): void => {
      event.preventDefault();
      this.#hover(false);
      this.add(event.dataTransfer?.files ?? []);
    };
    const pick = ({ target }: Event): void => {
      if (!(target instanceof HTMLInputElement)) return;
      this.add(target.files ?? []);
      target.value = '';
    };
    return html`<div
      class="drop ${this.#isOver ? 'over' : ''}"
      @dragover=${over}
      @dragleave=${() => this.#hover(false)}
      @drop=${drop}
    >
      <div class="filters">
        <label>${say('Upload files', '上传文件')}<input type="file" multiple @change=${pick} /></label>
        ${asksPurpose ? this.#purposeView() : nothing}
        <span class="hint">${say('Or drop them here.', '也可以拖放到此处。')}</span>
      </div>
      ${this.#uploads.length === 0 ? nothing : this.#listView()}
    </div>`;
  }

  #purposeView(): TemplateResult {
    const choose = ({ target }: Event): void => {
      if (target instanceof HTMLSelectElement) this.purpose = target.value;
    };
    return html`<label
      >${say('Purpose', '用途')}<select @change=${choose}>
        ${PURPOSES.map((name) => html`<option value=${name} ?selected=${name === this.purpose}>${name}</option>`)}
      </select></label
    >`;
  }

  #listView(): TemplateResult {
    const stored = this.#uploads.filter((upload) => upload.stored !== null).length;
    const failed = this.#uploads.filter(({ problem }) => problem !== null).length;
    const all = this.#uploads.length;
    return html`<p role="status">
        ${say(`${stored} of ${all} uploaded.`, `已上传 ${stored}/${all}。`)}
        ${failed > 0 ? say(`${failed} failed.`, `${failed} 个失败。`) : ''}
      </p>
      <ul class="uploads">
        ${this.#uploads.map((upload) => this.#uploadView(upload))}
      </ul>`;
  }

  #uploadView(upload: Upload): TemplateResult {
    const { file, stored, problem, part, aborter } = upload;
    if (stored !== null)
      return html`<li>✓ ${link(`/files/${encodeURIComponent(stored.id)}`, stored.filename, 'name')}</li>`;
    if (problem !== null) return html`<li class="failure">✕ ${file.name}: ${problem}</li>`;
    return html`<li>
      <span>${file.name} (${size(file.size)})</span>
      <progress max="1" value=${part} aria-label=${file.name}></progress>
      <button class="small" @click=${() => aborter.abort()}>${say('Stop', '停止')}</button>
    </li>`;
  }

  #hover(isOver: boolean): void {
    if (this.#isOver === isOver) return;
    this.#isOver = isOver;
    this.#app.redraw();
  }

  async #work(): Promise<void> {
    this.#sending += 1;
    for (let upload = this.#waiting.shift(); upload !== undefined; upload = this.#waiting.shift())
      await this.#send(upload);
    this.#sending -= 1;
  }

  async #send(upload: Upload): Promise<void> {
    const { signal } = upload.aborter;
    const onProgress = (part: number): void => {
      upload.part = part;
      this.#app.redraw();
    };
    try {
      signal.throwIfAborted();
      upload.stored = await sendFile(this.#app, upload.file, { purpose: this.purpose, signal, onProgress });
      this.#onStored(upload.stored);
    } catch (error) {
      upload.problem = isAbort(error) ? say('Stopped.', '已停止。') : wordsOf(error);
    }
    this.#app.redraw();
  }
}

function newUpload(file: File): Upload {
  return { file, aborter: new AbortController(), part: 0, stored: null, problem: null };
}
