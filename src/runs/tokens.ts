/**
 * How many tokens a text is, without any model's tokenizer. Pure, and one pass of two table look-ups for a character.
 *
 * Tokenizers of today cut text in nearly the same way: a word with the space before it, digits by threes, a run of signs,
 * white space; what is rare they cut smaller. So a text is counted by kinds of characters and what stands before them.
 * The prices are fitted to o200k and Llama 3 over prose, code and data, plus a twentieth: a prompt that is cut a little
 * too short is better than one the model refuses. test/runs/tokens.test.ts holds them to both.
 */

/** Kinds of characters. Those before `BREAK` may stand in a run of base64, hexadecimal digits or an id. */
const LOWER = 0;
const UPPER = 1;
const DIGIT = 2;
const JOINT = 3;
const BREAK = 4;
const SIGN = 4;
const SPACE = 5;
const TAB = 6;
const LINE = 7;
const ACCENTED = 8;
const EUROPEAN = 9;
const SEMITIC = 10;
const OTHER = 11;
const HAN = 12;
const HIRAGANA = 13;
const KATAKANA = 14;
const HANGUL = 15;
const SYMBOL = 16;
const SURROGATE = 17;
const KINDS = 18;

/** Where each kind ends, of characters beyond ASCII. */
const RANGES: readonly (readonly [end: number, kind: number])[] = [
  [0xc0, SYMBOL],
  [0x250, ACCENTED],
  [0x530, EUROPEAN],
  [0x900, SEMITIC],
  [0x1100, OTHER],
  [0x1200, HANGUL],
  [0x1e00, OTHER],
  [0x1f00, ACCENTED],
  [0x2000, EUROPEAN],
  [0x3040, SYMBOL],
  [0x30a0, HIRAGANA],
  [0x3100, KATAKANA],
  [0x3400, SYMBOL],
  [0xa000, HAN],
  [0xac00, OTHER],
  [0xd800, HANGUL],
  [0xe000, SURROGATE],
  [0xf900, SYMBOL],
  [0xfb00, HAN],
  [0xff00, OTHER],
  [0x10000, SYMBOL],
];

/** Prices in hundredths of a token: of a word of up to seven letters or four capitals, and of each further one. */
const WORD = 95;
const WORD_LETTERS = 7;
const FURTHER_LETTER = 31;
const CAPITALS = 4;
const FURTHER_CAPITAL = 37;
const FIRST_DIGITS = 130;
const FURTHER_DIGITS = 100;
const FIRST_SIGN = 105;
const FURTHER_SIGN = 12;
/** What a sign before a word saves: `.length` and `(value` are often one token. */
const SIGN_BEFORE_WORD = -37;
const NEW_LINE = 70;
const NEW_LINE_AFTER_SIGN = 22;
const INDENT = 62;
const ACCENT = 100;
/** Of the kinds that are counted by the character. */
const PRICES: Readonly<Record<number, number>> = {
  [EUROPEAN]: 34,
  [SEMITIC]: 42,
  [OTHER]: 45,
  [HAN]: 76,
  [HIRAGANA]: 72,
  [KATAKANA]: 40,
  [HANGUL]: 76,
  [SYMBOL]: 106,
  [SURROGATE]: 132,
};

/** An unbroken run of this many characters is not words if its kind changes at every fifth. */
const RUN_LENGTH = 16;
const RUN_CHANGES = 5;
/** Longer runs are judged piece by piece: parts of a picture are all zeros. */
const RUN_WINDOW = 63;
/** It is base64, and not hexadecimal, if small letters are followed by capitals at every twelfth. */
const RUN_CAPITALS = 12;
const BASE64 = 71;
const HEXADECIMAL = 57;

/** States: how many small letters, capitals or digits have been read, or what else was read last. */
const SMALL = 1;
const LARGE = SMALL + WORD_LETTERS;
const DIGITS = LARGE + CAPITALS;
const SIGNS = DIGITS + 3;
const ONE_SPACE = SIGNS + 1;
const SPACES = ONE_SPACE + 1;
const LINES = SPACES + 1;
const STATES = LINES + 1;

const isSmall = (state: number): boolean => state >= SMALL && state < LARGE;
const isLarge = (state: number): boolean => state >= LARGE && state < DIGITS;
const isDigits = (state: number): boolean => state >= DIGITS && state < SIGNS;

/** How a step is kept: the next state, whether the kind changes in a run, whether to a capital, and the price. */
const ROW = 32;
const NEXT = 31;
const CHANGE_BIT = 5;
const CAPITAL_BIT = 6;
const PRICE_SHIFT = 7;

/** The kinds of all UTF-16 units. */
const KIND_OF = kinds();
/** By state and kind. */
const STEPS = steps();

/**
 * An estimate of the tokens of `text`: within 15 % for prose in English, Chinese and Japanese, code, JSON and base64. Other
 * languages and tokenizers differ more.
 */
export function estimateTokens(text: string): number {
  let price = 0;
  let state = 0;
  let start = 0;
  let before = 0;
  let changes = 0;
  let capitals = 0;
  const end = text.length;
  for (let index = 0; index < end; index++) {
    const kind = KIND_OF[text.charCodeAt(index)] ?? OTHER;
    const step = STEPS[state * ROW + kind] ?? 0;
    state = step & NEXT;
    if (kind < BREAK) {
      changes += (step >> CHANGE_BIT) & 1;
      capitals += (step >> CAPITAL_BIT) & 1;
      price += step >> PRICE_SHIFT;
      if (index - start < RUN_WINDOW && index + 1 < end) continue;
      if (index + 1 - start >= RUN_LENGTH)
        price = before + priceOfRun(index + 1 - start, price - before, changes, capitals);
    } else {
      if (index - start >= RUN_LENGTH)
        price = before + priceOfRun(index - start, price - before, changes, capitals);
      price += step >> PRICE_SHIFT;
    }
    start = index + 1;
    before = price;
    changes = 0;
    capitals = 0;
  }
  return Math.ceil(price / 100);
}

/** What a long run without a break costs, given what it costs as words. */
function priceOfRun(length: number, words: number, changes: number, capitals: number): number {
  if (changes * RUN_CHANGES < length) return words;
  return length * (capitals * RUN_CAPITALS >= length ? BASE64 : HEXADECIMAL);
}

function kinds(): Uint8Array {
  const table = new Uint8Array(0x10000);
  for (let unit = 0; unit < 0x80; unit++) table[unit] = asciiKind(String.fromCharCode(unit));
  let unit = 0x80;
  for (const [end, kind] of RANGES) {
    table.fill(kind, unit, end);
    unit = end;
  }
  return table;
}

function asciiKind(char: string): number {
  if (/[a-z]/.test(char)) return LOWER;
  if (/[A-Z]/.test(char)) return UPPER;
  if (/\d/.test(char)) return DIGIT;
  if (/[-+/=_]/.test(char)) return JOINT;
  if (char === ' ') return SPACE;
  if (char === '\t') return TAB;
  return char === '\n' || char === '\r' ? LINE : SIGN;
}

function steps(): Int32Array {
  const table = new Int32Array(STATES * ROW);
  for (let state = 0; state < STATES; state++) {
    for (let kind = 0; kind < KINDS; kind++) {
      const [price, next] = stepOf(state, kind);
      const isLetter = kind === LOWER || kind === UPPER;
      const capitals = kind === UPPER && isSmall(state);
      const digits = kind === DIGIT ? isSmall(state) || isLarge(state) : isLetter && isDigits(state);
      const change = Number(capitals || digits) << CHANGE_BIT;
      table[state * ROW + kind] = (price << PRICE_SHIFT) + (Number(capitals) << CAPITAL_BIT) + change + next;
    }
  }
  return table;
}

type Step = readonly [price: number, next: number];

/** What a character costs after a state, and the state after it. */
function stepOf(state: number, kind: number): Step {
  switch (kind) {
    case LOWER:
      return smallLetter(state);
    case UPPER:
      return capital(state);
    case DIGIT:
      return digit(state);
    case JOINT:
    case SIGN:
      return [state === SIGNS ? FURTHER_SIGN : FIRST_SIGN, SIGNS];
    case ACCENTED:
      return accented(state);
    case SPACE:
    case TAB:
    case LINE:
      return whiteSpace(state, kind);
    default:
      return [PRICES[kind] ?? 0, 0];
  }
}

function newWord(state: number): number {
  return WORD + (state === SIGNS ? SIGN_BEFORE_WORD : 0);
}

function smallLetter(state: number): Step {
  if (isSmall(state)) return state + 1 < LARGE ? [0, state + 1] : [FURTHER_LETTER, state];
  // `Word` is one word, and so is the `Word` of `ANYWord`.
  if (isLarge(state)) return [state === LARGE ? 0 : WORD, SMALL + 1];
  return [newWord(state), SMALL];
}

function capital(state: number): Step {
  if (isLarge(state)) return state + 1 < DIGITS ? [0, state + 1] : [FURTHER_CAPITAL, state];
  return [newWord(state), LARGE];
}

function digit(state: number): Step {
  if (!isDigits(state)) return [FIRST_DIGITS, DIGITS];
  return state + 1 < SIGNS ? [0, state + 1] : [FURTHER_DIGITS, DIGITS];
}

function accented(state: number): Step {
  if (isSmall(state)) return [ACCENT, state];
  return [isLarge(state) ? ACCENT : ACCENT + WORD, SMALL];
}

function whiteSpace(state: number, kind: number): Step {
  if (kind === LINE) {
    if (state === LINES) return [0, LINES];
    return [state === SIGNS ? NEW_LINE_AFTER_SIGN : NEW_LINE, LINES];
  }
  if (state === SPACES) return [0, SPACES];
  if (kind === TAB || state === ONE_SPACE) return [INDENT, SPACES];
  return [0, ONE_SPACE];
}
