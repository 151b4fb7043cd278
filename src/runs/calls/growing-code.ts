/**
 * Reads the code in the arguments of a call piece by piece, as {@link codeIn} reads all of it, and says what each piece adds. A state
 * is small, so that a program that comes in thousands of pieces costs as much as one that comes in one.
 */
import { codeIn, readString } from './written-code.ts';

/** How far the arguments are read. */
export type CodeState =
  /** Up to a place in the opening, by its number in {@link OPENING}. */
  | { readonly at: 'opening'; readonly step: number }
  /** In the code. What may be half an escape, or half a character, is read with the next piece. */
  | { readonly at: 'code'; readonly rest: string }
  /** In JSON of another shape, which is read when it is complete: in so many brackets, in a string or not. */
  | { readonly at: 'json'; readonly depth: number; readonly string: 'none' | 'open' | 'escape' }
  /** What is no JSON is code as it stands. */
  | { readonly at: 'plain' }
  /** Nothing more is to come. */
  | { readonly at: 'end' };

export const NOTHING_READ: CodeState = { at: 'opening', step: 0 };

/** A state, and the code that the last piece has added. */
export interface CodeGrowth {
  readonly state: CodeState;
  readonly code: string;
}

/** The characters that come before the code; there may be blanks before some of them. */
const OPENING = ['{', '"', 'c', 'o', 'd', 'e', '"', ':', '"'] as const;
const AFTER_BLANKS: ReadonlySet<number> = new Set([0, 1, 7, 8]);

/** Reads one more piece. @param all the arguments with this piece, asked for where they are not what they seemed to be */
export function readPiece(state: CodeState, piece: string, all: () => string): CodeGrowth {
  switch (state.at) {
    case 'opening':
      return readOpening(state.step, piece, all);
    case 'code':
      return readCode(state.rest + piece);
    case 'json':
      return readJson(state, piece, all);
    case 'plain':
      return { state, code: piece };
    case 'end':
      return { state, code: '' };
  }
}

function readOpening(from: number, piece: string, all: () => string): CodeGrowth {
  let step = from;
  for (let index = 0; index < piece.length; index += 1) {
    const unit = piece.charAt(index);
    if (unit === OPENING[step]) step += 1;
    else if (unit.trim() !== '' || !AFTER_BLANKS.has(step)) {
      const written = all();
      return step === 0
        ? { state: { at: 'plain' }, code: written }
        : readJson({ at: 'json', depth: 0, string: 'none' }, written, all);
    }
    if (step === OPENING.length) return readCode(piece.slice(index + 1));
  }
  return { state: { at: 'opening', step }, code: '' };
}

function readCode(text: string): CodeGrowth {
  const { code, length } = readString(text, 0);
  const rest = text.slice(length);
  const isClosed = rest.startsWith('"');
  const half = isClosed ? '' : (/[\uD800-\uDBFF]$/.exec(code)?.[0] ?? '');
  const whole = code.slice(0, code.length - half.length);
  // Anything but the beginning of an escape is its end.
  if (isClosed || !/^(?:\\(?:u[\da-f]{0,3})?)?$/i.test(rest)) return { state: { at: 'end' }, code: whole };
  return { state: { at: 'code', rest: asWritten(half) + rest }, code: whole };
}

/** Half a character in a form that is read as that half again, whatever comes behind it. */
function asWritten(half: string): string {
  return half === '' ? '' : `\\u${half.charCodeAt(0).toString(16)}`;
}

function readJson(
  { depth: from, string: begun }: Extract<CodeState, { at: 'json' }>,
  piece: string,
  all: () => string,
): CodeGrowth {
  let depth = from;
  let string = begun;
  for (const unit of piece.split('')) {
    if (string === 'escape') string = 'open';
    else if (string === 'open') string = afterUnit(unit);
    else if (unit === '"') string = 'open';
    else if (unit === '{' || unit === '[') depth += 1;
    else if (unit === '}' || unit === ']') {
      depth -= 1;
      if (depth === 0) return { state: { at: 'end' }, code: codeIn(all()) };
    }
  }
  return { state: { at: 'json', depth, string }, code: '' };
}

function afterUnit(unit: string): 'none' | 'open' | 'escape' {
  if (unit === '"') return 'none';
  return unit === '\\' ? 'escape' : 'open';
}
