/** The form in which a vector store is made, named, and told when it expires. */
import { html, nothing, type TemplateResult } from 'lit-html';
import { wordsOf, type App } from '../app.ts';
import { dialog } from '../dialog.ts';
import { submitted, textIn } from '../forms.ts';
import { say } from '../say.ts';
import type { VectorStore } from '../wire.ts';
import { changedMeanwhile } from './editing.ts';

interface StoreEnds {
  readonly saved: (store: VectorStore) => void;
  readonly closed: () => void;
}

export class StoreEditor {
  readonly #app: App;
  readonly #ends: StoreEnds;
  #seen: VectorStore | null;
  #problem: string | null = null;
  #isSaving = false;

  /** @param store the one to change; null makes a new one */
  constructor(app: App, store: VectorStore | null, ends: StoreEnds) {
    this.#app = app;
    this.#seen = store;
    this.#ends = ends;
  }

  view(): TemplateResult {
    const store = this.#seen;
    const title =
      store === null ? say('New vector store', '新建向量库') : say('Edit vector store', '编辑向量库');
    return dialog(
      title,
      html`<form @submit=${submitted((form) => void this.#save(form))}>
        <label
          >${say('Name', '名称')}<input name="name" value=${store?.name ?? ''} maxlength="256" autofocus
        /></label>
        <label
          >${say('Expires after days without use', '闲置多少天后过期')}<input
            name="days"
            type="number"
            min="1"
            max="365"
            value=${store?.expires_after?.days ?? ''}
          /><span class="hint">${say('Empty: never.', '留空表示永不过期。')}</span></label
        >
        ${this.#problem === null ? nothing : html`<p class="problem" role="alert">${this.#problem}</p>`}
        <div class="buttons">
          <button class="primary" ?disabled=${this.#isSaving}>
            ${store === null ? say('Create', '创建') : say('Save', '保存')}
          </button>
          <button type="button" @click=${this.#ends.closed}>${say('Cancel', '取消')}</button>
        </div>
      </form>`,
      this.#ends.closed,
    );
  }

  async #save(form: FormData): Promise<void> {
    const days = textIn(form, 'days');
    const body = {
      name: textIn(form, 'name').trim(),
      expires_after: days === '' ? null : { anchor: 'last_active_at', days: Number(days) },
    };
    this.#isSaving = true;
    this.#problem = null;
    this.#app.redraw();
    try {
      await this.#send(body);
    } catch (error) {
      this.#problem = wordsOf(error);
    }
    this.#isSaving = false;
    this.#app.redraw();
  }

  async #send(body: object): Promise<void> {
    const { api } = this.#app;
    const seen = this.#seen;
    if (seen === null) return this.#ends.saved(await api.post<VectorStore>('/vector_stores', body));
    const path = `/vector_stores/${seen.id}`;
    const theirs = await changedMeanwhile(this.#app, path, seen, ['name', 'expires_after']);
    if (theirs === null) return this.#ends.saved(await api.post<VectorStore>(path, body));
    this.#seen = theirs;
    const now = `${theirs.name || say('no name', '无名称')}, ${theirs.expires_after?.days ?? '–'}`;
    this.#problem = say(
      `Somebody else has changed it meanwhile (now: ${now}). Save again to overwrite that.`,
      `在此期间，其他人修改了它（当前为：${now}）。再次保存将覆盖。`,
    );
  }
}
