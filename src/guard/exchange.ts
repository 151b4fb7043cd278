/**
 * One exchange: from the first connection to the last byte of the body, redirects included. Owns its timer and its
 * signal; the reason for stopping it is the error to throw.
 */
import { timedOut } from './refusal.ts';

export class GuardedExchange {
  readonly #abort = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #caller: AbortSignal | null;
  readonly #onCaller = (): void => this.stop(this.#caller?.reason);

  /** @param caller ends the exchange when it is aborted, with the signal's reason */
  constructor(url: URL, timeoutMs: number, caller: AbortSignal | null) {
    this.#timer = setTimeout(() => this.stop(timedOut(url, timeoutMs)), timeoutMs);
    // An answer that is never read must not keep the process alive.
    this.#timer.unref();
    this.#caller = caller;
    if (caller?.aborted === true) this.#onCaller();
    else caller?.addEventListener('abort', this.#onCaller, { once: true });
  }

  /** Aborted when the exchange is stopped; its reason is the error to throw. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Nothing more will come: releases the timer and the listener. */
  end(): void {
    clearTimeout(this.#timer);
    this.#caller?.removeEventListener('abort', this.#onCaller);
  }

  /** Ends the exchange early. Only the first reason counts. */
  stop(reason: unknown): void {
    this.end();
    this.#abort.abort(reason);
  }

  /** The result of `work`; rejects as soon as the exchange is stopped, even if the work does not notice. */
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
