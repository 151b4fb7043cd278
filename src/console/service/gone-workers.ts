/** Workers that were there and are not any more, and those that have taken their places. */

/** How long those are told of that nobody has replaced, in seconds. */
const TOLD_S = 300;
/** How long the others are told of, once they are replaced. */
const REPLACED_S = 60;
/** A worker is missed only when it has said nothing for a while; one that began meanwhile takes its place as well. */
const MISSED_AFTER_S = 30;

interface LiveWorker {
  readonly name: string;
  /** When it began, in unix seconds. */
  readonly since: number | null;
}

export interface GoneWorker {
  readonly name: string;
  /** The worker that has begun since; null while there is none. */
  readonly replacedBy: string | null;
}

interface Gone {
  readonly at: number;
  readonly replacement: { readonly name: string; readonly at: number } | null;
}

export class GoneWorkers {
  #known: ReadonlySet<string> = new Set();
  readonly #gone = new Map<string, Gone>();

  /** @param at when these were alive, in unix seconds */
  see(workers: readonly LiveWorker[], at: number): void {
    const names = new Set(workers.map(({ name }) => name));
    for (const name of this.#known) if (!names.has(name)) this.#gone.set(name, { at, replacement: null });
    for (const [name, gone] of this.#gone) {
      const { replacement } = gone;
      const isOld = at - gone.at > TOLD_S || (replacement !== null && at - replacement.at > REPLACED_S);
      if (isOld || names.has(name)) this.#gone.delete(name);
      else if (replacement === null) this.#replace(name, gone, workers, at);
    }
    this.#known = names;
  }

  get all(): readonly GoneWorker[] {
    return [...this.#gone].map(([name, { replacement }]) => ({
      name,
      replacedBy: replacement?.name ?? null,
    }));
  }

  #replace(name: string, gone: Gone, workers: readonly LiveWorker[], at: number): void {
    const taken = new Set([...this.#gone.values()].map(({ replacement }) => replacement?.name));
    const newcomer = workers.find(
      (worker) => (worker.since ?? 0) >= gone.at - MISSED_AFTER_S && !taken.has(worker.name),
    );
    if (newcomer !== undefined) this.#gone.set(name, { ...gone, replacement: { name: newcomer.name, at } });
  }
}
