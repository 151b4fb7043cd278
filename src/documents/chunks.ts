/**
 * Cuts a text into chunks that overlap: between paragraphs where that is possible, else between lines, sentences or words,
 * and in the middle of what has none. Pure.
 */
import { estimateTokens } from '../runs/tokens.ts';
import type { ChunkSizes, ChunkText } from '../runs/vector-store.ts';
import { dividedWords } from '../runs/words.ts';

/** A chunk is put together from at least so many pieces, unless the text has larger gaps. */
const PIECES = 4;
const MIN_PIECE_TOKENS = 16;

/** A piece that is not divided further. Pieces follow each other without a gap. */
interface TextPiece {
  readonly end: number;
  readonly tokens: number;
}

/** Ways to divide a text, from the best to the worst. Each gives the ends of its parts. */
const DIVISIONS: readonly ((text: string) => Iterable<number>)[] = [
  (text) => endsOf(text, /\n[^\S\n]*\n\s*/g),
  (text) => endsOf(text, /\n\s*/g),
  (text) => segmentEnds(text, SENTENCES, 2_000),
  (text) => segmentEnds(text, WORDS, 200),
];

const SENTENCES = new Intl.Segmenter('und', { granularity: 'sentence' });
const WORDS = new Intl.Segmenter('und', { granularity: 'word' });

/** The chunks of a text, in order. None is blank. */
export function* chunksOf(
  text: string,
  { max_chunk_size_tokens: most, chunk_overlap_tokens: overlap }: ChunkSizes,
): Generator<ChunkText, void> {
  const pieceTokens = Math.max(MIN_PIECE_TOKENS, Math.floor(most / PIECES));
  let start = 0;
  let end = 0;
  let tokens = 0;
  let pieces: TextPiece[] = [];
  /** Whether the pieces are more than the overlap of the chunk before. */
  let isNew = false;
  for (const piece of piecesOf(text, 0, text.length, pieceTokens, DIVISIONS)) {
    if (isNew && tokens + piece.tokens > most) {
      yield* chunk(text.slice(start, end));
      while (pieces.length > 0 && (tokens > overlap || tokens + piece.tokens > most)) {
        const [first] = pieces;
        start = first?.end ?? end;
        tokens -= first?.tokens ?? 0;
        pieces = pieces.slice(1);
      }
    }
    pieces.push(piece);
    tokens += piece.tokens;
    ({ end } = piece);
    isNew = true;
  }
  if (isNew) yield* chunk(text.slice(start, end));
}

function* chunk(given: string): Generator<ChunkText, void> {
  const text = given.trim();
  if (text === '') return;
  const words = dividedWords(text);
  yield { text, ...(words !== null && { words }) };
}

/** The text from `start` to `end` in pieces of at most so many tokens, of the best division that makes such. */
function* piecesOf(
  text: string,
  start: number,
  end: number,
  most: number,
  [division, ...others]: readonly ((text: string) => Iterable<number>)[],
): Generator<TextPiece, void> {
  const part = text.slice(start, end);
  const tokens = estimateTokens(part);
  if (tokens <= most) yield { end, tokens };
  else if (division === undefined) yield* cutUp(part, start, most / tokens);
  else {
    let from = start;
    for (const partEnd of division(part)) {
      yield* piecesOf(text, from, start + partEnd, most, others);
      from = start + partEnd;
    }
  }
}

/** Pieces of one length, where a text has no gaps. */
function* cutUp(part: string, start: number, share: number): Generator<TextPiece, void> {
  const length = Math.max(1, Math.floor(part.length * share));
  let from = 0;
  while (from < part.length) {
    let to = Math.min(part.length, from + length);
    // Not in the middle of a character.
    if (/[\uD800-\uDBFF]/.test(part[to - 1] ?? '') && to < part.length) to += 1;
    yield { end: start + to, tokens: estimateTokens(part.slice(from, to)) };
    from = to;
  }
}

function* endsOf(text: string, gap: RegExp): Generator<number, void> {
  for (const { index, 0: found } of text.matchAll(gap))
    if (index + found.length < text.length) yield index + found.length;
  yield text.length;
}

/** The segmenter's effort grows with the square of the length, so it gets windows. */
function* segmentEnds(text: string, segmenter: Intl.Segmenter, window: number): Generator<number, void> {
  let start = 0;
  while (start < text.length) {
    const segments = Array.from(
      segmenter.segment(text.slice(start, start + window)),
      ({ segment }) => segment,
    );
    // The window may end in the middle of the last one.
    if (start + window < text.length && segments.length > 1) segments.pop();
    for (const segment of segments) {
      start += segment.length;
      yield start;
    }
  }
}
