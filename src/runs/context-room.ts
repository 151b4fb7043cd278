/**
 * How long the prompts of a run may be: the context without room for the answer, and less after a server has refused a
 * prompt. Servers count with tokenizers of their own, so what they say is taken as a ratio of our estimate. Pure.
 */
import type { Overflow } from './model.ts';
import { answerRoom } from './prompt-size.ts';

/** Estimates of two texts are not wrong by the same ratio. */
const MARGIN = 0.9;
/** Estimates are a little wrong, and some servers cut what does not fit without a word. */
const SAFE = 0.95;
/** Where a server tells no figures. */
const BLIND = 0.5;

export class ContextRoom {
  readonly #contextTokens: number;
  readonly #answerTokens: number | null;
  /** What a refused prompt has taught. */
  #mostTokens = Infinity;

  /**
   * @param contextTokens what the model's context holds, answer included
   * @param answerTokens the most tokens that the run's answers may have in all; null where nobody set it
   */
  constructor(contextTokens: number, answerTokens: number | null) {
    this.#contextTokens = contextTokens;
    this.#answerTokens = answerTokens;
  }

  /** The most tokens, as we estimate them, that the next prompt may have, after answers of `spentTokens`. */
  of(spentTokens: number): number {
    const answerTokens = this.#answerTokens === null ? null : this.#answerTokens - spentTokens;
    const room = Math.floor(this.#contextTokens * SAFE) - answerRoom(this.#contextTokens, answerTokens);
    return Math.min(this.#mostTokens, room);
  }

  /** The same, after a prompt of `estimatedTokens` was refused. */
  after(estimatedTokens: number, { limitTokens, askedTokens }: Overflow): number {
    const most = this.#shareOf(estimatedTokens, limitTokens, askedTokens);
    this.#mostTokens = Math.floor(Math.min(most, estimatedTokens * MARGIN, this.#mostTokens));
    return this.#mostTokens;
  }

  #shareOf(estimatedTokens: number, limitTokens: number | null, askedTokens: number | null): number {
    if (limitTokens === null) return estimatedTokens * BLIND;
    const room = limitTokens - answerRoom(limitTokens, this.#answerTokens);
    if (askedTokens !== null) return estimatedTokens * (room / askedTokens) * MARGIN;
    return estimatedTokens > room ? room * MARGIN : estimatedTokens * BLIND;
  }
}
