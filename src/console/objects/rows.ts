/** Which rows of a long table are drawn: those that are to be seen, and some around them. All rows have one height. */

/** As in style.css. */
const ROW_REM = 2.75;
/** Tables up to this length are drawn whole. */
const SHORT = 60;
/** Rows above and below those that are to be seen. */
const AROUND = 15;
/** More is loaded when so few rows are left below. */
const LEFT = 20;

export interface DrawnRows {
  readonly from: number;
  readonly to: number;
  /** The height of what is not drawn, in pixels. */
  readonly above: number;
  readonly below: number;
}

export class Rows {
  readonly #redraw: () => void;
  readonly #more: () => void;
  #first = 0;
  #visible = 30;
  #count = 0;

  /** @param more is called when the reader comes to the end */
  constructor(redraw: () => void, more: () => void) {
    this.#redraw = redraw;
    this.#more = more;
  }

  drawn(count: number): DrawnRows {
    this.#count = count;
    if (count <= SHORT) return { from: 0, to: count, above: 0, below: 0 };
    const from = Math.max(0, Math.min(this.#first, count - this.#visible) - AROUND);
    const to = Math.min(count, this.#first + this.#visible + AROUND);
    const height = rowHeight();
    return { from, to, above: from * height, below: (count - to) * height };
  }

  /** Hears that the box has scrolled in which the table lies. */
  onScroll = ({ currentTarget: box }: Event): void => {
    if (!(box instanceof HTMLElement)) return;
    const height = rowHeight();
    const first = Math.floor(box.scrollTop / height);
    const visible = Math.ceil(box.clientHeight / height);
    if (first + visible + LEFT >= this.#count) this.#more();
    const isFar = Math.abs(first - this.#first) >= AROUND / 3;
    if (!isFar && visible === this.#visible) return;
    this.#first = first;
    this.#visible = visible;
    this.#redraw();
  };
}

function rowHeight(): number {
  return ROW_REM * Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
}
