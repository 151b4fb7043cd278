/**
 * Group commit: while one commit is on its way, arriving fragments gather and form the next one, so a slow Redis makes
 * bigger batches, not a queue. For any other event, the caller waits until it is stored.
 */
import { isDelta, pushMerged, type RunEvent } from '../runs/event.ts';
import type { StoredRun } from '../store/runs.ts';

/** Writes events to the run that the worker holds; {@link RunStore.commit}. */
type CommitBatch = (held: StoredRun, events: readonly RunEvent[]) => Promise<StoredRun>;

/** How many fragments may wait for a commit; beyond this the model has to wait as well. */
const MAX_GATHERED = 256;

export class Commits {
  #stored: StoredRun;
  readonly #commit: CommitBatch;
  readonly #onFailure: (error: unknown) => void;
  #gathered: RunEvent[] = [];
  /** How many events have gathered, counted before they are merged, because one merged text could grow without end. */
  #waiting = 0;
  #inFlight: Promise<void> | null = null;
  #failure: { readonly error: unknown } | null = null;

  /** @param onFailure called once, as soon as a commit in the background fails; the next push throws the same error. */
  constructor(stored: StoredRun, commit: CommitBatch, onFailure: (error: unknown) => void) {
    this.#stored = stored;
    this.#commit = commit;
    this.#onFailure = onFailure;
  }

  /** Takes a batch. Resolves at once for fragments, else when everything so far is stored. */
  async push(events: readonly RunEvent[]): Promise<void> {
    this.#rethrow();
    if (events.length === 0) return;
    for (const event of events) pushMerged(this.#gathered, event);
    this.#waiting += events.length;
    this.#inFlight ??= this.#flush();
    if (!events.every(isDelta) || this.#waiting > MAX_GATHERED) await this.settled();
  }

  /** Resolves when everything pushed is stored. */
  async settled(): Promise<void> {
    while (this.#inFlight !== null) await this.#inFlight;
    this.#rethrow();
  }

  async #flush(): Promise<void> {
    try {
      while (this.#gathered.length > 0 && this.#failure === null) {
        const events = this.#gathered;
        this.#gathered = [];
        this.#waiting = 0;
        this.#stored = await this.#commit(this.#stored, events);
      }
    } catch (error) {
      this.#failure = { error };
      this.#onFailure(error);
    } finally {
      this.#inFlight = null;
    }
  }

  #rethrow(): void {
    if (this.#failure !== null) throw this.#failure.error;
  }
}
