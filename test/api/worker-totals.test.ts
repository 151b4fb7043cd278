/** What an API process adds up of what workers measure. */
import { expect, test } from 'vitest';
import { WorkerTotals } from '../../src/api/ops/worker-totals.ts';

const worker = (name: string, count: number, labels = '') => ({
  name,
  measured: { runs_total: { [labels]: [count] } },
});

/** The sums after each of these reports. */
function sumsAfter(...reports: readonly (readonly ReturnType<typeof worker>[])[]): unknown[] {
  const totals = new WorkerTotals();
  return reports.map((report) => {
    totals.see(report);
    return totals.measured['runs_total']?.['']?.[0];
  });
}

test('workers are summed', () => {
  expect(sumsAfter([], [worker('a', 1), worker('b', 2)], [worker('a', 3), worker('b', 2)])).toEqual([
    undefined,
    3,
    5,
  ]);
});

test('a worker that has gone stays counted, and is counted once when it comes back', () => {
  expect(sumsAfter([], [worker('a', 5), worker('b', 1)], [worker('b', 1)], [worker('a', 6)])).toEqual([
    undefined,
    6,
    6,
    7,
  ]);
});

test('what was measured before the process began is not counted', () => {
  expect(sumsAfter([worker('a', 1_000)], [worker('a', 1_001)])).toEqual([0, 1]);
});

test('a report that is older than the last one changes nothing', () => {
  expect(sumsAfter([], [worker('a', 9)], [worker('a', 4)], [worker('a', 10)])).toEqual([undefined, 9, 9, 10]);
});

test('a worker that has been gone for long is forgotten', () => {
  let nowMs = 0;
  const totals = new WorkerTotals(() => nowMs);
  const see = (...workers: readonly ReturnType<typeof worker>[]): void => totals.see(workers);
  see();
  see(worker('a', 5));
  nowMs = 600_001;
  see();
  see(worker('a', 5));
  expect(totals.measured).toEqual({ runs_total: { '': [10] } });
});

test('labels are kept apart, and buckets that another version has are not mixed', () => {
  const totals = new WorkerTotals();
  totals.see([]);
  totals.see([worker('a', 1, 'x'), worker('a', 2, 'y')]);
  totals.see([{ name: 'b', measured: { runs_total: { x: [7, 7] } } }]);
  expect(totals.measured).toEqual({ runs_total: { x: [1], y: [2] } });
});
