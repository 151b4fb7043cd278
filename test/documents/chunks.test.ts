/** How a text is cut into chunks. */
import { array, assert, constantFrom, integer, nat, oneof, property, string } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { chunksOf } from '../../src/documents/chunks.ts';
import { estimateTokens } from '../../src/runs/tokens.ts';
import { AUTO_CHUNKING } from '../../src/runs/vector-store.ts';

const sizes = (max_chunk_size_tokens: number, chunk_overlap_tokens: number) => ({
  max_chunk_size_tokens,
  chunk_overlap_tokens,
});
const textsOf = (text: string, size: number, overlap: number): readonly string[] =>
  Array.from(chunksOf(text, sizes(size, overlap)), (chunk) => chunk.text);
const paragraph = (index: number): string =>
  `Paragraph ${index} says this and that about one thing or another, at some length.`;
const paragraphs = (count: number): string =>
  Array.from({ length: count }, (_, index) => paragraph(index)).join('\n\n');

describe('chunks', () => {
  test('a short text is one, and nothing is none', () => {
    expect(textsOf(' A few words.\n\nAnd more. ', 800, 400)).toEqual(['A few words.\n\nAnd more.']);
    expect(textsOf(' \n\n ', 800, 400)).toEqual([]);
    expect(textsOf('', 800, 400)).toEqual([]);
  });

  test('are cut between paragraphs, and overlap by as much as was asked', () => {
    const text = paragraphs(200);
    const chunks = textsOf(text, 800, 400);
    for (const chunk of chunks) {
      expect(chunk).toMatch(/^Paragraph \d+ says/);
      expect(chunk).toMatch(/at some length\.$/);
      expect(estimateTokens(chunk)).toBeLessThanOrEqual(800);
    }
    for (const [index, chunk] of chunks.slice(0, -1).entries()) {
      expect(estimateTokens(chunk)).toBeGreaterThan(700);
      const next = chunks[index + 1] ?? '';
      const shared = chunk.slice(chunk.indexOf(next.slice(0, 60)));
      expect(next.startsWith(shared)).toBe(true);
      expect(estimateTokens(shared)).toBeGreaterThan(350);
      expect(estimateTokens(shared)).toBeLessThanOrEqual(400);
    }
  });

  test('without an overlap add up to the text', () => {
    const text = paragraphs(100);
    expect(textsOf(text, 100, 0).join('\n\n')).toBe(text);
  });

  test('are cut between lines, sentences and words where paragraphs are too long', () => {
    const csv = Array.from({ length: 500 }, (_, index) => `row ${index},value,42`).join('\n');
    for (const chunk of textsOf(csv, 100, 0)) expect(chunk).toMatch(/^row [^]*,42$/);
    const prose = 'One sentence stands here. Another one follows it! Is this the third? '.repeat(100);
    for (const chunk of textsOf(prose, 100, 0)) expect(chunk).toMatch(/^(One|Another|Is)[^]*[.!?]$/);
    const words = 'some words without any end '.repeat(2_000).trim();
    for (const chunk of textsOf(words, 100, 20))
      expect(chunk).toMatch(/^(some|words|without|any|end)\b[^]*\b(some|words|without|any|end)$/);
    const chinese = '我们支持七天无理由退款,请保留发票'.repeat(500);
    const cut = Array.from(chunksOf(chinese, sizes(200, 100)));
    for (const { text, words } of cut) {
      expect(estimateTokens(text)).toBeLessThanOrEqual(230);
      expect(words?.replaceAll(' ', '')).toBe(text.replaceAll(' ', ''));
    }
  });

  test('cut what has no gaps at all, in time that grows with its length', () => {
    const run = 'x'.repeat(300_000);
    const chunks = textsOf(run, 800, 400);
    expect(chunks.length).toBeGreaterThan(10);
    for (const chunk of chunks) expect(estimateTokens(chunk)).toBeLessThanOrEqual(900);
    const faces = '😀'.repeat(20_000);
    for (const chunk of textsOf(faces, 100, 50)) expect(chunk.isWellFormed()).toBe(true);
  });

  test('of any text hold all of it, in order, within their size', () => {
    const piece = oneof(
      string({ unit: 'grapheme', maxLength: 300 }),
      constantFrom(
        '\n\n',
        '\n',
        '. ',
        ' ',
        '退款',
        '退款政策。',
        'x'.repeat(500),
        '😀',
        'word ',
        '\t',
        'a,b,c\n',
      ),
    );
    assert(
      property(
        array(piece, { maxLength: 60 }),
        integer({ min: 100, max: 400 }),
        nat(50),
        (pieces, size, share) => {
          const text = pieces.join('').toWellFormed();
          for (const chunk of textsOf(text, size, Math.floor((size * share) / 100))) {
            expect(text).toContain(chunk);
            expect(estimateTokens(chunk)).toBeLessThanOrEqual(size * 1.2);
          }
          const bare = (given: string): string => given.replaceAll(/\s+/g, '');
          expect(bare(textsOf(text, size, 0).join(''))).toBe(bare(text));
        },
      ),
      { numRuns: 200 },
    );
  });

  test('have the sizes that auto means', () => {
    expect(textsOf(paragraphs(200), 800, 400)).toEqual(
      Array.from(chunksOf(paragraphs(200), AUTO_CHUNKING.static), ({ text }) => text),
    );
  });
});
