/** Files of exported objects: a list page, an object, a list of either, or one of these per line. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { placeIn } from '../json-place.ts';

/** The objects of one list page, in their order. */
export type ExportedPage = readonly unknown[];

/** Its message can be shown: which file, and what is wrong with it. */
class UnreadableFile extends Error {
  override readonly name = 'UnreadableFile';
}

/**
 * The contents of a file: its list pages, and one more page for objects outside any list page.
 * @throws {UnreadableFile} when it cannot be read, holds nothing, or is neither JSON nor JSON lines.
 */
export function readExports(file: string): readonly ExportedPage[] {
  const text = read(file);
  if (text.trim() === '') throw new UnreadableFile(`${file} holds nothing. Nothing was sent.`);
  const pages: ExportedPage[] = [];
  const loose: unknown[] = [];
  for (const value of valuesIn(file, text)) collect(value, pages, loose);
  return loose.length === 0 ? pages : [...pages, loose];
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8').replace(/^\uFEFF/, '');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new UnreadableFile(
      code === 'EISDIR'
        ? `${file} is a folder, and nothing was sent. Name the files in it: ${join(file, '*.json')}`
        : `${file} cannot be read (${code}). Nothing was sent.`,
    );
  }
}

/** The one value of the text, or one per line. */
function valuesIn(file: string, text: string): readonly unknown[] {
  try {
    return [parse(file, text, 0)];
  } catch (error) {
    const lines = text.split('\n');
    const first = lines.find((line) => line.trim() !== '') ?? '';
    // If the first line alone is not JSON, the text is one value over several lines, and broken.
    if (!isJson(first)) throw error;
    return lines.flatMap((line, index) => (line.trim() === '' ? [] : [parse(file, line, index)]));
  }
}

function parse(file: string, text: string, linesBefore: number): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UnreadableFile(
      `${file} cannot be read as JSON${placeIn(text, error, linesBefore)}. Nothing was sent.`,
      { cause: error },
    );
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function collect(value: unknown, pages: ExportedPage[], loose: unknown[]): void {
  if (Array.isArray(value)) for (const item of value) collect(item, pages, loose);
  else if (isPage(value)) pages.push(value.data);
  else loose.push(value);
}

function isPage(value: unknown): value is { readonly data: readonly unknown[] } {
  return typeof value === 'object' && value !== null && 'data' in value && Array.isArray(value.data);
}
