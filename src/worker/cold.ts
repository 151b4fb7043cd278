/** Moves threads out of Redis that were not used for long, beside the sweep, which waits for none of it. */
import type { Logger } from '../log.ts';
import { isUnavailable } from '../store/away.ts';
import type { Freezer } from '../store/freezer.ts';
import { Care } from './care.ts';

const HOUR_MS = 60 * 60 * 1000;
/** While Redis uses more than it should, threads that were not used for so long leave it. */
const CROWDED_AFTER_MS = 24 * HOUR_MS;

export interface ColdCareOptions {
  readonly freezer: Freezer;
  /** Threads leave Redis when they were not used for so long; 0 is never. */
  readonly afterH: number;
  /** Above so much memory of Redis they leave after a day; 0 is never. */
  readonly aboveMb: number;
  /** What Redis uses. */
  readonly usedBytes: () => Promise<number>;
  readonly log: Logger;
}

export class ColdCare extends Care {
  readonly #options: ColdCareOptions;

  constructor(options: ColdCareOptions) {
    super();
    this.#options = options;
  }

  protected async care(): Promise<void> {
    const { freezer, log } = this.#options;
    const isStopped = (): boolean => this.isStopped;
    try {
      const ageMs = await this.#ageMs();
      if (ageMs !== null) await freezer.sweep(ageMs, isStopped);
      await freezer.tidy(isStopped);
    } catch (err) {
      const level = isUnavailable(err) ? 'debug' : 'error';
      log[level]({ err }, 'could not move threads out of Redis; the next sweep tries again');
    }
  }

  /** How long threads that are to leave were not used; null where none is to. */
  async #ageMs(): Promise<number | null> {
    const { afterH, aboveMb, usedBytes } = this.#options;
    const ageMs = afterH > 0 ? afterH * HOUR_MS : Infinity;
    const isCrowded = aboveMb > 0 && ageMs > CROWDED_AFTER_MS && (await usedBytes()) > aboveMb * 1024 * 1024;
    if (isCrowded) return CROWDED_AFTER_MS;
    return ageMs === Infinity ? null : ageMs;
  }
}
