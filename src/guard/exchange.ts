/**
 * One exchange: from the first connection to the last byte of the body, redirects included. Owns its clock and its signal;
 * whatever stops it says what is to be thrown.
 */
import { timedOut } from './refusal.ts';

export class GuardedExchange {
  readonly #abort = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #caller: AbortSignal | null;
  readonly #onCaller = (): void => this.stop(this.#caller?.reason);

  /** @param caller ends the exchange when it is aborted, with its own reason */
  constructor(url: URL, timeoutMs: number, caller: AbortSignal | null) {
    this.#timer = setTimeout(() => this.stop(timedOut(url, timeoutMs)), timeoutMs);
    // An answer that nobody reads does not keep a process that is done.
    this.#timer.unref();
    this.#caller = caller;
    if (caller?.aborted === true) this.#onCaller();
    else caller?.addEventListener('abort', this.#onCaller, { once: true });
  }

  /** Aborted when the exchange was stopped; its reason is what to throw. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Nothing more will come. */
  end(): void {
    clearTimeout(this.#timer);
    this.#caller?.removeEventListener('abort', this.#onCaller);
  }

  /** Ends it before its end. Only the first reason counts. */
  stop(reason: unknown): void {
    this.end();
    this.#abort.abort(reason);
  }

  /** What `work` gives, or a rejection as soon as the exchange is stopped, even if the work does not hear of it. */
  async within<T>(work: Promise<T>): Promise<T> {
    const stopped = Promise.withResolvers<never>();
    const onStop = (): void => stopped.reject(this.signal.reason);
    if (this.signal.aborted) onStop();
    else this.signal.addEventListener('abort', onStop, { once: true });
    try {
      return await Promise.race([work, stopped.promise]);
    } finally {
      this.signal.removeEventListener('abort', onStop);
    }
  }
}
