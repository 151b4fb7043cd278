/** Hands on what is said by callbacks to one reader, in order. */
export class Outlet<T> implements AsyncIterable<T> {
  readonly #waiting: T[] = [];
  #arrived = Promise.withResolvers<void>();
  #ending: { readonly error: unknown } | 'open' | 'ended' = 'open';

  say(value: T): void {
    this.#waiting.push(value);
    this.#arrived.resolve();
  }

  /** Nothing more comes. */
  end(): void {
    this.#ending = 'ended';
    this.#arrived.resolve();
  }

  /** The reader gets what was said until now, and then the error. */
  fail(error: unknown): void {
    this.#ending = { error };
    this.#arrived.resolve();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void> {
    for (;;) {
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) yield next;
      if (this.#ending === 'ended') return;
      if (this.#ending !== 'open') throw this.#ending.error;
      await this.#arrived.promise;
      this.#arrived = Promise.withResolvers<void>();
    }
  }
}
