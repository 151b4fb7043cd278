/** Readers who are at the end of a conversation stay there as it grows; those who read further up are left alone. */

/** How far from the end counts as the end, in pixels. */
const NEAR = 80;

export class EndKeeper {
  #isAtEnd = true;
  readonly #aborter = new AbortController();
  readonly #observer = new ResizeObserver(() => {
    if (this.#isAtEnd) toEnd();
  });

  constructor() {
    addEventListener('scroll', () => (this.#isAtEnd = isAtEnd()), {
      signal: this.#aborter.signal,
      passive: true,
    });
  }

  /** Takes what grows; as a `ref` of its template. */
  readonly watch = (element?: Element): void => {
    this.#observer.disconnect();
    if (element !== undefined) this.#observer.observe(element);
  };

  /** Goes to the end, and stays there. */
  go(): void {
    this.#isAtEnd = true;
    toEnd();
  }

  /** What grows now does so above what the reader sees. */
  leave(): void {
    this.#isAtEnd = false;
  }

  close(): void {
    this.#aborter.abort();
    this.#observer.disconnect();
  }
}

function isAtEnd(): boolean {
  return document.documentElement.scrollHeight - innerHeight - scrollY < NEAR;
}

function toEnd(): void {
  scrollTo({ top: document.documentElement.scrollHeight, behavior: 'instant' });
}
