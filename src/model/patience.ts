/**
 * How long to wait for one completion of an upstream. Owns the clock and its one timer. The clock runs only while we
 * wait for the upstream, because a slow reader on our side is not the upstream's fault.
 *
 *   P1  a byte is a sign of life, and no more: a server that sends nothing else is given up as well
 *   P2  a thought is progress, but only for so long
 *   P3  bytes set and clear no timers: the running timer checks the limits when it fires
 *   P4  after a pause of the whole process, the timer fires before the bytes that arrived meanwhile are read: those are
 *       read before the upstream is given up
 */

/** All in milliseconds of waiting. */
export interface Limits {
  /** Without a byte. */
  readonly idleMs: number;
  /** With bytes, but without a word, a call or a thought: only comments, blanks, empty chunks. */
  readonly stallMs: number;
  /** With thoughts, but without a word or a call. */
  readonly thinkMs: number;
  /** For the whole completion. */
  readonly totalMs: number;
}

/** The limit that was exceeded. */
export type Overrun = keyof Limits;

/** Time to read what has arrived, before a silence counts as one. */
export const GRACE_MS = 250;

export class Patience {
  readonly #limits: Limits;
  readonly #giveUp: () => void;
  #totalMs: number;
  /** The time waited before the present wait. */
  #waitedMs = 0;
  /** When the present wait began; null between waits. */
  #sinceMs: number | null = null;
  /** When the upstream last sent a byte, a thought, and a part of the answer; on the clock of waiting. */
  #byteMs = 0;
  #thoughtMs = 0;
  #wordMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #timerDueMs = Infinity;
  #grace: NodeJS.Timeout | undefined;
  /** When a limit was first found exceeded; null while none is. */
  #overdueMs: number | null = null;
  #over: Overrun | null = null;

  /** @param giveUp called once, when a limit is exceeded; must make the present wait reject */
  constructor(limits: Limits, giveUp: () => void) {
    this.#limits = limits;
    this.#giveUp = giveUp;
    this.#totalMs = limits.totalMs;
  }

  /** The limit that ended the waiting; null as long as none has. */
  get over(): Overrun | null {
    return this.#over;
  }

  /** Waits for the upstream's next bytes. */
  async wait<T>(bytes: () => Promise<T>): Promise<T> {
    this.#begin();
    try {
      const found = await bytes();
      this.#byteMs = this.#clockMs();
      return found;
    } finally {
      this.#rest();
    }
  }

  /** Does something with bytes that have come during a wait, which then goes on. The clock stands meanwhile. */
  between<T>(work: () => T): T {
    this.#rest();
    this.#byteMs = this.#waitedMs;
    try {
      return work();
    } finally {
      this.#begin();
    }
  }

  #begin(): void {
    this.#sinceMs = performance.now();
    // Bytes that come without a pause leave no moment for a timer, so the limits are checked here as well.
    if (this.#overrun() === null) {
      this.#overdueMs = null;
      this.#watch(this.#sinceMs);
    } else this.#endSoon(this.#sinceMs);
  }

  #rest(): void {
    this.#waitedMs = this.#clockMs();
    this.#sinceMs = null;
    clearTimeout(this.#grace);
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

  /** The upstream has said that it is done: waits this long in all for what still follows. */
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
    // Measured up to the last byte only: the idle limit deals with silence.
    if (this.#byteMs - this.#thoughtMs >= this.#limits.stallMs) return 'stallMs';
    return this.#byteMs - this.#wordMs >= this.#limits.thinkMs ? 'thinkMs' : null;
  }

  /** P3: looks when the idle or the total limit will be exceeded if no byte comes. A timer set for later is replaced. */
  #watch(nowMs: number): void {
    // A limit may be exceeded between the two readings of the clock, and Node warns of timers in the past.
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
