/** Where a text stops being JSON, by line and column. */

/**
 * The place where the JSON parser gave up, as the end of a sentence. The parser's own message would quote the text,
 * which may be a key.
 * @param linesBefore how many lines of the file come before `text`
 */
export function placeIn(text: string, error: unknown, linesBefore = 0): string {
  if (!(error instanceof SyntaxError)) return '';
  const at = /\bposition (\d+)/.exec(error.message)?.[1];
  const before = at === undefined ? beginningOf(text, error.message) : text.slice(0, Number(at));
  if (before === null) return '';
  const lines = before.split('\n');
  return `: it breaks at line ${linesBefore + lines.length}, column ${(lines.at(-1)?.length ?? 0) + 1}`;
}

/** The text before the error, for messages without a position; null where the place cannot be found. */
function beginningOf(text: string, message: string): string | null {
  if (message.includes('end of JSON input')) return text;
  if (!isStray(message)) return null;
  // The shortest beginning of the text that is refused for the same reason ends at the error.
  let good = 0;
  let bad = text.length;
  while (bad - good > 1) {
    const middle = Math.floor((good + bad) / 2);
    if (isStray(complaintAbout(text.slice(0, middle)))) bad = middle;
    else good = middle;
  }
  return text.slice(0, good);
}

const isStray = (message: string): boolean => message.startsWith('Unexpected token');

function complaintAbout(text: string): string {
  try {
    JSON.parse(text);
    return '';
  } catch (error) {
    return error instanceof Error ? error.message : '';
  }
}
