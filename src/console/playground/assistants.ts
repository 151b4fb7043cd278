/** The assistants to choose from, and the one that is chosen. */
import { store, stored } from '../stored.ts';
import { html, nothing, type TemplateResult } from 'lit-html';
import { wordsOf, type App } from '../app.ts';
import { say } from '../say.ts';
import type { Assistant } from '../wire.ts';
import { makeDemo } from './examples.ts';
import { plainName } from '../plain-name.ts';

const STORED = 'longrun.assistant';

export class Assistants {
  /** Newest first; null until they are loaded. */
  all: readonly Assistant[] | null = null;
  problem: string | null = null;
  readonly #app: App;
  #id: string | null;

  /** @param assistantId the one that the address names */
  constructor(app: App, assistantId: string | null) {
    this.#app = app;
    this.#id = assistantId ?? stored(STORED, 'machine');
  }

  close(): void {
    this.all = null;
  }

  get chosen(): Assistant | null {
    return this.all?.find(({ id }) => id === this.#id) ?? this.all?.[0] ?? null;
  }

  async load(): Promise<void> {
    try {
      this.all = await this.#app.api.all<Assistant>('/assistants');
      this.problem = null;
      if (this.#id !== null && this.#id !== stored(STORED, 'machine')) await this.choose(this.#id);
    } catch (error) {
      this.problem = wordsOf(error);
    }
    this.#app.redraw();
  }

  /** Chooses one by its id, also one that the list lacks; stays with the present one where there is none of this id. */
  async choose(id: string): Promise<void> {
    const { all } = this;
    if (all === null) return;
    if (!all.some((each) => each.id === id)) {
      const found = await this.#app.api
        .get<Assistant>(`/assistants/${encodeURIComponent(id)}`)
        .catch(() => null);
      if (found === null) return;
      this.all = [...all, found];
    }
    this.#remember(id);
  }

  /** Takes in one that was made or changed, and chooses it. */
  put(assistant: Assistant): void {
    const all = this.all ?? [];
    const isKnown = all.some(({ id }) => id === assistant.id);
    this.all = isKnown
      ? all.map((each) => (each.id === assistant.id ? assistant : each))
      : [assistant, ...all];
    this.#remember(assistant.id);
  }

  /** The chosen one; where there is none at all, that of the examples is made. */
  async needsOne(): Promise<Assistant> {
    const { chosen } = this;
    if (chosen !== null) return chosen;
    const demo = await makeDemo(this.#app.api);
    this.put(demo);
    return demo;
  }

  view(): TemplateResult | typeof nothing {
    const { all, chosen } = this;
    if (all === null || chosen === null) return nothing;
    const pick = ({ target }: Event): void => {
      if (target instanceof HTMLSelectElement) this.#remember(target.value);
    };
    return html`<select class="assistant" aria-label=${say('Assistant', '助手')} @change=${pick}>
      ${all.map(
        (each) =>
          html`<option value=${each.id} .selected=${each.id === chosen.id}>
            ${plainName(each.name || each.id)} · ${plainName(each.model)}
          </option>`,
      )}
    </select>`;
  }

  #remember(id: string): void {
    this.#id = id;
    store(STORED, id, 'machine');
    this.#app.redraw();
  }
}
