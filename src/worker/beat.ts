/**
 * The beat on which a worker process commits fragments. What the runs of the process have gathered leaves together, in
 * one write to Redis that wakes Redis and its readers once, not once for every token. Owns one timer, which runs only
 * while something waits.
 */

/** A token waits no longer than this. Shorter beats cost more processor time; longer ones are felt by readers. */
const EVERY_MS = 5;

export class Beat {
  readonly #everyMs: number;
  #lastMs = -Infinity;
  #waiting: (() => void)[] = [];

  constructor(everyMs = EVERY_MS) {
    this.#everyMs = everyMs;
  }

  /** Calls `flush` with the next beat: at once if the last one is long enough ago. It must not throw. */
  join(flush: () => void): void {
    this.#waiting.push(flush);
    if (this.#waiting.length > 1) return;
    const leftMs = this.#lastMs + this.#everyMs - performance.now();
    if (leftMs > 0) setTimeout(() => this.#strike(), leftMs);
    else this.#strike();
  }

  #strike(): void {
    this.#lastMs = performance.now();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const flush of waiting) flush();
  }
}
