/** The sound of one sentence on its way: fetched from now on, but only so much of it ahead of its reader. */

/** What is held of a sentence that has to wait: some four seconds. Beyond it the speech server has to wait, too. */
export const AHEAD_BYTES = 192 * 1024;

export class Sound {
  readonly #chunks: Uint8Array[] = [];
  readonly #stopping: AbortController;
  #bytes = 0;
  #isOver = false;
  #failure: { readonly error: unknown } | null = null;
  /** Resolves when something has come or was taken. */
  #change = Promise.withResolvers<void>();

  /**
   * Begins to fetch.
   * @param fetching makes the chunks; the signal is aborted when they are not wanted any more
   */
  constructor(fetching: (signal: AbortSignal) => AsyncIterable<Uint8Array>, gone: AbortSignal) {
    this.#stopping = new AbortController();
    void this.#fetch(fetching(AbortSignal.any([gone, this.#stopping.signal])));
  }

  /** How many bytes wait for the reader. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The next chunk; null at the end. @throws what fetching has thrown, after all that came before. */
  async next(): Promise<Uint8Array | null> {
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) {
        this.#bytes -= chunk.byteLength;
        this.#changed();
        return chunk;
      }
      if (this.#failure !== null) throw this.#failure.error;
      if (this.#isOver) return null;
      await this.#change.promise;
    }
  }

  /** Closes the connection. */
  stop(): void {
    this.#stopping.abort();
    this.#isOver = true;
    this.#changed();
  }

  async #fetch(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    try {
      for await (const chunk of chunks) {
        this.#chunks.push(chunk);
        this.#bytes += chunk.byteLength;
        this.#changed();
        while (this.#bytes > AHEAD_BYTES && !this.#isOver) await this.#change.promise;
        if (this.#isOver) return;
      }
    } catch (error) {
      // Whoever stopped it knows why there is no more.
      if (!this.#stopping.signal.aborted) this.#failure = { error };
    } finally {
      this.#isOver = true;
      this.#changed();
    }
  }

  #changed(): void {
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }
}
