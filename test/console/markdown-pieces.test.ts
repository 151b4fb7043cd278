/** Where Markdown is cut for reading, so that no text takes longer than its length. */
import { expect, test } from 'vitest';
import { piecesOf } from '../../src/console/markdown-pieces.ts';

const paragraph = `${'word '.repeat(100).trim()}.`;

test('nothing is lost, whatever the text', () => {
  const texts = ['', 'a', '\n\n', `a\n\n${'b\n'.repeat(5_000)}\n\nc`, `\`\`\`\n${'x\n'.repeat(4_000)}`];
  for (const text of texts)
    expect(
      piecesOf(text)
        .map((piece) => piece.text)
        .join('\n'),
    ).toBe(text);
});

test('an ordinary answer is cut between its paragraphs', () => {
  const text = Array.from({ length: 20 }, () => paragraph).join('\n\n');
  const pieces = piecesOf(text);
  expect(pieces.length).toBeGreaterThan(2);
  expect(pieces.every(({ isReadable, text: { length } }) => isReadable && length < 3_000)).toBe(true);
});

test('a list and its paragraphs stay together, as long as they are not too long', () => {
  const list = Array.from({ length: 8 }, (_, index) => `${index + 1}. ${paragraph}`).join('\n\n');
  expect(piecesOf(list)).toHaveLength(1);
});

test('fenced code is one piece, however long, and what looks like Markdown in it cuts nothing', () => {
  const code = `\`\`\`md\n${'# title\n\ntext\n\n'.repeat(2_000)}\`\`\``;
  const pieces = piecesOf(`before\n\n${code}\nafter`);
  expect(pieces.map(({ isReadable }) => isReadable)).toEqual([true, true, true]);
  expect(pieces[1]?.text).toBe(code);
});

test('a long block without a blank line is not read', () => {
  expect(piecesOf(`- ${'a\n'.repeat(50_000)}`).map(({ isReadable }) => isReadable)).toEqual([false]);
});
