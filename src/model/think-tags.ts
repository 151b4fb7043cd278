/**
 * Thoughts that a server leaves in the text of its answer, between `<think>` and `</think>`: servers without a reasoning
 * parser do. Tells them from the answer, fragment by fragment.
 *
 *   T1  how the text is cut into fragments does not change what is thought and what is said
 *   T2  thoughts come first: tags behind the first word of an answer belong to what it says
 *   T3  no more is held back than white space and what may be the beginning of a tag
 */

/**
 * Where an answer's thoughts are: `auto` between tags at its very beginning; `closing` before the first closing tag, for
 * servers whose template opens the tag in the prompt, so that the answer never does; `off` nowhere.
 */
export type ThinkTagMode = 'auto' | 'closing' | 'off';

/** A fragment of one kind. It is not empty. */
export interface Piece {
  readonly type: 'thought' | 'text';
  readonly text: string;
}

const OPENING = '<think>';
const CLOSING = '</think>';

/** The result for fragments that are held back, shared so that nothing is allocated. */
const NONE: readonly Piece[] = [];

/** The text of one answer. */
export class ThinkTags {
  readonly #isOpenedInPrompt: boolean;
  /**
   * `begins`: there may be an opening tag yet; `opened` and `closed`: the white space behind a tag is dropped, so that
   * two tags with nothing in between are no thought.
   */
  #phase: 'begins' | 'opened' | 'thinks' | 'closed' | 'speaks';
  /** The white space before the first word. Kept apart, so that much of it in small fragments is not looked at again. */
  #blank = '';
  /** What may be the beginning of a tag. */
  #held = '';

  constructor(mode: ThinkTagMode) {
    this.#isOpenedInPrompt = mode === 'closing';
    this.#phase = mode === 'off' ? 'speaks' : 'begins';
  }

  push(fragment: string): readonly Piece[] {
    switch (this.#phase) {
      case 'begins':
        return this.#begin(fragment);
      case 'opened':
        return this.#opened(fragment);
      case 'thinks':
        return this.#think(fragment);
      case 'closed': {
        const said = fragment.trimStart();
        if (said === '') return NONE;
        this.#phase = 'speaks';
        return [{ type: 'text', text: said }];
      }
      case 'speaks':
        return fragment === '' ? NONE : [{ type: 'text', text: fragment }];
    }
  }

  /** What is held back: no tag comes of it any more, because the answer ends or goes on with something else than text. */
  release(): readonly Piece[] {
    const held = this.#held;
    const text = this.#blank + held;
    this.#blank = '';
    this.#held = '';
    if (this.#phase === 'begins' && !this.#isOpenedInPrompt) {
      this.#phase = 'speaks';
      return text === '' ? NONE : [{ type: 'text', text }];
    }
    return held === '' ? NONE : [{ type: 'thought', text: held }];
  }

  #begin(fragment: string): readonly Piece[] {
    let text = this.#held + fragment;
    if (this.#held === '') {
      text = fragment.trimStart();
      this.#blank += fragment.slice(0, fragment.length - text.length);
    }
    this.#held = '';
    if (text.startsWith(OPENING)) {
      this.#blank = '';
      this.#phase = 'opened';
      return this.#opened(text.slice(OPENING.length));
    }
    if (OPENING.startsWith(text)) {
      this.#held = text;
      return NONE;
    }
    const blank = this.#blank;
    this.#blank = '';
    if (this.#isOpenedInPrompt) {
      this.#phase = 'opened';
      return this.#opened(text);
    }
    this.#phase = 'speaks';
    return [{ type: 'text', text: blank + text }];
  }

  #opened(fragment: string): readonly Piece[] {
    const thought = fragment.trimStart();
    if (thought === '') return NONE;
    this.#phase = 'thinks';
    return this.#think(thought);
  }

  #think(fragment: string): readonly Piece[] {
    const text = this.#held + fragment;
    const end = text.indexOf(CLOSING);
    const until = end === -1 ? text.length - overlap(text) : end;
    const thought: readonly Piece[] = until === 0 ? NONE : [{ type: 'thought', text: text.slice(0, until) }];
    this.#held = end === -1 ? text.slice(until) : '';
    if (end === -1) return thought;
    this.#phase = 'closed';
    return [...thought, ...this.push(text.slice(end + CLOSING.length))];
  }
}

/** How many characters at the end of a text may be the beginning of a closing tag. */
function overlap(text: string): number {
  const at = text.lastIndexOf('<');
  return at !== -1 && CLOSING.startsWith(text.slice(at)) ? text.length - at : 0;
}
