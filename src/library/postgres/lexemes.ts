/**
 * Texts as PostgreSQL searches them. Its own parser takes `os.path` for the name of a host and depends on the database's
 * language, so the words are told to it one by one. Pure.
 */
import type { ChunkText } from '../../runs/vector-store.ts';
import { questionWords, textWords } from '../../runs/words.ts';

/** PostgreSQL keeps no later places, and not more of one word. */
const MAX_PLACE = 16_383;
const MAX_PLACES = 255;

/** The words of a chunk and where they stand, as a `tsvector`. */
export function tsvectorOf({ text, words }: ChunkText): string {
  const places = new Map<string, number[]>();
  for (const [index, word] of textWords(words ?? text).entries()) {
    const plain = withoutAccents(word);
    const own = places.get(plain) ?? [];
    if (own.length < MAX_PLACES && index < MAX_PLACE) own.push(index + 1);
    places.set(plain, own);
  }
  return [...places]
    .map(([word, own]) => (own.length === 0 ? `'${word}'` : `'${word}':${own.join(',')}`))
    .join(' ');
}

/** The words of a question, each as a `tsquery`. They are letters and digits, so nothing in them is syntax. */
export function tsqueriesOf(question: string): readonly string[] {
  return [...new Set(questionWords(question).map(withoutAccents))].map((word) => `'${word}'`);
}

/** As the other library does it: what has an accent is found without. */
function withoutAccents(word: string): string {
  return word.normalize('NFKD').replaceAll(/[^\p{L}\p{N}\p{Co}]/gu, '');
}
