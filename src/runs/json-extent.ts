/**
 * How deep JSON text is nested and how many values it has, found without parsing it. JSON.parse reads any depth, but
 * code that then writes, walks or checks the value recursively overflows its stack. So every place that takes in
 * foreign JSON asks here first.
 */

/** Writing JSON overflows the stack somewhere beyond 3,000 levels; legitimate JSON does not come close to this limit. */
export const MAX_JSON_DEPTH = 64;

/** One scan that skips strings. Text that is not JSON gets an extent as well; parsing rejects it later. */
export function extentOf(text: string): { readonly depth: number; readonly values: number } {
  let values = 1;
  let depth = 0;
  let deepest = 0;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit === 0x22) {
      index = endOfString(text, index);
    } else if (unit === 0x7b || unit === 0x5b) {
      // The first value inside; each further one follows a comma.
      values++;
      deepest = Math.max(deepest, ++depth);
    } else if (unit === 0x2c) {
      values++;
    } else if (unit === 0x7d || unit === 0x5d) depth--;
  }
  return { depth: deepest, values };
}

/** The index of the quote that closes the string opened at `start`. */
export function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (end !== -1) {
    let backslashes = 0;
    while (text[end - 1 - backslashes] === '\\') backslashes++;
    if (backslashes % 2 === 0) return end;
    end = text.indexOf('"', end + 1);
  }
  return text.length;
}
