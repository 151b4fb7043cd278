/** What runs cost: tokens times prices. Pure. */
import type { Usage } from './thread.ts';

/** Of one model, for a million tokens each, in the currency of the configuration. */
export interface Prices {
  readonly input: number;
  /** Input that the model server had in its cache; by default as other input. */
  readonly cachedInput?: number | undefined;
  readonly output: number;
}

const MICROS = 1_000_000;

/** @returns in millionths of the currency, whole; null where the usage or the prices are not known */
export function microCostOf(usage: Usage | null, prices: Prices | null): number | null {
  if (usage === null || prices === null) return null;
  const { prompt_tokens: prompt, completion_tokens: completion } = usage;
  const cached = Math.min(usage.prompt_token_details.cached_tokens, prompt);
  const { input, cachedInput = input, output } = prices;
  // A price for a million tokens is that of one token in millionths.
  return Math.round((prompt - cached) * input + cached * cachedInput + completion * output);
}

/** @returns in the currency of the prices, to the millionth; null where the usage or the prices are not known */
export function costOf(usage: Usage | null, prices: Prices | null): number | null {
  const micros = microCostOf(usage, prices);
  return micros === null ? null : micros / MICROS;
}

/** Millionths of a currency in that currency. */
export const fromMicros = (micros: number): number => micros / MICROS;
