/** Workers that were there and are not any more. */

/** How long they are told of, in milliseconds. */
const TOLD_MS = 300_000;

export class GoneWorkers {
  #known: ReadonlySet<string> = new Set();
  /** When each was missed. */
  readonly #gone = new Map<string, number>();

  see(workers: readonly { readonly name: string }[]): void {
    const now = Date.now();
    const names = new Set(workers.map(({ name }) => name));
    for (const name of this.#known) if (!names.has(name)) this.#gone.set(name, now);
    for (const [name, at] of this.#gone) if (names.has(name) || now - at > TOLD_MS) this.#gone.delete(name);
    this.#known = names;
  }

  get names(): readonly string[] {
    return [...this.#gone.keys()];
  }
}
