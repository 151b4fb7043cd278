/**
 * Notices that this process has gone deaf: a job waits, there is room for it, and it is not taken. Libraries have lost
 * their blocking read that way, without an error. Owns one timer; never touches jobs itself.
 */
import type { Logger } from '../log.ts';

/** How long a job may be the next one to be taken, while there is room for it. */
const LOOK_EVERY_MS = 5_000;
/** Workers that were started together do not look together. */
const JITTER = 0.2;
/** Where a rebuild does not help, the fault is elsewhere, and another one soon would not help either. */
const REBUILD_EVERY_MS = 60_000;

export interface Watched {
  /** The id of the job that is to be taken next. */
  readonly next: () => Promise<string | null>;
  readonly hasRoom: () => boolean;
  readonly rebuild: () => void;
  readonly log: Logger;
  readonly lookEveryMs?: number;
}

export class QueueWatch {
  /** How often it had the consumer rebuilt. */
  rebuilds = 0;
  readonly #watched: Watched;
  /** The job that was the next one at the last look, when there was room for it. */
  #passedOver: string | null = null;
  #rebuiltMs = -Infinity;
  #timer: NodeJS.Timeout | undefined;

  constructor(watched: Watched) {
    this.#watched = watched;
    this.#schedule();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #schedule(): void {
    const { lookEveryMs = LOOK_EVERY_MS, log } = this.#watched;
    const timer = setTimeout(
      () => {
        this.#look()
          // Without Redis no job is taken, and the connections report that themselves.
          .catch((err: unknown) => log.debug({ err }, 'could not look at the queue'))
          .finally(() => {
            if (this.#timer === timer) this.#schedule();
          });
      },
      lookEveryMs * (1 + JITTER * Math.random()),
    );
    this.#timer = timer;
  }

  /** The same job at two looks, with room at both, has waited for as long as lies between them: no clock is compared. */
  async #look(): Promise<void> {
    const { next, hasRoom, rebuild, log } = this.#watched;
    const before = this.#passedOver;
    this.#passedOver = null;
    if (!hasRoom()) return;
    const id = await next();
    if (id === null || !hasRoom()) return;
    this.#passedOver = id;
    if (id !== before || performance.now() - this.#rebuiltMs < REBUILD_EVERY_MS) return;
    this.#rebuiltMs = performance.now();
    this.rebuilds += 1;
    log.warn({ job: id, rebuilds: this.rebuilds }, 'a job waits although there is room; taking jobs anew');
    rebuild();
  }
}
