/** What a careless shell does to JSON, and that shell-safe spelling and cutting withstand it. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fitJson, shellSafe } from '../../src/api/http/shell-safe.ts';
import { character } from '../support/character.ts';

const safe = (value: unknown): string => shellSafe(JSON.stringify(value));

/** Text made mostly of what shells and JSON treat specially. */
const nastyText = fc.string({
  unit: fc.oneof(
    fc.constantFrom(
      '*',
      '?',
      '[',
      ']',
      '\\',
      '"',
      "'",
      ' ',
      '  ',
      '\t',
      '\n',
      '\r',
      '$HOME',
      '`',
      '~',
      '!',
      '{a,b}',
    ),
    fc.constantFrom(
      '@(',
      '+(',
      '!(',
      '|',
      ')',
      '\u007f',
      '\u0001',
      '\u00a0',
      '\u2028',
      '\ud800',
      '%',
      '&',
      'n',
      'u',
      '#',
    ),
    fc.string({ unit: character, maxLength: 2 }),
  ),
  maxLength: 30,
});
const nastyValue = fc.jsonValue({ depthSize: 'medium', stringUnit: 'binary' });
const nastyObject = fc.dictionary(nastyText, fc.oneof(nastyText, nastyValue), { maxKeys: 4 });

describe('shellSafe', () => {
  test.each([
    ['globs', '5 * 3? [a]', String.raw`"5 \u002a 3\u003f \u005ba]"`],
    ['quotes and backslashes', 'a"b\\c', String.raw`"a\u0022b\u005cc"`],
    ['short escapes', '\n\t\r\b\f', String.raw`"\u000a\u0009\u000d\u0008\u000c"`],
    ['the second and later spaces of a run', 'a   b c', String.raw`"a \u0020\u0020b c"`],
    ['extended globs', 'a!(b) c! (d)', String.raw`"a\u0021(b) c! (d)"`],
    ['long escapes, which stay', '\u0001', String.raw`"\u0001"`],
    ['characters of any script, which stay', '這 🙂 ~ é', '"這 🙂 ~ é"'],
    ['an empty string', '', '""'],
  ])('spells %s safely', (_, value, text) => {
    expect(safe(value)).toBe(text);
  });

  test('an escaped slash, which only other writers produce, becomes a long escape', () => {
    expect(shellSafe(String.raw`"a\/b"`)).toBe(String.raw`"a\u002fb"`);
  });

  test('keys are treated like values, and structure stays as it is', () => {
    expect(safe({ 'a*': ['?', [], {}], b: [1, null, true] })).toBe(
      String.raw`{"a\u002a":["\u003f",[],{}],"b":[1,null,true]}`,
    );
  });

  test('the text is equal JSON for a parser', () => {
    fc.assert(
      fc.property(fc.oneof(nastyObject, nastyText, nastyValue), (value) => {
        const json = JSON.stringify(value);
        expect(JSON.parse(shellSafe(json))).toStrictEqual(JSON.parse(json));
      }),
    );
  });

  test('a safe text stays as it is', () => {
    fc.assert(
      fc.property(nastyObject, (value) => {
        expect(shellSafe(safe(value))).toBe(safe(value));
      }),
    );
  });

  test('megabytes of escapes are no more trouble than one', () => {
    const value = '\n'.repeat(2_000_000);
    expect(safe(value)).toBe(`"${String.raw`\u000a`.repeat(2_000_000)}"`);
  });

  const bash = spawnSync('bash', ['-c', 'exit 0']).status === 0;
  test.skipIf(!bash).each(['C', 'C.UTF-8'])(
    'bash echoes it unquoted without a change (locale %s)',
    (locale) => {
      const folder = mkdtempSync(path.join(tmpdir(), 'longrun-shell-safe-'));
      try {
        for (const name of ['a', 'b', '1', '*', 'a b', '\\', 'u', 'n', 'notes.txt', '{']) {
          writeFileSync(path.join(folder, name), '');
        }
        fc.assert(
          fc.property(fc.array(nastyObject, { minLength: 100, maxLength: 300 }), (values) => {
            const texts = values.map(safe);
            const script = texts
              .map((text) => `X='${text.replaceAll("'", String.raw`'\''`)}'\necho $X`)
              .join('\n');
            const { stdout } = spawnSync('bash', ['-O', 'extglob'], {
              cwd: folder,
              env: { PATH: process.env['PATH'], LC_ALL: locale },
              input: script,
              encoding: 'utf8',
              maxBuffer: 1e8,
            });
            expect(stdout.split('\n')).toStrictEqual([...texts, '']);
          }),
          { numRuns: 10 },
        );
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  );

  test.skipIf(!bash)('bash does change the plain text, so the test above can fail', () => {
    const script = String.raw`cd /; X='{"a":"5 * 3  "}'; echo $X`;
    expect(spawnSync('bash', ['-c', script], { encoding: 'utf8' }).stdout).not.toBe('{"a":"5 * 3  "}\n');
  });
});

describe('fitJson', () => {
  const like = (pattern: RegExp): unknown => expect.stringMatching(pattern);
  const bytes = (text: string): number => Buffer.byteLength(text);

  test('what fits is written whole', () => {
    fc.assert(
      fc.property(fc.oneof(nastyObject, nastyValue), (value) => {
        const text = safe(value);
        expect(fitJson(value, Math.max(32, bytes(text)))).toBe(text);
      }),
    );
  });

  test('the text is valid, safe, within the limit, and says when it was cut', () => {
    fc.assert(
      fc.property(
        fc.oneof(nastyObject, nastyText, nastyValue, fc.array(nastyObject), fc.array(nastyText)),
        fc.integer({ min: 32, max: 400 }),
        (value, maxBytes) => {
          const text = fitJson(value, maxBytes);
          const read: unknown = JSON.parse(text);
          expect(bytes(text)).toBeLessThanOrEqual(maxBytes);
          expect(shellSafe(text)).toBe(text);
          expect(text).not.toContain('\n');
          expect(bytes(safe(value)) <= maxBytes || text.includes('truncated')).toBe(true);
          expect(typeof read).toBe(typeof value);
          expect(Array.isArray(read)).toBe(Array.isArray(value));
        },
      ),
      { numRuns: 2_000 },
    );
  });

  test('a long string is cut between code points', () => {
    for (let maxBytes = 32; maxBytes < 48; maxBytes++) {
      const read: unknown = JSON.parse(fitJson('🙂'.repeat(100), maxBytes));
      expect(read).toMatch(/^(🙂)+… \(truncated\)$/u);
    }
  });

  test('a long string is cut between escapes', () => {
    for (let maxBytes = 32; maxBytes < 48; maxBytes++) {
      const read: unknown = JSON.parse(fitJson('"'.repeat(100), maxBytes));
      expect(read).toMatch(/^"+… \(truncated\)$/u);
    }
  });

  test('a long array loses items from its end', () => {
    const read: unknown = JSON.parse(
      fitJson(
        Array.from({ length: 1000 }, (_, i) => i),
        50,
      ),
    );
    expect(read).toStrictEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, '… (truncated)']);
  });

  test('an object keeps its small members and gives the room to the big ones', () => {
    const results = Array.from({ length: 100 }, (_, i) => ({
      title: `Result ${i}`,
      snippet: 'word '.repeat(20),
    }));
    const text = fitJson({ query: 'q', results, note: 'x'.repeat(5000), total: 100 }, 1000);
    const read: unknown = JSON.parse(text);
    expect(read).toStrictEqual({
      query: 'q',
      results: results.slice(0, 3),
      note: like(/^x{400,}…$/),
      total: 100,
      truncated: true,
    });
    expect(bytes(text)).toBeGreaterThan(900);
  });

  test('an item too big for any place is cut, not left out', () => {
    const read: unknown = JSON.parse(fitJson(['heading', { text: 'y'.repeat(9000) }], 200));
    expect(read).toStrictEqual(['heading', { text: like(/^y{100,}…$/) }, '… (truncated)']);
  });

  test('nesting without end is left out', () => {
    const deep: unknown = JSON.parse('['.repeat(500) + '"x"' + ']'.repeat(500));
    expect(JSON.parse(fitJson({ deep, ok: 1 }, 100))).toMatchObject({ ok: 1, truncated: true });
  });

  test('what JSON has no word for is null', () => {
    expect(fitJson(undefined, 32)).toBe('null');
    expect(fitJson(() => 1, 32)).toBe('null');
  });

  test('a limit too small for a statement is refused', () => {
    expect(() => fitJson('x', 31)).toThrow(RangeError);
    expect(() => fitJson('x', Number.NaN)).toThrow(RangeError);
  });
});
