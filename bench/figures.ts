/** Medians, quantiles, and intervals for the differences between two arms that were asked in turn. */

/** The value below which this share of the values lies; NaN for none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** A median with the interval that holds it with a confidence of 95 %. */
export interface Estimate {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

const RESAMPLES = 400;

/** The median of `values`, with its interval by bootstrap. */
export function estimate(values: readonly number[]): Estimate {
  const medians = Array.from({ length: RESAMPLES }, () => median(resampled(values)));
  return { median: median(values), low: quantile(medians, 0.025), high: quantile(medians, 0.975) };
}

function resampled(values: readonly number[]): readonly number[] {
  return values.map(() => values[Math.floor(Math.random() * values.length)] ?? Number.NaN);
}

/** What `values` are more than `base`, round by round. */
export function differences(values: readonly number[], base: readonly number[]): readonly number[] {
  return values
    .map((value, round) => value - (base[round] ?? Number.NaN))
    .filter((each) => !Number.isNaN(each));
}

export const rounded = (value: number, digits = 2): number => Number(value.toFixed(digits));
