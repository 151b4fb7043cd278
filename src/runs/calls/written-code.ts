/** The code in the arguments of a call, also while they are being written: what is read only ever grows at its end. */

const OPENING = /^\s*\{\s*"code"\s*:\s*"/;
/** The characters of a string and its escapes, also those that JSON does not allow; half an escape at the end stays out. */
const STRING = /(?:[^"\\]|\\(?:[^u]|u[\da-f]{4}))*/isy;
const ESCAPE = /\\(u[\da-f]{4}|[^u])/gis;

const MEANT: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  b: '\b',
  f: '\f',
  '"': '"',
  '\\': '\\',
  '/': '/',
};

/**
 * The code that a model has written so far. Models that do not write JSON are taken at their word; JSON of another shape is
 * read when it is complete.
 */
export function codeIn(written: string): string {
  const opening = OPENING.exec(written)?.[0];
  if (opening !== undefined) return unescaped(written, opening.length);
  if (written.trimStart() === '') return '';
  return written.trimStart().startsWith('{') ? whole(written) : written;
}

function unescaped(written: string, start: number): string {
  const { code, length } = readString(written, start);
  // The second half of the character is still to come.
  return written[start + length] === '"' ? code : code.replace(/[\uD800-\uDBFF]$/, '');
}

/** What stands in a string up to its end, or up to half an escape, and how long that is as it is written. */
export function readString(
  written: string,
  start: number,
): { readonly code: string; readonly length: number } {
  STRING.lastIndex = start;
  const text = STRING.exec(written)?.[0] ?? '';
  const code = text.replaceAll(ESCAPE, (_, escape: string) =>
    escape.length === 5 ? String.fromCharCode(Number.parseInt(escape.slice(1), 16)) : meant(escape),
  );
  return { code, length: text.length };
}

/** Models forget to escape backslashes of regular expressions. */
const meant = (escape: string): string => MEANT[escape] ?? `\\${escape}`;

function whole(written: string): string {
  try {
    const value: unknown = JSON.parse(written);
    const code = typeof value === 'object' && value !== null && 'code' in value ? value.code : null;
    return typeof code === 'string' ? code : '';
  } catch {
    return '';
  }
}
