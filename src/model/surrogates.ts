/** Joins the halves of characters that an upstream cut in two. */

/**
 * Fragments of one text. Servers that cut by UTF-16 units may end a fragment in the middle of an emoji. Half an emoji
 * cannot be stored as UTF-8, so it waits here for its other half.
 */
export class Surrogates {
  #high = '';

  /** The waiting half and `text`, without the half that it ends in. */
  join(text: string): string {
    if (text === '') return text;
    const whole = this.#high === '' ? text : this.#high + text;
    const last = whole.charCodeAt(whole.length - 1);
    if (last < 0xd800 || last > 0xdbff) {
      this.#high = '';
      return whole;
    }
    this.#high = whole.slice(-1);
    return whole.slice(0, -1);
  }
}
