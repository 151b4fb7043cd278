/** The code of a call that grows: what its deltas add up to, and that they cost no more than the code is long. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { codeCalls, type CodeCall } from '../../src/runs/calls/code-interpreter.ts';
import { codeIn } from '../../src/runs/calls/written-code.ts';

const delta = z.object({ code_interpreter: z.object({ input: z.string() }) }).nullable();

/** What the deltas of a call say that is written in these pieces. */
function saidIn(pieces: readonly string[]): string {
  let call = codeCalls.begun('call_1', 'code_interpreter', null);
  let said = '';
  for (const piece of pieces) {
    call = codeCalls.grown(call, piece);
    said += delta.parse(codeCalls.growthDelta(call, piece))?.code_interpreter.input ?? '';
  }
  return said;
}

/** A text cut into pieces at any places. */
const cut = (text: fc.Arbitrary<string>) =>
  fc.tuple(text, fc.array(fc.nat(12), { minLength: 1 })).map(([whole, lengths]) => {
    const pieces: string[] = [];
    for (let at = 0, turn = 0; at < whole.length; turn += 1) {
      const length = 1 + (lengths[turn % lengths.length] ?? 0);
      pieces.push(whole.slice(at, at + length));
      at += length;
    }
    return pieces;
  });

const ascii = (json: string): string =>
  json.replaceAll(/[^\0-\x7F]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
const code = fc.string({ unit: 'grapheme', maxLength: 60 });
const written = fc.oneof(
  code.map((text) => JSON.stringify({ code: text })),
  code.map((text) => ascii(JSON.stringify({ code: text }))),
  code.map((text) => ` {\n "code" : ${JSON.stringify(text)} }\n`),
  code.map((text) => JSON.stringify({ language: 'python', code: text, more: [{}, '}{'] })),
  code.map((text) => JSON.stringify({ language: 'python', code: text }).slice(0, -3)),
  code.filter((text) => !text.trimStart().startsWith('{')),
  // Escapes that JSON does not know, and those that break off.
  fc
    .array(fc.constantFrom('\\', 'd', '"', 'u', '00e9', '\\ud83d', '\\ude00', '\n', ' '))
    .map((parts) => `{"code":"${parts.join('')}`),
);

test('the deltas add up to the code, wherever it is cut', () => {
  fc.assert(
    fc.property(cut(written), (pieces) => {
      expect(saidIn(pieces)).toBe(codeIn(pieces.join('')));
    }),
    { numRuns: 1_000 },
  );
});

test('a call whose growth nobody has followed is read from where it is', () => {
  let call = codeCalls.begun('call_1', 'code_interpreter', null);
  for (const piece of ['{"co', 'de":"a', '\\n']) call = codeCalls.grown(call, piece);
  call = codeCalls.grown(call, 'b"}');
  expect(codeCalls.growthDelta(call, 'b"}')).toEqual({ code_interpreter: { input: 'b' } });
  // What comes together is told together.
  expect(codeCalls.growthDelta(call, '\\nb"}')).toEqual({ code_interpreter: { input: '\nb' } });
});

/** How many characters of a call's arguments somebody has looked at while they were watched. */
class Looks {
  characters = 0;
  #isWatching = false;

  watch({ code_interpreter: own }: CodeCall): void {
    const { arguments: all } = own;
    const get = (): string => {
      if (this.#isWatching) this.characters += all.length;
      return all;
    };
    Object.defineProperty(own, 'arguments', { enumerable: true, get });
    this.#isWatching = true;
  }

  end(): void {
    this.#isWatching = false;
  }
}

test.each([
  ['code', JSON.stringify({ code: 'print("é")\n'.repeat(5_000) })],
  ['code behind other fields', JSON.stringify({ language: 'python', code: 'd = {"a": {}}\n'.repeat(5_000) })],
  ['no JSON', 'print(1)\n'.repeat(7_000)],
  ['blanks', ' '.repeat(64_000)],
])('%s in pieces of a character is read once, and not anew with each of them', (_, text) => {
  const looks = new Looks();
  let call = codeCalls.begun('call_1', 'code_interpreter', null);
  for (const piece of text) {
    call = codeCalls.grown(call, piece);
    looks.watch(call);
    codeCalls.growthDelta(call, piece);
    looks.end();
  }
  expect(looks.characters).toBeGreaterThan(0);
  expect(looks.characters).toBeLessThanOrEqual(text.length);
});
