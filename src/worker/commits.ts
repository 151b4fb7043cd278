/**
 * Group commit of one run. Fragments gather until the next beat of the process (beat.ts), or until the commit under way
 * is through, so a slow Redis makes bigger batches, not a queue. Any other event leaves at once with all that has
 * gathered before it, and the caller waits until it is stored.
 */
import { isDelta, pushMerged, type RunEvent } from '../runs/event.ts';
import type { RunState } from '../runs/run.ts';
import type { ThreadItem } from '../runs/thread.ts';
import type { CommittedRun, StoredRun } from '../store/runs.ts';
import type { Beat } from './beat.ts';

/** Writes events to the run that the worker holds; {@link RunStore.commit}. */
type CommitBatch = (held: StoredRun, events: readonly RunEvent[]) => Promise<CommittedRun>;

/** How many fragments may wait for a commit; beyond this the model has to wait as well. */
const MAX_GATHERED = 256;

export interface CommitsOptions {
  readonly commit: CommitBatch;
  readonly beat: Pick<Beat, 'join'>;
  /** Called once, as soon as a commit in the background fails; the next push throws the same error. */
  readonly onFailure: (error: unknown) => void;
}

export class Commits {
  #stored: StoredRun;
  readonly #options: CommitsOptions;
  #gathered: RunEvent[] = [];
  /** How many events have gathered, counted before they are merged, because one merged text could grow without end. */
  #waiting = 0;
  /** Whether the next beat will flush. */
  #hasJoined = false;
  #inFlight: Promise<void> | null = null;
  #failure: { readonly error: unknown } | null = null;
  #joined: readonly ThreadItem[] = [];

  constructor(stored: StoredRun, options: CommitsOptions) {
    this.#stored = stored;
    this.#options = options;
  }

  /** Whether fragments may be added without waiting. */
  get isOpen(): boolean {
    return this.#failure === null && this.#waiting < MAX_GATHERED;
  }

  /** Takes fragments. Only while it is open. */
  add(events: readonly RunEvent[]): void {
    this.#gather(events);
    this.#join();
  }

  /** Takes a batch. Resolves at once for fragments, else when everything so far is stored. */
  async push(events: readonly RunEvent[]): Promise<void> {
    this.#rethrow();
    this.#gather(events);
    if (!events.every(isDelta) || this.#waiting > MAX_GATHERED) await this.settled();
    else this.#join();
  }

  #gather(events: readonly RunEvent[]): void {
    for (const event of events) pushMerged(this.#gathered, event);
    this.#waiting += events.length;
  }

  /** Resolves when everything pushed is stored. It leaves now, not with the next beat. */
  async settled(): Promise<void> {
    this.#flush();
    while (this.#inFlight !== null) {
      await this.#inFlight;
      this.#flush();
    }
    this.#rethrow();
  }

  /** What has joined the thread in the commits since this was asked last, and the run as it is now; null where nothing has. */
  joined(): { readonly items: readonly ThreadItem[]; readonly state: RunState } | null {
    const items = this.#joined;
    this.#joined = [];
    return items.length === 0 ? null : { items, state: this.#stored.state };
  }

  #join(): void {
    if (this.#hasJoined || this.#inFlight !== null || this.#gathered.length === 0) return;
    this.#hasJoined = true;
    this.#options.beat.join(() => {
      this.#hasJoined = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#inFlight !== null || this.#failure !== null || this.#gathered.length === 0) return;
    const events = this.#gathered;
    this.#gathered = [];
    this.#waiting = 0;
    this.#inFlight = this.#send(events);
  }

  async #send(events: readonly RunEvent[]): Promise<void> {
    try {
      const { joined = [], ...stored } = await this.#options.commit(this.#stored, events);
      this.#stored = stored;
      if (joined.length > 0) this.#joined = [...this.#joined, ...joined];
      this.#inFlight = null;
      this.#join();
    } catch (error) {
      this.#inFlight = null;
      this.#failure = { error };
      this.#options.onFailure(error);
    }
  }

  #rethrow(): void {
    if (this.#failure !== null) throw this.#failure.error;
  }
}
