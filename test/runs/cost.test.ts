/** What runs cost. */
import { expect, test } from 'vitest';
import { costOf, microCostOf, type Prices } from '../../src/runs/cost.ts';
import type { Usage } from '../../src/runs/thread.ts';

const used = (prompt: number, cached: number, completion: number): Usage => ({
  prompt_tokens: prompt,
  completion_tokens: completion,
  total_tokens: prompt + completion,
  prompt_token_details: { cached_tokens: cached },
  completion_tokens_details: { reasoning_tokens: 0 },
});
const PRICES: Prices = { input: 2.5, cachedInput: 1.25, output: 10 };

test('tokens cost their price for a million, cached ones theirs', () => {
  expect(costOf(used(1_000_000, 0, 0), PRICES)).toBe(2.5);
  expect(costOf(used(1_000_000, 400_000, 0), PRICES)).toBe(2);
  expect(costOf(used(0, 0, 100), PRICES)).toBe(0.001);
  expect(costOf(used(1_000_000, 400_000, 0), { input: 2.5, output: 10 })).toBe(2.5);
  // A server that counts more cached tokens than there were.
  expect(costOf(used(100, 1_000, 0), PRICES)).toBe(0.000125);
});

test('costs are whole millionths, and unknown without a usage or a price', () => {
  expect(microCostOf(used(3, 0, 1), { input: 0.1, output: 0.15 })).toBe(0);
  expect(microCostOf(used(10, 0, 5), PRICES)).toBe(75);
  expect(costOf(null, PRICES)).toBeNull();
  expect(costOf(used(1, 0, 1), null)).toBeNull();
});
