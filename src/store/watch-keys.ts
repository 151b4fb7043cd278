/** The keys and channels of those who watch the service. */

export class WatchKeys {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** Sharded channel: every transition of a run, of all projects. Said by {@link RunNews}. */
  get news(): string {
    return `${this.#prefix}:news`;
  }

  /** Hash with expiry: what API processes last said of themselves, as JSON. Written by {@link ApiReports}. */
  get apis(): string {
    return `${this.#prefix}:apis`;
  }

  /** Channel: what processes say to themselves, to see how soon they hear it. */
  get echoes(): string {
    return `${this.#prefix}:echoes`;
  }
}
