/** From events to the text of a stream: what comes together is written together. */
import type { Passing } from '../../store/passing.ts';

/** Makes the frames of one stream. It is given every event once and in order, and may remember what came before. */
export interface Encoder<T> {
  /** The frames of the next event, whole; empty where it has nothing to show. Those of fragments are made at once. */
  readonly encode: (event: T) => string | Promise<string>;
  /** The frames just made are the stream's last. */
  readonly isOver: boolean;
}

/** Frames are sent together up to this length: each may repeat the whole run, and the reader may be slow. */
const TOGETHER_LENGTH = 64 * 1024;

/**
 * The frames of all events, until the encoder or its source has said the last. The frames of a batch are one text,
 * because what a token costs is mostly the write to the client.
 * @param first goes before all others, at once
 */
export function encoded<T>(batches: Passing<readonly T[]>, encoder: Encoder<T>, first = ''): Texts {
  return new Encoded(batches, encoder, first);
}

/** The texts of a stream. */
export type Texts = AsyncIterableIterator<string, void> & Passing<string>;

/** No generator: that would hold its last text, which may show a whole run, for as long as nothing follows. */
class Encoded<T> implements AsyncIterableIterator<string, void>, Passing<string> {
  readonly #batches: Passing<readonly T[]>;
  readonly #source: AsyncIterator<readonly T[]>;
  readonly #encoder: Encoder<T>;
  #first: string;
  /** What is left of the batch that came last. */
  #events: IterableIterator<T> = [].values();
  /** Why no frame could be made, told once the frames before it have been given. */
  #failure: { readonly error: unknown } | null = null;

  constructor(batches: Passing<readonly T[]>, encoder: Encoder<T>, first: string) {
    this.#batches = batches;
    this.#source = batches[Symbol.asyncIterator]();
    this.#encoder = encoder;
    this.#first = first;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  pass(take: ((text: string) => void) | null): void {
    this.#batches.pass?.(take && ((events) => this.#passOn(events, take)));
  }

  #passOn(events: readonly T[], take: (text: string) => void): void {
    let text = '';
    try {
      for (const event of events) {
        const frames = this.#encoder.encode(event);
        if (typeof frames !== 'string') throw new Error('the frames of a fragment have to be there at once');
        text += frames;
      }
    } finally {
      if (text !== '') take(text);
    }
  }

  async next(): Promise<IteratorResult<string, void>> {
    let text = this.#first;
    this.#first = '';
    try {
      if (this.#failure !== null) throw this.#failure.error;
      while (text === '') {
        if (this.#encoder.isOver) return await this.return();
        for (const event of this.#events) {
          const frames = this.#encoder.encode(event);
          text += typeof frames === 'string' ? frames : await frames;
          // What is left goes on with the next text: an array's iterator stays where it is.
          if (this.#encoder.isOver || text.length >= TOGETHER_LENGTH) break;
        }
        if (text === '' && !(await this.#more())) return await this.return();
      }
    } catch (error) {
      this.#failure = { error };
      if (text === '') {
        await this.return();
        throw error;
      }
    }
    return { done: false, value: text };
  }

  /** Closes the source, also where that was not asked for anything yet. */
  async return(): Promise<IteratorResult<string, void>> {
    await this.#source.return?.();
    return { done: true, value: undefined };
  }

  /** Waits for the next batch. @returns false when there is none */
  async #more(): Promise<boolean> {
    // V8's iterators hold their arrays even when they are through.
    this.#events = [].values();
    const next = this.#encoder.isOver ? null : await this.#source.next();
    if (next === null || next.done === true) return false;
    this.#events = next.value.values();
    return true;
  }
}
