/** The places for kernels in one process; who finds none waits for one. */
import { NoSandbox } from './sandbox.ts';

/** How long one waits: as long as a call of each of the others may take. */
const WAIT_MS = 60_000;
const BUSY = 'All code interpreters of this server are busy. Try again later.';

export class Places {
  #free: number;
  #isClosed = false;
  readonly #waiting = new Set<PromiseWithResolvers<void>>();

  constructor(count: number) {
    this.#free = count;
  }

  /**
   * Takes a place, in the order of asking. Returns how to leave it.
   * @throws {NoSandbox} when there is none in time; the signal's reason when aborted.
   */
  async take(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#isClosed) throw closing();
    if (this.#free > 0) this.#free -= 1;
    else await this.#turn(signal);
    let hasLeft = false;
    return () => {
      if (hasLeft) return;
      hasLeft = true;
      this.#leave();
    };
  }

  /** Nobody gets a place any more. */
  close(): void {
    this.#isClosed = true;
    for (const turn of this.#waiting) turn.reject(closing());
    this.#waiting.clear();
  }

  async #turn(signal: AbortSignal): Promise<void> {
    const turn = Promise.withResolvers<void>();
    const giveUp = (reason: unknown): void => {
      if (this.#waiting.delete(turn)) turn.reject(reason);
    };
    const onAbort = (): void => giveUp(signal.reason);
    const timer = setTimeout(() => giveUp(new NoSandbox(BUSY)), WAIT_MS);
    signal.addEventListener('abort', onAbort, { once: true });
    this.#waiting.add(turn);
    try {
      await turn.promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    }
  }

  #leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free += 1;
      return;
    }
    this.#waiting.delete(next);
    next.resolve();
  }
}

const closing = (): Error => new Error('the code interpreter is being closed');
