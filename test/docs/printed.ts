/** Whether a program prints what a document says that it prints. */

/** Stands for the time of an answer. */
const SOME_TIME = '1760000000';

/**
 * A pattern for what is printed. In a line `…` stands for what differs from one answer to the next, or is left out for
 * brevity; on a line of its own, for any number of lines, or none, because on a busy machine fragments go together. JSON
 * may be laid out for the reader.
 */
export function printedPattern(printed: string): RegExp {
  const pattern = compact(printed)
    .split('\n\n…\n\n')
    .map((part) => part.replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`))
    .map((part) => part.replaceAll('…', '[^\\n]+?').replaceAll(SOME_TIME, String.raw`\d{10}`))
    .join(String.raw`\n\n(?:[\s\S]+?\n\n)?`);
  return new RegExp(`^${pattern}$`);
}

/** The text as {@link printedPattern} is to be compared with it: without the layout of JSON. */
export function compact(text: string): string {
  return text
    .trim()
    .replaceAll(/\n +/g, '')
    .replaceAll(/([,:]) /g, '$1');
}
