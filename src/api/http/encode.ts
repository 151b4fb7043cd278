/** From events to the text of a stream: what comes together is written together. */

/** Makes the frames of one stream. It is given every event once and in order, and may remember what came before. */
export interface Encoder<T> {
  /** The frames of the next event, whole; empty where it has nothing to show. */
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
export function encoded<T>(
  batches: AsyncIterable<readonly T[]>,
  encoder: Encoder<T>,
  first = '',
): AsyncIterableIterator<string, void> {
  return new Encoded(batches[Symbol.asyncIterator](), encoder, first);
}

/** No generator: that would hold its last text, which may show a whole run, for as long as nothing follows. */
class Encoded<T> implements AsyncIterableIterator<string, void> {
  readonly #source: AsyncIterator<readonly T[]>;
  readonly #encoder: Encoder<T>;
  #first: string;
  /** What is left of the batch that came last. */
  #events: IterableIterator<T> = [].values();
  /** Why no frame could be made, told once the frames before it have been given. */
  #failure: { readonly error: unknown } | null = null;

  constructor(source: AsyncIterator<readonly T[]>, encoder: Encoder<T>, first: string) {
    this.#source = source;
    this.#encoder = encoder;
    this.#first = first;
  }

  [Symbol.asyncIterator](): this {
    return this;
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
