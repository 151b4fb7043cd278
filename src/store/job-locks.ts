/**
 * Renews the locks of the jobs that this process has. BullMQ's own renewal knows a job by its id alone: when a job comes a second
 * time to the process that still does it, the end of the first delivery ends the renewal for the second one, which is then
 * lost, too. Here a delivery is known by its token. Owns one timer, which no clock can stop.
 */

/** Late by three quarters of a lock, a renewal still comes in time. */
const RENEWALS_PER_LOCK = 4;

export interface JobLocksOptions {
  readonly lockMs: number;
  /** Renews these locks, each with its token. @returns the ids of those that are lost. */
  readonly extend: (jobIds: string[], tokens: string[]) => Promise<readonly string[]>;
  /** Hears how many locks were found to be lost. */
  readonly onLost: (count: number) => void;
  readonly onError: (error: Error) => void;
}

export class JobLocks {
  readonly #options: JobLocksOptions;
  /** The token of the last delivery of each job. */
  readonly #tokens = new Map<string, string>();
  readonly #timer: NodeJS.Timeout;
  #isRenewing = false;

  constructor(options: JobLocksOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.#renew(), options.lockMs / RENEWALS_PER_LOCK);
  }

  /** A job was delivered. What was held of it before is lost, or it would not have come again. */
  hold(jobId: string, token: string): void {
    this.#tokens.set(jobId, token);
  }

  /** The delivery is over. @returns whether its lock was held until now, as far as is known here. */
  release(jobId: string, token: string): boolean {
    if (this.#tokens.get(jobId) !== token) return false;
    return this.#tokens.delete(jobId);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #renew(): Promise<void> {
    // A Redis that hangs is asked once.
    if (this.#isRenewing || this.#tokens.size === 0) return;
    this.#isRenewing = true;
    const asked = new Map(this.#tokens);
    try {
      const lost = await this.#options.extend([...asked.keys()], [...asked.values()]);
      // A lost lock cannot be had back: asking again would only fail again.
      for (const id of lost) this.release(id, asked.get(id) ?? '');
      if (lost.length > 0) this.#options.onLost(lost.length);
    } catch (error) {
      this.#options.onError(error instanceof Error ? error : new Error(String(error)));
    } finally {
      this.#isRenewing = false;
    }
  }
}
