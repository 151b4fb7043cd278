/** Which missing workers the console tells of: those that nobody has replaced, and the others for a minute. Pure. */
import { expect, test } from 'vitest';
import { GoneWorkers } from '../../src/console/service/gone-workers.ts';

const worker = (name: string, since = 0) => ({ name, since });

test('a worker that is missed is told of for five minutes', () => {
  const gone = new GoneWorkers();
  gone.see([worker('a'), worker('b')], 1_000);
  expect(gone.all).toEqual([]);
  gone.see([worker('a')], 1_002);
  expect(gone.all).toEqual([{ name: 'b', replacedBy: null }]);
  gone.see([worker('a')], 1_300);
  expect(gone.all).toHaveLength(1);
  gone.see([worker('a')], 1_303);
  expect(gone.all).toEqual([]);
});

test('and for a minute once another has begun, be it before the first was missed', () => {
  const gone = new GoneWorkers();
  gone.see([worker('a'), worker('b')], 1_000);
  gone.see([worker('a'), worker('b'), worker('c', 1_010)], 1_010);
  gone.see([worker('a'), worker('c', 1_010)], 1_015);
  expect(gone.all).toEqual([{ name: 'b', replacedBy: 'c' }]);
  gone.see([worker('a'), worker('c', 1_010)], 1_076);
  expect(gone.all).toEqual([]);
});

test('a new worker replaces one of two', () => {
  const gone = new GoneWorkers();
  gone.see([worker('a'), worker('b')], 1_000);
  gone.see([], 1_020);
  gone.see([worker('c', 1_030)], 1_030);
  expect(gone.all).toEqual([
    { name: 'a', replacedBy: 'c' },
    { name: 'b', replacedBy: null },
  ]);
});

test('one that is back is not told of', () => {
  const gone = new GoneWorkers();
  gone.see([worker('a')], 1_000);
  gone.see([], 1_020);
  gone.see([worker('a')], 1_022);
  expect(gone.all).toEqual([]);
});
