/** Small parts of a conversation: text that may be very long, and pictures. */
import { html, nothing, type TemplateResult } from 'lit-html';
import { guard } from 'lit-html/directives/guard.js';
import { say } from '../say.ts';
import { count } from '../views.ts';

/** How many characters of a text are shown at first. */
const SHOWN = 8_000;

/** Which of the long texts the reader wants whole. */
export class Unfolded {
  /** Grows with every wish. */
  version = 0;
  readonly #keys = new Set<string>();
  readonly #redraw: () => void;

  constructor(redraw: () => void) {
    this.#redraw = redraw;
  }

  /** A text in a box; the beginning of one that is long. @param key tells it from others */
  text(text: string, label: string, key: string): TemplateResult {
    const isCut = text.length > SHOWN && !this.#keys.has(key);
    const unfold = (): void => {
      this.#keys.add(key);
      this.version += 1;
      this.#redraw();
    };
    const shown = isCut ? `${text.slice(0, SHOWN).replace(/[\uD800-\uDBFF]$/, '')}…` : text;
    return html`<pre class="code" tabindex="0" aria-label=${label}>
${guard([shown], () => html`<code>${shown}</code>`)}</pre>
      ${
        isCut
          ? html`<button class="small" type="button" @click=${unfold}>
              ${say(`Show all ${count(text.length)} characters`, `显示全部 ${count(text.length)} 个字符`)}
            </button>`
          : nothing
      }`;
  }
}
