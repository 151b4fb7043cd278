/**
 * What the contexts of models hold, as their servers' refusals have told: by upstream and model, for the life of this
 * process. In tokens as we estimate them, so that a prompt that is cut to it fits at once the next time.
 */
import type { Overflow } from '../runs/model.ts';
import type { Route } from './upstreams.ts';

/** Models may be named by callers, so not all of them are remembered. */
const MAX_KNOWN = 1_000;
/** A smaller context is no context; a figure below it was misread. */
const MIN_CONTEXT = 256;

export class ContextSizes {
  readonly #known = new Map<string, number>();

  /**
   * Remembers what a refusal tells.
   * @param estimated what the refused prompt has, as we estimate it
   */
  learn(there: Route, { limitTokens, askedTokens }: Overflow, estimated: number): void {
    if (limitTokens === null) return;
    const key = keyOf(there);
    // A tokenizer that makes more tokens of the same text makes the context smaller.
    const ratio = askedTokens === null ? 1 : Math.min(1, estimated / askedTokens);
    const tokens = Math.max(MIN_CONTEXT, Math.floor(limitTokens * ratio));
    const known = this.#known.get(key);
    if (known === undefined && this.#known.size >= MAX_KNOWN) return;
    this.#known.set(key, Math.min(tokens, known ?? Infinity));
  }

  /** What the context holds; null where nothing is known. */
  of(there: Route): number | null {
    return this.#known.get(keyOf(there)) ?? null;
  }
}

const keyOf = ({ upstream, model }: Route): string => JSON.stringify([upstream.name, model]);
