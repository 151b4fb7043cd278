/**
 * What the contexts of models hold, in tokens as we estimate them, so that a prompt that is cut to it fits at once: by
 * upstream, model and caller's own key, for the life of this process. Servers' refusals tell it, and so do their counts
 * of prompts that they took: some models make two or three tokens of what we take for one.
 */
import type { Overflow } from '../runs/model.ts';
import { learnedAt, type Route } from './upstreams.ts';

/** Models may be named by callers, so not all of them are remembered. */
const MAX_KNOWN = 1_000;
/** Estimates are not wrong by more, except of texts that somebody made for it, or where the answer's room was counted as well. */
const MIN_RATIO = 0.5;
/** A smaller context is no context; a figure below it was misread. */
const MIN_CONTEXT = 256;
/** What a server adds to every prompt makes too much of a difference in shorter ones. */
const MIN_COUNTED = 200;
/** No tokenizer is so different; it is another count than that of the prompt. */
const MAX_RATIO = 4;
/** With each prompt that is counted, those before it mean less: another language may be spoken by now. */
const FORGETTING = 0.98;

export class ContextSizes {
  readonly #known = new Map<string, number>();
  /** The tokens that models make of one of ours; never below 1. */
  readonly #ratios = new Map<string, number>();

  /**
   * Remembers what a refusal tells.
   * @param estimated what the refused prompt has, as we estimate it
   */
  learn(there: Route, { limitTokens, askedTokens }: Overflow, estimated: number): void {
    if (limitTokens === null) return;
    const key = learnedAt(there);
    // A tokenizer that makes more tokens of the same text makes the context smaller.
    const ratio = askedTokens === null ? 1 : Math.max(MIN_RATIO, Math.min(1, estimated / askedTokens));
    const tokens = Math.max(MIN_CONTEXT, Math.floor(limitTokens * ratio));
    const known = this.#known.get(key);
    if (known === undefined && this.#known.size >= MAX_KNOWN) return;
    this.#known.set(key, Math.min(tokens, known ?? Infinity));
  }

  /** A server has counted the prompt of a request that it answered. */
  counted(there: Route, promptTokens: number, estimated: number): void {
    const ratio = promptTokens / estimated;
    if (estimated < MIN_COUNTED || ratio > MAX_RATIO) return;
    const key = learnedAt(there);
    const known = this.#ratios.get(key);
    if (known === undefined && (ratio <= 1 || this.#ratios.size >= MAX_KNOWN)) return;
    this.#ratios.set(key, Math.max(1, ratio, (known ?? 1) * FORGETTING));
  }

  /**
   * What the context holds.
   * @param said what is set or reported, in the model's own tokens
   */
  of(there: Route, said: number): number {
    const key = learnedAt(there);
    const tokens = Math.floor(said / (this.#ratios.get(key) ?? 1));
    return Math.min(tokens, this.#known.get(key) ?? Infinity);
  }
}
