/** How prompts are measured without any model's tokenizer, against two real ones. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { encode } from 'gpt-tokenizer/encoding/o200k_base';
import llama3 from 'llama3-tokenizer-js';
import { describe, expect, test } from 'vitest';
import { ContextRoom } from '../../src/runs/context-room.ts';
import { estimateTokens } from '../../src/runs/tokens.ts';
import { character } from '../support/character.ts';
import { ask, assistant, told, turn, user } from './prompts.ts';
import { CHINESE_NOTICE, CHINESE_STORY } from './texts/chinese.ts';
import { JAPANESE_NOTICE, JAPANESE_STORY } from './texts/japanese.ts';
import { ARABIC, FRENCH, GERMAN, HINDI, KOREAN, RUSSIAN, THAI } from './texts/others.ts';

const TOKENIZERS: readonly ((text: string) => number)[] = [
  (text) => encode(text, { disallowedSpecial: new Set() }).length,
  (text) => llama3.encode(text, { bos: false, eos: false }).length,
];

/** The start of a file of this repository. */
const file = (path: string): string =>
  readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8').slice(0, 20_000);

const packages = file('package-lock.json');

/** Bytes as of a picture or a key: no compression finds anything in them. */
const noise = Buffer.concat(
  Array.from({ length: 100 }, (_, index) => createHash('sha256').update(String(index)).digest()),
);

const TEXTS: Readonly<Record<string, readonly string[]>> = {
  English: [file('README.md'), file('docs/devices.md'), file('docs/configuration.md'), file('LICENSE')],
  Chinese: [CHINESE_STORY + CHINESE_NOTICE, file('README.zh-CN.md'), file('docs/devices.zh-CN.md')],
  Japanese: [JAPANESE_STORY, JAPANESE_NOTICE],
  code: [file('src/runs/prompt.ts'), file('src/runs/execute.ts'), file('src/config.ts'), file('src/main.ts')],
  JSON: [packages, packages.replaceAll(/\n\s*/g, ''), file('package.json')],
  base64: [
    noise.toString('base64'),
    noise.toString('base64url'),
    Buffer.from(file('README.md')).toString('base64'),
    Buffer.from(CHINESE_NOTICE).toString('base64'),
  ],
  hexadecimal: [noise.toString('hex')],
};

/** How far the estimate is from `real`, as a share of it. */
const errorOf = (estimate: number, real: number): number => Math.abs(estimate - real) / real;

describe('the estimate', () => {
  test.each(Object.entries(TEXTS))('of %s is within 15 % of two tokenizers', (_, texts) => {
    for (const text of [...texts, texts.join('\n')]) {
      expect(Buffer.byteLength(text)).toBeGreaterThan(2_000);
      const estimate = estimateTokens(text);
      const real = TOKENIZERS.map((count) => count(text));
      const mean = real.reduce((sum, count) => sum + count, 0) / real.length;
      expect(errorOf(estimate, mean), text.slice(0, 40)).toBeLessThanOrEqual(0.15);
      for (const count of real) {
        expect(errorOf(estimate, count), text.slice(0, 40)).toBeLessThanOrEqual(0.25);
      }
    }
  });

  /** Their tokenizers differ by up to a half themselves. */
  test.each(Object.entries({ ARABIC, FRENCH, GERMAN, HINDI, KOREAN, RUSSIAN, THAI }))(
    'of %s is right to a third',
    (_, text) => {
      for (const count of TOKENIZERS) {
        expect(errorOf(estimateTokens(text), count(text))).toBeLessThanOrEqual(1 / 3);
      }
    },
  );

  test('of nothing is nothing, and of any text at most two tokens for a UTF-16 unit', () => {
    expect(estimateTokens('')).toBe(0);
    fc.assert(
      fc.property(fc.string({ unit: character, minLength: 1, maxLength: 50 }), (text) => {
        const estimate = estimateTokens(text);
        expect(Number.isInteger(estimate)).toBe(true);
        expect(estimate).toBeGreaterThan(0);
        expect(estimate).toBeLessThanOrEqual(2 * text.length);
      }),
    );
  });

  test('of a run of base64 is the same wherever it stands', () => {
    const run = noise.toString('base64').slice(0, 2_000);
    const alone = estimateTokens(run);
    for (const text of [`"${run}"`, `Here:\n${run}\n`, `data:image/png;base64,${run}`]) {
      expect(errorOf(estimateTokens(text), alone)).toBeLessThanOrEqual(0.02);
    }
  });
});

describe('a prompt cut to a small context', () => {
  const CONTEXT = 4_096;
  /** What chat templates add to a message. */
  const PER_MESSAGE = 4;

  test.each(Object.entries(TEXTS))('of %s fits by both tokenizers, and fills most of it', (_, texts) => {
    const pieces = texts.flatMap((text) => text.match(/.{1,400}/gsu) ?? []);
    // Long enough to be cut whatever the text.
    while (pieces.length < 120) pieces.push(...pieces);
    const thread = pieces.map((piece, index) => (index % 2 ? assistant(piece) : user(piece)));
    const room = new ContextRoom(CONTEXT, null).of(0);
    const messages = told(ask(turn(), [...thread, user('And?')], room).messages);
    expect(messages.length).toBeLessThan(thread.length);
    for (const count of TOKENIZERS) {
      const tokens = messages.reduce(
        (sum, line) => sum + PER_MESSAGE + count(line.slice(line.indexOf(' ') + 1)),
        0,
      );
      expect(tokens).toBeLessThanOrEqual(room * 1.05);
      expect(tokens).toBeGreaterThan(room * 0.7);
    }
  });
});
