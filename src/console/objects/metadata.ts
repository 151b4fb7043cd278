/** Metadata: how it is shown, and the form in which it is changed. */
import { html, nothing, type TemplateResult } from 'lit-html';
import { wordsOf, type App } from '../app.ts';
import { dialog } from '../dialog.ts';
import { submitted } from '../forms.ts';
import { say } from '../say.ts';
import type { Metadata } from '../wire.ts';
import { facts } from '../views.ts';
import { changedMeanwhile } from './editing.ts';

interface Labelled {
  readonly metadata: Metadata | null;
}

/** Bounds of the API. */
const MOST_PAIRS = 16;
const KEY_LENGTH = 64;
const VALUE_LENGTH = 512;

/** `user: u1, room: 2`. */
export function metadataText(metadata: Metadata | null): string {
  return Object.entries(metadata ?? {})
    .map(([name, value]) => `${name}: ${value}`)
    .join(', ');
}

export function metadataView(metadata: Metadata | null): TemplateResult {
  const pairs = Object.entries(metadata ?? {});
  return pairs.length === 0 ? html`<p class="quiet">${say('None.', '无。')}</p>` : facts(pairs);
}

interface Pair {
  name: string;
  value: string;
}

interface MetadataEnds<T> {
  readonly saved: (object: T) => void;
  readonly closed: () => void;
}

/** The form, in a dialog. Metadata is replaced as a whole, as the API has it. */
export class MetadataEditor<T extends Labelled> {
  readonly #app: App;
  readonly #path: string;
  readonly #ends: MetadataEnds<T>;
  #seen: T;
  #pairs: Pair[];
  #problem: string | null = null;
  #theirs: T | null = null;
  #isSaving = false;

  /** @param path where the object is, and takes its new metadata */
  constructor(app: App, path: string, object: T, ends: MetadataEnds<T>) {
    this.#app = app;
    this.#path = path;
    this.#ends = ends;
    this.#seen = object;
    this.#pairs = pairsOf(object);
  }

  view(): TemplateResult {
    const add = (): void => {
      this.#pairs.push({ name: '', value: '' });
      this.#app.redraw();
    };
    return dialog(
      say('Edit metadata', '编辑元数据'),
      html`<form @submit=${submitted(() => void this.#save())}>
        <p class="hint">
          ${say(
            `Up to ${MOST_PAIRS} pairs; names have up to ${KEY_LENGTH} characters, values up to ${VALUE_LENGTH}.`,
            `最多 ${MOST_PAIRS} 项；名称不超过 ${KEY_LENGTH} 个字符，值不超过 ${VALUE_LENGTH} 个字符。`,
          )}
        </p>
        ${this.#pairs.map((pair, index) => this.#pairView(pair, index))} ${this.#troubleView()}
        <div class="buttons">
          <button class="primary" ?disabled=${this.#isSaving}>${say('Save', '保存')}</button>
          <button type="button" @click=${add} ?disabled=${this.#pairs.length >= MOST_PAIRS}>
            ${say('Add a pair', '添加一项')}
          </button>
          <button type="button" @click=${this.#ends.closed}>${say('Cancel', '取消')}</button>
        </div>
      </form>`,
      this.#ends.closed,
    );
  }

  #pairView(pair: Pair, index: number): TemplateResult {
    const write = (field: keyof Pair, { target }: Event): void => {
      if (target instanceof HTMLInputElement) pair[field] = target.value;
    };
    const remove = (): void => {
      this.#pairs.splice(index, 1);
      this.#app.redraw();
    };
    const number = index + 1;
    return html`<fieldset class="pair">
      <input
        aria-label=${say(`Name ${number}`, `名称 ${number}`)}
        .value=${pair.name}
        @input=${(event: Event) => write('name', event)}
        maxlength=${KEY_LENGTH}
        required
        placeholder=${say('name', '名称')}
      />
      <input
        aria-label=${say(`Value ${number}`, `值 ${number}`)}
        .value=${pair.value}
        @input=${(event: Event) => write('value', event)}
        maxlength=${VALUE_LENGTH}
        placeholder=${say('value', '值')}
      />
      <button
        type="button"
        class="small"
        aria-label=${say(`Remove pair ${number}`, `删除第 ${number} 项`)}
        @click=${remove}
      >
        ✕
      </button>
    </fieldset>`;
  }

  #troubleView(): TemplateResult | typeof nothing {
    const theirs = this.#theirs;
    if (theirs === null)
      return this.#problem === null ? nothing : html`<p class="problem" role="alert">${this.#problem}</p>`;
    const take = (): void => {
      this.#begin(theirs);
      this.#pairs = pairsOf(theirs);
    };
    return html`<div class="problem" role="alert">
      <p>
        ${say('Somebody else has changed it meanwhile. It is now:', '在此期间，其他人修改了它。当前内容为：')}
        ${metadataText(theirs.metadata) || say('empty', '空')}
      </p>
      <p>
        ${say('Save again to overwrite that, or go on with theirs.', '再次保存将覆盖它，也可以改用当前内容。')}
      </p>
      <button type="button" @click=${take}>${say('Take theirs', '使用当前内容')}</button>
    </div>`;
  }

  #begin(object: T): void {
    this.#seen = object;
    this.#theirs = null;
    this.#problem = null;
    this.#app.redraw();
  }

  async #save(): Promise<void> {
    const names = this.#pairs.map(({ name }) => name);
    const twice = names.find((name, index) => names.indexOf(name) !== index);
    if (twice !== undefined) {
      this.#problem = say(`The name “${twice}” is there twice.`, `名称“${twice}”重复。`);
      return this.#app.redraw();
    }
    this.#isSaving = true;
    this.#app.redraw();
    try {
      await this.#send(Object.fromEntries(this.#pairs.map(({ name, value }) => [name, value])));
    } catch (error) {
      this.#problem = wordsOf(error);
    }
    this.#isSaving = false;
    this.#app.redraw();
  }

  async #send(metadata: Metadata): Promise<void> {
    const theirs = await changedMeanwhile(this.#app, this.#path, this.#seen, ['metadata']);
    if (theirs !== null) {
      // The next time it is meant.
      this.#begin(theirs);
      this.#theirs = theirs;
      return;
    }
    const saved: T = await this.#app.api.post(this.#path, { metadata });
    this.#app.tell(say('Saved.', '已保存。'));
    this.#ends.saved(saved);
  }
}

function pairsOf({ metadata }: Labelled): Pair[] {
  const pairs = Object.entries(metadata ?? {}).map(([name, value]) => ({ name, value }));
  return pairs.length === 0 ? [{ name: '', value: '' }] : pairs;
}
