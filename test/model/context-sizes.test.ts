/** What the contexts of models hold, in our tokens: what servers count in prompts that they took. */
import { expect, test } from 'vitest';
import { ContextSizes } from '../../src/model/context-sizes.ts';
import { upstreamAt } from './upstream.ts';

const there = { upstream: upstreamAt('http://127.0.0.1:1'), model: 'm' };
const other = { ...there, model: 'other' };

test('a server that counts more tokens than we do has less room for ours', () => {
  const sizes = new ContextSizes();
  sizes.counted(there, 1_325, 500);
  expect(sizes.of(there, 1_024)).toBe(386);
  expect(sizes.of(other, 1_024)).toBe(1_024);
});

test('one that counts fewer has no more, and what it counts in a short prompt says nothing', () => {
  const sizes = new ContextSizes();
  sizes.counted(there, 400, 500);
  sizes.counted(there, 60, 20);
  sizes.counted(there, 9_000, 500);
  expect(sizes.of(there, 1_024)).toBe(1_024);
});

test('a count is forgotten in time, when other prompts fit better', () => {
  const sizes = new ContextSizes();
  sizes.counted(there, 1_000, 500);
  for (let count = 0; count < 100; count += 1) sizes.counted(there, 500, 500);
  expect(sizes.of(there, 1_024)).toBe(1_024);
});

test('without a limit there is none, whatever is counted', () => {
  const sizes = new ContextSizes();
  sizes.counted(there, 1_000, 500);
  expect(sizes.of(there, Infinity)).toBe(Infinity);
});
