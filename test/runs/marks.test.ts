/** Marks in an answer: citations and links become annotations, whatever pieces the answer comes in. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Marks, type MarkedText } from '../../src/runs/marks.ts';

const RESULTS = new Map([
  ['1:0', 'file_a'],
  ['1:1', 'file_b'],
  ['12:3', 'file_c'],
]);
const FILES = new Map([
  ['/mnt/data/out', 'file_out'],
  ['/mnt/data/out.csv', 'file_csv'],
]);

function told(pieces: readonly string[], marks = new Marks({ results: RESULTS, files: FILES })): MarkedText {
  const parts = [...pieces.map((piece) => marks.hear(piece)), marks.end()];
  return {
    text: parts.map(({ text }) => text).join(''),
    annotations: parts.flatMap(({ annotations }) => annotations),
  };
}

const CITING = 'Pizza【1:0†favorite foods.txt】 and rice【12:3】.';

test('a citation of a result is marked with its file, and stays in the text', () => {
  expect(told([CITING])).toStrictEqual({
    text: CITING,
    annotations: [
      {
        type: 'file_citation',
        text: '【1:0†favorite foods.txt】',
        start_index: 5,
        end_index: 29,
        file_citation: { file_id: 'file_a' },
      },
      {
        type: 'file_citation',
        text: '【12:3】',
        start_index: 38,
        end_index: 44,
        file_citation: { file_id: 'file_c' },
      },
    ],
  });
});

test.each([
  '【9:9†nothing.txt】',
  '【注意】',
  '【',
  '【1:0†',
  `【${'x'.repeat(200)}】`,
  '[1:0]',
  'sandbox:/mnt/data/no',
  'sand',
])('what names no result and no file stays text: %s', (text) => {
  expect(told([`so ${text} it is`])).toStrictEqual({ text: `so ${text} it is`, annotations: [] });
  expect(told([text])).toStrictEqual({ text, annotations: [] });
});

test('a link to a file is marked, and of two paths the longer one', () => {
  const text = '[table](sandbox:/mnt/data/out.csv), sandbox:/mnt/data/out';
  expect(told([text]).annotations).toStrictEqual([
    {
      type: 'file_path',
      text: 'sandbox:/mnt/data/out.csv',
      start_index: 8,
      end_index: 33,
      file_path: { file_id: 'file_csv' },
    },
    {
      type: 'file_path',
      text: 'sandbox:/mnt/data/out',
      start_index: 36,
      end_index: 57,
      file_path: { file_id: 'file_out' },
    },
  ]);
});

test('a piece is held back no longer than it may become a mark', () => {
  const marks = new Marks({ results: RESULTS, files: FILES });
  expect(marks.hear('Hello 【1:').text).toBe('Hello ');
  expect(marks.hear('x】 world sand').text).toBe('【1:x】 world ');
  expect(marks.hear('wich').text).toBe('sandwich');
  expect(marks.hear('【').text).toBe('');
  expect(marks.hear('y'.repeat(120)).text).toBe(`【${'y'.repeat(120)}`);
});

test('the marks are the same in whatever pieces the answer comes, and nothing of it is lost', () => {
  const word = fc.constantFrom(
    '【1:0†a】',
    '【1:1】',
    '【9:9】',
    '【',
    '】',
    'sandbox:/mnt/data/out.csv',
    'sandbox:/mnt/data/out',
    'sandbox:',
    'sand',
    '😀',
    ' word ',
    '\n',
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 12 }), fc.array(fc.nat(9), { maxLength: 30 }), (words, sizes) => {
      const text = words.join('');
      const whole = told([text]);
      const pieces: string[] = [];
      let at = 0;
      for (const size of sizes) {
        pieces.push(text.slice(at, at + size));
        at += size;
      }
      pieces.push(text.slice(at));
      expect(told(pieces)).toStrictEqual(whole);
      expect(whole.text).toBe(text);
      for (const mark of whole.annotations)
        expect(text.slice(mark.start_index, mark.end_index)).toBe(mark.text);
    }),
  );
});

test('an answer of nothing but beginnings is looked through once', () => {
  // Once for each beginning would take minutes, and the test its limit.
  const text = '【'.repeat(3_000_000) + 'sandbox:'.repeat(300_000);
  expect(told([text]).text).toHaveLength(text.length);
});
