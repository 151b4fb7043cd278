/**
 * How long one completion of an upstream is waited for. Owns the clock and its one timer. The clock runs only while somebody
 * waits for the upstream: a reader of ours that is slow is not the upstream's fault.
 *
 *   P1  a byte is a sign of life, and no more: a server that only sends those is given up, too
 *   P2  a thought is progress, but not for ever
 *   P3  per byte nothing is set or cleared: the timer that runs is looked at when it is over
 *   P4  a process that stood still finds its time over first, and only then what came meanwhile: that is read before
 *       anybody is given up
 */

/** All in milliseconds of waiting. */
export interface Limits {
  /** Without a byte. */
  readonly idleMs: number;
  /** In which bytes come, but neither a word nor a call nor a thought: comments, blanks, empty chunks. */
  readonly stallMs: number;
  /** In which thoughts come, but neither a word nor a call. */
  readonly thinkMs: number;
  /** For the whole completion. */
  readonly totalMs: number;
}

/** The limit that is over. */
export type Overrun = keyof Limits;

/** Time to read what has arrived before a silence is believed. */
const GRACE_MS = 250;

export class Patience {
  readonly #limits: Limits;
  readonly #giveUp: () => void;
  #totalMs: number;
  /** What was waited for before the present wait. */
  #waitedMs = 0;
  /** When the present wait began; null when nobody waits. */
  #sinceMs: number | null = null;
  /** When the upstream last gave signs of life, of thinking, and an answer; on the clock of waiting. */
  #byteMs = 0;
  #thoughtMs = 0;
  #wordMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #timerDueMs = Infinity;
  #grace: NodeJS.Timeout | undefined;
  /** When a limit was first found to be over; null while none is. */
  #overdueMs: number | null = null;
  #over: Overrun | null = null;

  /** @param giveUp is called once, when a limit is over, and must make the present wait reject */
  constructor(limits: Limits, giveUp: () => void) {
    this.#limits = limits;
    this.#giveUp = giveUp;
    this.#totalMs = limits.totalMs;
  }

  /** The limit that ended the waiting; null as long as none did. */
  get over(): Overrun | null {
    return this.#over;
  }

  /** Waits for the upstream's next bytes. */
  async wait<T>(bytes: () => Promise<T>): Promise<T> {
    this.#sinceMs = performance.now();
    // Bytes that come without a pause leave no moment for a timer, so a limit that is over is looked at here as well.
    if (this.#overrun() === null) {
      this.#overdueMs = null;
      this.#watch(this.#sinceMs);
    } else this.#endSoon(this.#sinceMs);
    try {
      const found = await bytes();
      this.#byteMs = this.#clockMs();
      return found;
    } finally {
      this.#waitedMs = this.#clockMs();
      this.#sinceMs = null;
      clearTimeout(this.#grace);
    }
  }

  /** What came was a thought. */
  thought(): void {
    this.#thoughtMs = this.#byteMs;
  }

  /** What came belongs to the answer: a word, or a piece of a call. */
  word(): void {
    this.#wordMs = this.#byteMs;
    this.#thoughtMs = this.#byteMs;
  }

  /** The upstream has said that it is done: what follows is waited for this long altogether. */
  hurry(ms: number): void {
    this.#totalMs = Math.min(this.#totalMs, this.#clockMs() + ms);
  }

  stop(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#grace);
  }

  #clockMs(): number {
    return this.#sinceMs === null ? this.#waitedMs : this.#waitedMs + performance.now() - this.#sinceMs;
  }

  #overrun(): Overrun | null {
    const nowMs = this.#clockMs();
    if (nowMs >= this.#totalMs) return 'totalMs';
    if (nowMs - this.#byteMs >= this.#limits.idleMs) return 'idleMs';
    // Up to the last byte only: a silence is the idle limit's business.
    if (this.#byteMs - this.#thoughtMs >= this.#limits.stallMs) return 'stallMs';
    return this.#byteMs - this.#wordMs >= this.#limits.thinkMs ? 'thinkMs' : null;
  }

  /** P3: looks when the limits that pass without a byte are over. A timer that runs until later is set anew. */
  #watch(nowMs: number): void {
    // A limit may pass while one looks; Node warns of timers in the past.
    const leftMs = Math.max(0, Math.min(this.#totalMs, this.#byteMs + this.#limits.idleMs) - this.#clockMs());
    const dueMs = nowMs + leftMs;
    if (this.#timerDueMs <= dueMs) return;
    clearTimeout(this.#timer);
    this.#timerDueMs = dueMs;
    this.#timer = setTimeout(() => this.#look(), leftMs);
  }

  #look(): void {
    this.#timerDueMs = Infinity;
    if (this.#sinceMs === null) return;
    if (this.#overrun() === null) this.#watch(performance.now());
    else this.#endSoon(performance.now());
  }

  /** P4 */
  #endSoon(nowMs: number): void {
    this.#overdueMs ??= nowMs;
    const leftMs = this.#overdueMs + GRACE_MS - nowMs;
    if (leftMs <= 0) return this.#end();
    clearTimeout(this.#grace);
    this.#grace = setTimeout(() => this.#end(), leftMs);
  }

  #end(): void {
    if (this.#over !== null) return;
    this.#over = this.#overrun() ?? 'totalMs';
    this.#giveUp();
  }
}
