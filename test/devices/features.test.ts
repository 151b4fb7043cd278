/** features.md, beside this file, says truly which test shows which feature. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const FEATURES = 104;

const text = readFileSync(join(import.meta.dirname, 'features.md'), 'utf8');
const rows = [...text.matchAll(/^\| (\d+) \| (.+) \| (.+) \|$/gm)].map(
  ([, number, feature = '', shown = '']) => ({
    number: Number(number),
    feature,
    shown,
  }),
);

/** The tests that a row cites: `file` “title”, and further titles of it or of other files. */
function citedIn(shown: string): readonly { readonly file: string; readonly title: string }[] {
  return [...shown.matchAll(/`(test\/[^`]+\.test\.ts)` “([^”]+)”/g)].map(([, file = '', title = '']) => ({
    file,
    title,
  }));
}

/** Whether a test of that title is in the source of a test file. */
function hasTest(source: string, title: string): boolean {
  return [`'${title}'`, `"${title}"`, `\`${title}\``].some((literal) => {
    for (let at = source.indexOf(literal); at !== -1; at = source.indexOf(literal, at + 1)) {
      // Right behind an opening parenthesis: a title, not some other text.
      if (/\(\s*$/.test(source.slice(Math.max(0, at - 40), at))) return true;
    }
    return false;
  });
}

test('every feature is listed once, in order', () => {
  expect(rows.map(({ number }) => number)).toEqual(Array.from({ length: FEATURES }, (_, index) => index + 1));
});

test('every feature is shown by a test, or says why it is not there yet', () => {
  for (const { number, shown } of rows) {
    const isLater = /^Not yet: .{20,}\.$/.test(shown);
    expect(citedIn(shown).length > 0 || isLater, `row ${number}: ${shown}`).toBe(true);
  }
});

test('every test that is cited exists', () => {
  for (const { number, shown } of rows) {
    for (const { file, title } of citedIn(shown)) {
      const path = join(ROOT, file);
      expect(existsSync(path), `row ${number}: ${file}`).toBe(true);
      expect(hasTest(readFileSync(path, 'utf8'), title), `row ${number}: “${title}” in ${file}`).toBe(true);
    }
  }
});

test('what is not there yet is what its users have been told', () => {
  const later = rows.filter(({ shown }) => shown.startsWith('Not yet: ')).map(({ number }) => number);
  expect(later).toEqual([35, 45, 103]);
});
