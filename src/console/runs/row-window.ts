/**
 * Which rows of a long table are drawn: those in the window of the browser and some around them. All rows have the same height,
 * which the style sheet fixes; what is not drawn is stood for by a row of its height above and one below.
 */

export interface RowRange {
  /** The first that is drawn, counted from the top. */
  readonly from: number;
  /** After the last. */
  readonly to: number;
}

/** Rows that are drawn beyond each edge, so that there is something to see before the next frame, and to reach by Tab. */
const AROUND = 16;
/** Until a row was measured, in pixels. */
const LIKELY_HEIGHT = 40;
/** The most that are ever drawn, however small the rows are. */
const MOST = 120;

export class RowWindow {
  /** The body of the table, once it is drawn. */
  body: Element | null = null;
  #height = LIKELY_HEIGHT;

  /** The height of a row in pixels. */
  get rowHeight(): number {
    const row = this.body?.querySelector('tr[data-row]');
    const height = row?.getBoundingClientRect().height ?? 0;
    if (height > 0) this.#height = height;
    return this.#height;
  }

  /** Whether the reader is where the list begins. */
  get isAtTop(): boolean {
    return this.#above < this.#height;
  }

  range(count: number): RowRange {
    const height = this.rowHeight;
    const first = Math.max(0, Math.floor(this.#above / height) - AROUND);
    const seen = Math.ceil(innerHeight / height) + 2 * AROUND;
    const from = Math.min(first, Math.max(0, count - seen));
    return { from, to: Math.min(count, from + Math.min(seen, MOST)) };
  }

  /** How much of the table is above the window, in pixels. */
  get #above(): number {
    return this.body === null ? 0 : Math.max(0, -this.body.getBoundingClientRect().top);
  }
}
