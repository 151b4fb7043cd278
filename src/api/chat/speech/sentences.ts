/** Cuts a text, as it comes, into what is spoken at a time: sentences. Nothing of the text is lost. Pure. */

const SEGMENTER = new Intl.Segmenter('en', { granularity: 'sentence' });
/**
 * What is shorter joins what follows: `Mr.`, `1.`, or a `Yes.` that is not worth a request. In bytes, because a Chinese
 * character says as much as three letters.
 */
const MIN_BYTES = 10;
/** After these a sentence goes on, although it looks as if another began. */
const ABBREVIATION = /\b(?:Mr|Mrs|Ms|Dr|Prof|St|Mt|No|Nr|vs|approx|e\.g|i\.e|[A-Z])\.\s*$/u;
/** How sentences end. */
const END = /[.!?。！？…]["'”’」』)）\]]*\s*$/u;
/** What has no end for so long is cut, for speech to begin in time and to fit into any server's limits. */
const MAX_LENGTH = 300;
/** Where a long sentence may be cut, best with a pause. */
const PAUSES = /^.*[,;:，、；：。！？…—)）\n]\s*/su;
const BLANKS = /^.*\s/su;

/** The sentences of a text that comes in fragments. */
export class SentenceCutter {
  #rest = '';

  /** How much of the text belongs to no whole sentence yet, in characters. */
  get length(): number {
    return this.#rest.length;
  }

  /** Whether what is left looks like a sentence: with nothing behind it, nobody knows. */
  get looksWhole(): boolean {
    return END.test(this.#rest);
  }

  /** The sentences that are whole with this fragment. The last one is known to be whole only when the next begins. */
  add(fragment: string): readonly string[] {
    const sentences: string[] = [];
    const segments = Array.from(SEGMENTER.segment(this.#rest + fragment), ({ segment }) => segment);
    const last = segments.pop() ?? '';
    let open = '';
    for (const segment of segments) {
      open += segment;
      if (Buffer.byteLength(open.trim()) < MIN_BYTES || ABBREVIATION.test(open)) continue;
      sentences.push(open);
      open = '';
    }
    const pieces = [...sentences, open + last].flatMap(inPieces);
    this.#rest = pieces.pop() ?? '';
    return pieces;
  }

  /** What is left at the end of the text, or where something else comes in between. */
  end(): readonly string[] {
    const rest = this.#rest;
    this.#rest = '';
    return rest === '' ? [] : [rest];
  }
}

function inPieces(sentence: string): readonly string[] {
  const pieces: string[] = [];
  let rest = sentence;
  while (rest.length > MAX_LENGTH) {
    const beginning = rest.slice(0, MAX_LENGTH);
    const piece = PAUSES.exec(beginning)?.[0] ?? BLANKS.exec(beginning)?.[0] ?? wellFormed(beginning);
    pieces.push(piece);
    rest = rest.slice(piece.length);
  }
  return [...pieces, rest];
}

/** The text without half of a character at its end. */
function wellFormed(text: string): string {
  return text.replace(/[\uD800-\uDBFF]$/, '');
}

/** The marks of cited files, which are no words. */
const CITATIONS = /【\d+:\d+†[^】]*】/gu;
const WORDS = /[\p{L}\p{N}]/u;

/** What is said of a sentence; empty where it has no word. */
export function spokenPart(sentence: string): string {
  const said = sentence.replaceAll(CITATIONS, '').trim();
  return WORDS.test(said) ? said : '';
}
