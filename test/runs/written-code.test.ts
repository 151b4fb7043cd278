/** The code in the arguments of a call of the code interpreter, while they are written and when they are complete. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { codeIn } from '../../src/runs/calls/written-code.ts';

test('code in JSON is read with its escapes', () => {
  expect(codeIn('{"code":"print(\\"a\\")\\nx = \'\\u00e9\'"}')).toBe('print("a")\nx = \'é\'');
  expect(codeIn('{ "language": "python", "code": "1 + 1" }')).toBe('1 + 1');
});

test('sloppy JSON is read all the same', () => {
  expect(codeIn('{"code":"re.match(r\'\\d+\', s)"}')).toBe("re.match(r'\\d+', s)");
  expect(codeIn('{"code":"a\nb"}')).toBe('a\nb');
  expect(codeIn('print(1)')).toBe('print(1)');
  expect(codeIn('{"script":"1"}')).toBe('');
});

test('what is read of arguments that are still being written only grows at its end, by whole characters', () => {
  const code = fc.string({ unit: 'grapheme', maxLength: 40 });
  fc.assert(
    fc.property(code, fc.boolean(), (text, isAscii) => {
      const json = JSON.stringify({ code: text });
      const written = isAscii
        ? json.replaceAll(/[^\0-\x7F]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
        : json;
      let before = '';
      for (let length = 0; length <= written.length; length += 1) {
        const now = codeIn(written.slice(0, length));
        expect(now.startsWith(before)).toBe(true);
        before = now;
      }
      expect(before).toBe(text);
    }),
  );
});
