/**
 * How long to wait for an upstream that is passed bytes and passes bytes. Owns two timers: one for its silence, which counts
 * only while it is waited for, and one for everything.
 */
import { GRACE_MS, type Limits, type Overrun } from './patience.ts';

export class Waiting {
  readonly #giveUp: () => void;
  readonly #silence: NodeJS.Timeout;
  readonly #total: NodeJS.Timeout;
  #grace: NodeJS.Timeout | undefined;
  #isWaiting = false;
  #isStopped = false;
  #over: Overrun | null = null;

  /** @param giveUp called once, when a limit is exceeded */
  constructor({ idleMs, totalMs }: Pick<Limits, 'idleMs' | 'totalMs'>, giveUp: () => void) {
    this.#giveUp = giveUp;
    this.#silence = setTimeout(() => this.#look(), idleMs);
    this.#total = setTimeout(() => this.#end('totalMs'), totalMs);
  }

  /** The limit that was exceeded; null as long as none was. */
  get over(): Overrun | null {
    return this.#over;
  }

  /** The upstream is waited for from now on. */
  resume(): void {
    if (this.#isStopped) return;
    this.#isWaiting = true;
    this.#silence.refresh();
  }

  /** It has taken or sent something. */
  pause(): void {
    this.#isWaiting = false;
    clearTimeout(this.#grace);
  }

  stop(): void {
    this.#isStopped = true;
    this.pause();
    clearTimeout(this.#silence);
    clearTimeout(this.#total);
  }

  /** After a pause of the whole process, timers fire before the bytes that have come meanwhile are read. */
  #look(): void {
    if (this.#isWaiting) this.#grace = setTimeout(() => this.#end('idleMs'), GRACE_MS);
  }

  #end(limit: Overrun): void {
    if (this.#over !== null) return;
    this.#over = limit;
    this.stop();
    this.#giveUp();
  }
}
