import { expect, test } from 'vitest';
import { defaultWorkers } from '../../src/local/workers.ts';

test.each([
  [1, 1],
  [2, 1],
  [3, 2],
  [4, 3],
  [64, 4],
])('on %i cores, npm start runs %i workers', (cores, workers) => {
  expect(defaultWorkers(cores)).toBe(workers);
});
