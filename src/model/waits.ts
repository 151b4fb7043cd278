/**
 * How long to wait before the next try of one completion, or that there is none. An upstream that is busy or broken is
 * tried a few times more. One that is away, or loads its model, is waited for as long as the run may wait. Pure: the clock
 * is handed in.
 *
 *   T1  what an upstream asks for is kept, or it is not asked again
 *   T2  an upstream that cannot answer yet gets at least the tries that a broken one gets
 *   T3  the last try comes when the time is over, not before
 */
import type { Absence } from './faults.ts';

/** An upstream that asks for a longer pause is not asked again, because a worker's slot would be held that long. */
const MAX_ASKED_MS = 30_000;
/** The longest pauses: before an upstream that was busy or broken, and before one that cannot answer yet. */
const MAX_PAUSE_MS = 8_000;
const MAX_AWAY_PAUSE_MS = 5_000;
/** An upstream that never answered this process gets no longer: its address may be wrong, and somebody has to hear of it. */
const UNKNOWN_MS = 10_000;
/** How often it is told that an upstream is waited for. */
const TOLD_MS = 30_000;

export interface WaitRules {
  /** Further tries after failures of other kinds. */
  readonly retries: number;
  /** The pause before the second try; it doubles with each further one. */
  readonly backoffMs: number;
  /** How long an upstream that cannot answer yet is waited for. */
  readonly waitMs: number;
  /** Milliseconds since any fixed time. */
  readonly nowMs: () => number;
  /** From 0 up to 1. */
  readonly random?: () => number;
}

/** What the decision depends on. */
interface Failed {
  readonly retryable: boolean;
  readonly absence: Absence | null;
  readonly retryAfterMs: number | null;
}

/** `isTold`: it is time to say that there will be another try. */
export interface Wait {
  readonly waitMs: number;
  readonly isTold: boolean;
}

export class Waits {
  readonly #rules: Required<WaitRules>;
  #failures = 0;
  #absences = 0;
  /** When the upstream was first found to be away or loading. */
  #sinceMs: number | null = null;
  #toldMs = Number.NEGATIVE_INFINITY;
  #isOver = false;

  constructor(rules: WaitRules) {
    this.#rules = { random: Math.random, ...rules };
  }

  /** How long the upstream has been waited for. */
  get waitedMs(): number {
    return this.#sinceMs === null ? 0 : this.#rules.nowMs() - this.#sinceMs;
  }

  /** Whether the next try is the last one of an upstream that answers. */
  get isLast(): boolean {
    return this.#failures >= this.#rules.retries;
  }

  /** How often the upstream was tried. */
  get tries(): number {
    return this.#failures + this.#absences;
  }

  /** Whether it was waited for an upstream that still cannot answer, until the time was over. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /**
   * The wait before the next try; null when there should be none.
   * @param isKnown whether the upstream has ever answered this process
   */
  after(failed: Failed, isKnown: boolean): Wait | null {
    if (!failed.retryable) return null;
    const askedMs = failed.retryAfterMs;
    if (askedMs !== null && askedMs > MAX_ASKED_MS) return null; // T1
    if (failed.absence !== null) return this.#await(askedMs, failed.absence === 'loading' || isKnown);
    this.#failures += 1;
    if (this.#failures > this.#rules.retries) return null;
    return { waitMs: askedMs ?? this.#pauseMs(this.#failures, MAX_PAUSE_MS), isTold: true };
  }

  #await(askedMs: number | null, isKnown: boolean): Wait | null {
    const { waitMs: mostMs, retries, nowMs } = this.#rules;
    const now = nowMs();
    this.#sinceMs ??= now;
    this.#absences += 1;
    const leftMs = (isKnown ? mostMs : Math.min(mostMs, UNKNOWN_MS)) - (now - this.#sinceMs);
    const waitMs = askedMs ?? this.#pauseMs(this.#absences, MAX_AWAY_PAUSE_MS);
    const isFree = this.#absences <= retries; // T2
    if (leftMs <= 0 && !isFree) {
      this.#isOver = mostMs > 0;
      return null;
    }
    const isTold = now - this.#toldMs >= TOLD_MS;
    if (isTold) this.#toldMs = now;
    return { waitMs: leftMs > 0 && askedMs === null ? Math.min(waitMs, Math.ceil(leftMs)) : waitMs, isTold }; // T3
  }

  /** With jitter, so that runs that fail together do not come back together. */
  #pauseMs(count: number, mostMs: number): number {
    const fullMs = Math.min(this.#rules.backoffMs * 2 ** (count - 1), mostMs);
    return Math.round(fullMs * (0.5 + this.#rules.random() / 2));
  }
}
