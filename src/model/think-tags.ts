/**
 * Thoughts that a server leaves in the text of its answer, between `<think>` and `</think>` or other tags
 * (tag-kinds.ts): servers without a reasoning parser do. Tells them from the answer, fragment by fragment.
 *
 *   T1  how the text is cut into fragments does not change what is thought and what is said
 *   T2  thoughts come first, perhaps several: tags behind the first word of an answer belong to what it says
 *   T3  no more is held back than white space and what may be the beginning of a tag
 */
import { beginningOf, heldOf, OPENED_IN_PROMPT } from './tag-kinds.ts';

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

/** The result for fragments that are held back, shared so that nothing is allocated. */
const NONE: readonly Piece[] = [];

/** The text of one answer. */
export class ThinkTags {
  /** Whether the answer begins with a thought whatever it begins with. */
  #isOpenedInPrompt: boolean;
  /**
   * `begins`: there may be an opening tag yet; `opened`: the white space behind a tag is dropped, so that two tags with
   * nothing in between are no thought.
   */
  #phase: 'begins' | 'opened' | 'thinks' | 'speaks';
  /** The tags around the thought. */
  #kind = OPENED_IN_PROMPT;
  /** Whether white space before the next word is dropped, because a tag is before it. */
  #isBehindTag = false;
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
      if (!this.#isBehindTag) this.#blank += fragment.slice(0, fragment.length - text.length);
    }
    this.#held = '';
    if (text === '') return NONE;
    const beginning = beginningOf(text);
    switch (beginning?.type) {
      case 'unfinished':
        this.#held = text;
        return NONE;
      case 'opening':
        this.#kind = beginning.kind;
        this.#phase = 'opened';
        this.#blank = '';
        return this.#opened(text.slice(beginning.length));
      case 'closing':
        return this.#closed(text.slice(beginning.length));
      case undefined:
        break;
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
    const end = this.#kind.close(text);
    const until = end?.at ?? text.length - heldOf(text, this.#kind);
    const thought: readonly Piece[] = until === 0 ? NONE : [{ type: 'thought', text: text.slice(0, until) }];
    this.#held = end === null ? text.slice(until) : '';
    return end === null ? thought : [...thought, ...this.#closed(text.slice(end.at + end.length))];
  }

  /** Behind a closing tag another thought may begin. */
  #closed(rest: string): readonly Piece[] {
    this.#isOpenedInPrompt = false;
    this.#isBehindTag = true;
    this.#blank = '';
    this.#phase = 'begins';
    return this.#begin(rest);
  }
}
