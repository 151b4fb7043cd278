/** Picks from the files that are there already. */
import { html, nothing, type TemplateResult } from 'lit-html';
import type { App } from '../app.ts';
import { dialog } from '../dialog.ts';
import { submitted } from '../forms.ts';
import { Loaded } from '../loaded.ts';
import { say } from '../say.ts';
import type { StoredFile } from '../wire.ts';
import { link, size } from '../views.ts';

const MOST_FILES = 1_000;
/** Rows that are drawn at once; the search finds the others. */
const MOST_ROWS = 100;

interface PickerEnds {
  readonly picked: (fileIds: readonly string[]) => void;
  readonly closed: () => void;
}

export class FilePicker {
  readonly #app: App;
  readonly #ends: PickerEnds;
  readonly #files: Loaded<readonly StoredFile[]>;
  readonly #picked = new Set<string>();
  #words = '';

  constructor(app: App, ends: PickerEnds) {
    this.#app = app;
    this.#ends = ends;
    this.#files = new Loaded(app, async () => app.api.all<StoredFile>('/files', {}, MOST_FILES));
  }

  view(): TemplateResult {
    const send = submitted(() => this.#ends.picked([...this.#picked]));
    return dialog(
      say('Add files', '添加文件'),
      html`<form @submit=${send}>
        ${this.#files.view((files) => this.#choices(files))}
        <div class="buttons">
          <button class="primary" ?disabled=${this.#picked.size === 0}>
            ${say(`Add (${this.#picked.size})`, `添加（${this.#picked.size}）`)}
          </button>
          <button type="button" @click=${this.#ends.closed}>${say('Cancel', '取消')}</button>
        </div>
      </form>`,
      this.#ends.closed,
    );
  }

  close(): void {
    this.#files.close();
  }

  #choices(files: readonly StoredFile[]): TemplateResult {
    if (files.length === 0)
      return html`<p>
        ${say('No files yet. ', '还没有文件。')}${link('/files', say('Upload some', '上传文件'))}
      </p>`;
    const search = ({ target }: Event): void => {
      if (target instanceof HTMLInputElement) this.#words = target.value.trim().toLowerCase();
      this.#app.redraw();
    };
    const found = files.filter(({ id, filename }) => `${id} ${filename}`.toLowerCase().includes(this.#words));
    const rest = found.length - MOST_ROWS;
    return html`<label>${say('Search', '搜索')}<input type="search" @input=${search} /></label>
      <div class="picks" tabindex="0" role="group" aria-label=${say('Files', '文件')}>
        ${found.slice(0, MOST_ROWS).map((file) => this.#choice(file))}
        ${rest > 0 ? html`<p class="hint">${say(`And ${rest} more: search for them.`, `还有 ${rest} 个，请搜索。`)}</p>` : nothing}
      </div>`;
  }

  #choice({ id, filename, bytes }: StoredFile): TemplateResult {
    const pick = ({ target }: Event): void => {
      if (target instanceof HTMLInputElement && target.checked) this.#picked.add(id);
      else this.#picked.delete(id);
      this.#app.redraw();
    };
    return html`<label class="check"
      ><input type="checkbox" .checked=${this.#picked.has(id)} @change=${pick} />${filename}
      <span class="quiet">${size(bytes)}</span></label
    >`;
  }
}
