/**
 * The words of a text, for an index that finds words between spaces and signs. Chinese, Japanese, Thai, Khmer, Lao and
 * Burmese are written without spaces between words, so theirs are divided first. Pure.
 */

/** What is written without spaces between words. */
const UNDIVIDED = '[\\p{sc=Han}\\p{sc=Hira}\\p{sc=Kana}ー\\p{sc=Thai}\\p{sc=Laoo}\\p{sc=Khmr}\\p{sc=Mymr}]';
const IS_UNDIVIDED = new RegExp(UNDIVIDED, 'u');
/** The segmenter's effort grows with the square of the length, so it gets pieces. */
const PIECES = new RegExp(`(?:${UNDIVIDED}\\p{M}*){1,200}`, 'gu');
const WORD = /[\p{L}\p{N}\p{Co}][\p{L}\p{N}\p{Co}\p{M}]*/gu;
/** A question of more different words than this is asked by the first of them. */
const MAX_WORDS = 64;
const MAX_WORD_CHARACTERS = 200;

const segmenter = new Intl.Segmenter('und', { granularity: 'word' });

/** Words that say nothing about what is looked for. */
const STOP_WORDS: ReadonlySet<string> = new Set(
  (
    'a about after again all also am an and any are as at be because been before being between both but by can could did do does ' +
    'doing down during each few for from further had has have having he her here hers him his how i if in into is it its itself ' +
    'just me more most my no nor not now of off on once only or other our ours out over own same she should so some such than ' +
    'that the their theirs them then there these they this those through to too under until up very was we were what when where ' +
    'which while who whom why will with would you your yours s t 的 了 是 在 和 与 及 吗 呢 吧 啊 我 你 他 她 它 们 就 都 也 而 被 把 这 那 の は が を に で と も へ や か です ます'
  ).split(' '),
);

/** The text with spaces between the words that are written without; null where there are none of those. */
export function dividedWords(text: string): string | null {
  if (!IS_UNDIVIDED.test(text)) return null;
  return text.replaceAll(PIECES, (piece) => {
    const words = Array.from(segmenter.segment(piece), ({ segment }) => segment);
    return ` ${words.join(' ')} `;
  });
}

/** All words of a text in which words are divided, in small letters. */
export function textWords(divided: string): readonly string[] {
  return (divided.toLowerCase().match(WORD) ?? []).filter(({ length }) => length <= MAX_WORD_CHARACTERS);
}

/** The different words of a question by which to look for its answer: without those that every text has, if others are left. */
export function questionWords(text: string): readonly string[] {
  const words = [...new Set(textWords(dividedWords(text) ?? text))];
  const telling = words.filter((word) => !STOP_WORDS.has(word));
  return (telling.length > 0 ? telling : words).slice(0, MAX_WORDS);
}
