/** Files of exported objects: a list page, an object, a list of either, or one of these per line. */
import { readFileSync } from 'node:fs';

/** Objects that came together, in their order. */
export type ExportedPage = readonly unknown[];

/** Its message is fit to be shown: which file, and what is wrong with it. */
class UnreadableFile extends Error {
  override readonly name = 'UnreadableFile';
}

/**
 * What is in a file: the list pages in it, and what lies in it outside of any page as one more.
 * @throws {UnreadableFile} when it cannot be read, or is neither JSON nor JSON lines.
 */
export function readExports(file: string): readonly ExportedPage[] {
  let text = '';
  try {
    text = readFileSync(file, 'utf8').replace(/^\uFEFF/, '');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new UnreadableFile(`${file} cannot be read (${code}). Nothing was sent.`);
  }
  const whole = parse(text);
  const values = whole === undefined ? readLines(file, text) : [whole];
  const pages: ExportedPage[] = [];
  const loose: unknown[] = [];
  for (const value of values) collect(value, pages, loose);
  return loose.length === 0 ? pages : [...pages, loose];
}

function readLines(file: string, text: string): readonly unknown[] {
  return text.split('\n').flatMap((line, index) => {
    if (line.trim() === '') return [];
    const value = parse(line);
    if (value !== undefined) return [value];
    throw new UnreadableFile(
      `${file} is neither JSON nor one JSON object per line: line ${index + 1} cannot be read. Nothing was sent.`,
    );
  });
}

function collect(value: unknown, pages: ExportedPage[], loose: unknown[]): void {
  if (Array.isArray(value)) for (const item of value) collect(item, pages, loose);
  else if (isPage(value)) pages.push(value.data);
  else loose.push(value);
}

function isPage(value: unknown): value is { readonly data: readonly unknown[] } {
  return typeof value === 'object' && value !== null && 'data' in value && Array.isArray(value.data);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
