/**
 * Frames on their way to one reader: bounded, and nobody waits for it. Once too much waits, all of it is dropped, and the reader
 * is told once that it has missed something. Of snapshots only the newest waits, so they crowd out nothing.
 */

/** A few hundred runs. */
const MAX_LENGTH = 256 * 1024;

/** What may wait before more is dropped, in bytes. One frame goes beyond it, so that none is too large by itself. */
export const MAILBOX_BYTES = MAX_LENGTH;

export class Mailbox implements AsyncIterableIterator<string, void> {
  readonly #lagged: string;
  readonly #onEnd: () => void;
  #frames: string[] = [];
  #length = 0;
  #snapshot = '';
  #hasLagged = false;
  #isOver = false;
  #waits: PromiseWithResolvers<void> | null = null;

  /** @param lagged the frame that tells of a loss @param onEnd called when the reader has gone, once */
  constructor(lagged: string, onEnd: () => void) {
    this.#lagged = lagged;
    this.#onEnd = onEnd;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  put(frame: string): void {
    if (this.#isOver) return;
    if (this.#length >= MAX_LENGTH) this.lag();
    this.#frames.push(frame);
    this.#length += frame.length;
    this.#wake();
  }

  /** Takes a frame that says how things are, in place of one that still waits. It comes after the other frames. */
  putSnapshot(frame: string): void {
    if (this.#isOver) return;
    this.#snapshot = frame;
    this.#wake();
  }

  /** Tells the reader that something was missed. What waits is not told any more, but for the snapshot. */
  lag(): void {
    this.#frames = [];
    this.#length = 0;
    this.#hasLagged = true;
    this.#wake();
  }

  async next(): Promise<IteratorResult<string, void>> {
    while (!this.#isOver) {
      const text = (this.#hasLagged ? this.#lagged : '') + this.#frames.join('') + this.#snapshot;
      this.#frames = [];
      this.#snapshot = '';
      this.#length = 0;
      this.#hasLagged = false;
      if (text !== '') return { done: false, value: text };
      this.#waits = Promise.withResolvers();
      await this.#waits.promise;
    }
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<string, void>> {
    this.end();
    return { done: true, value: undefined };
  }

  /** Ends the stream. */
  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#frames = [];
    this.#snapshot = '';
    this.#wake();
    this.#onEnd();
  }

  #wake(): void {
    this.#waits?.resolve();
    this.#waits = null;
  }
}
