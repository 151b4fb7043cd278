/**
 * Finds citations of search results and links to files in an answer as it comes, and marks them with annotations. A piece that
 * may become a mark is held back until it is one or is none, so that a mark and its annotation are told together. Pure.
 */
import type { References } from './hosted.ts';
import type { Annotation } from './thread.ts';

/** A piece of the answer, with the marks in it; their places count from the answer's beginning. */
export interface MarkedText {
  readonly text: string;
  readonly annotations: readonly Annotation[];
}

/** `【1:0†name】`: models write the name as they like, so only the numbers count. */
const CITATION = /^【\s*(\d+)\s*:\s*(\d+)\s*(?:†[^】]*)?】/u;
const OPENING = '【';
const CLOSING = '】';
/** A bracket that is still open after so many characters is text. */
const MAX_CITATION_LENGTH = 120;
const LINK = 'sandbox:';

export class Marks {
  readonly #references: References;
  /** Links to the files, the longest first: one path may begin with another. */
  readonly #links: readonly (readonly [link: string, fileId: string])[];
  #held = '';
  /** How much of the answer was told. */
  #told = 0;

  constructor(references: References) {
    this.#references = references;
    this.#links = [...references.files]
      .map(([path, fileId]) => [`${LINK}${path}`, fileId] as const)
      .toSorted(([one], [other]) => other.length - one.length);
  }

  /** Whether there is anything that an answer could refer to. */
  get isNeeded(): boolean {
    return this.#references.results.size > 0 || this.#links.length > 0;
  }

  /** What can be told once the model has said this. */
  hear(text: string): MarkedText {
    this.#held += text;
    return this.#tell(false);
  }

  /** The rest, when nothing more comes. */
  end(): MarkedText {
    return this.#tell(true);
  }

  #tell(isOver: boolean): MarkedText {
    const said = this.#held;
    const annotations: Annotation[] = [];
    let at = 0;
    // Each is looked for again only once it was passed: an answer may have a million of the other.
    let [bracket, link] = [-1, -1];
    for (;;) {
      if (bracket < at) bracket = this.#bracketFrom(said, at);
      if (link < at) link = this.#linkFrom(said, at);
      const start = Math.min(bracket, link);
      if (start === Infinity) {
        at = said.length;
        break;
      }
      const rest = said.slice(start);
      const mark = this.#markAt(rest, this.#told + start, isOver);
      if (mark === 'open') {
        at = start;
        break;
      }
      if (mark !== null) annotations.push(mark);
      at = start + (mark === null ? 1 : mark.end_index - mark.start_index);
    }
    this.#held = said.slice(at);
    this.#told += at;
    return { text: said.slice(0, at), annotations };
  }

  /** Where the next bracket is, and the next link may be; Infinity for nowhere. */
  #bracketFrom(said: string, from: number): number {
    const found = this.#references.results.size > 0 ? said.indexOf(OPENING, from) : -1;
    return found === -1 ? Infinity : found;
  }

  #linkFrom(said: string, from: number): number {
    const found = this.#links.length > 0 ? beginningOf(LINK, said, from) : -1;
    return found === -1 ? Infinity : found;
  }

  /** The mark that `rest` begins with, at `start` of the answer; `open` where it may still become one. */
  #markAt(rest: string, start: number, isOver: boolean): Annotation | 'open' | null {
    return rest.startsWith(OPENING) ? this.#citation(rest, start, isOver) : this.#link(rest, start, isOver);
  }

  #citation(rest: string, start: number, isOver: boolean): Annotation | 'open' | null {
    // No further: an answer of nothing but brackets would be looked through once for each.
    const near = rest.slice(0, MAX_CITATION_LENGTH);
    if (!near.includes(CLOSING)) return !isOver && rest.length <= MAX_CITATION_LENGTH ? 'open' : null;
    const [text, number, index] = CITATION.exec(near) ?? [];
    const file_id = this.#references.results.get(`${Number(number)}:${Number(index)}`);
    if (text === undefined || file_id === undefined) return null;
    const place = { start_index: start, end_index: start + text.length };
    return { type: 'file_citation', text, ...place, file_citation: { file_id } };
  }

  #link(rest: string, start: number, isOver: boolean): Annotation | 'open' | null {
    // A longer link may still come.
    if (!isOver && this.#links.some(([link]) => link.length > rest.length && link.startsWith(rest)))
      return 'open';
    const [text, file_id] = this.#links.find(([link]) => rest.startsWith(link)) ?? [];
    if (text === undefined || file_id === undefined) return null;
    const place = { start_index: start, end_index: start + text.length };
    return { type: 'file_path', text, ...place, file_path: { file_id } };
  }
}

/** Where `word` begins in `said`, or where the end of `said` may be its beginning; -1 for nowhere. */
function beginningOf(word: string, said: string, from: number): number {
  const found = said.indexOf(word, from);
  if (found !== -1) return found;
  for (let length = Math.min(word.length - 1, said.length - from); length > 0; length -= 1) {
    if (word.startsWith(said.slice(said.length - length))) return said.length - length;
  }
  return -1;
}
