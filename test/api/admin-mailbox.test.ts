/** What waits for one reader: in order, bounded, and with a word where something was dropped. */
import { expect, test } from 'vitest';
import { Mailbox, MAILBOX_BYTES } from '../../src/api/admin/mailbox.ts';
import { quantile, serviceView, streamedView, type ServiceReading } from '../../src/api/admin/reading.ts';
import type { WorkerReport } from '../../src/store/presence.ts';

const mailbox = (onEnd = (): void => {}): Mailbox => new Mailbox('lagged;', onEnd);

test('frames are read in order, together where several wait', async () => {
  const box = mailbox();
  const first = box.next();
  box.put('a;');
  expect((await first).value).toBe('a;');
  box.put('b;');
  box.put('c;');
  expect((await box.next()).value).toBe('b;c;');
});

test('a reader that is too slow loses what waits, is told once, and gets what comes then', async () => {
  const box = mailbox();
  const big = 'x'.repeat(MAILBOX_BYTES / 2);
  for (const frame of [big, big, 'after;']) box.put(frame);
  expect((await box.next()).value).toBe('lagged;after;');
  box.put('on;');
  expect((await box.next()).value).toBe('on;');
  box.put('lost;');
  box.lag();
  box.lag();
  expect((await box.next()).value).toBe('lagged;');
});

test('of snapshots only the newest waits, and they crowd out nothing', async () => {
  const box = mailbox();
  const big = 'x'.repeat(MAILBOX_BYTES);
  box.put('a;');
  for (const snapshot of [`${big}1;`, `${big}2;`]) box.putSnapshot(snapshot);
  box.put('b;');
  expect((await box.next()).value).toBe(`a;b;${big}2;`);
  box.putSnapshot('3;');
  box.lag();
  expect((await box.next()).value).toBe('lagged;3;');
  const next = box.next();
  box.putSnapshot('4;');
  expect((await next).value).toBe('4;');
});

test('no frame is too large by itself', async () => {
  const box = mailbox();
  const big = 'x'.repeat(2 * MAILBOX_BYTES);
  for (const frame of ['a;', big]) box.put(frame);
  expect((await box.next()).value).toBe(`a;${big}`);
});

test('it ends once, for whoever waits as well', async () => {
  let ends = 0;
  const box = mailbox(() => void (ends += 1));
  const waits = box.next();
  await box.return();
  box.end();
  box.put('late');
  expect(await waits).toEqual({ done: true, value: undefined });
  expect(await box.next()).toEqual({ done: true, value: undefined });
  expect(ends).toBe(1);
});

test('quantiles are spread evenly within their bucket, as monitors do it', () => {
  const buckets = (counts: Readonly<Record<number, number>>): number[] =>
    Array.from({ length: 15 }, (_, index) => counts[index] ?? 0);
  expect(quantile(buckets({}), 0.5)).toBeNull();
  expect(quantile(buckets({ 0: 10 }), 0.5)).toBe(0.0025);
  expect(quantile(buckets({ 6: 4, 7: 4 }), 0.5)).toBe(0.5);
  expect(quantile(buckets({ 6: 4, 7: 4 }), 0.75)).toBe(0.75);
  // Beyond the last bound nothing is known.
  expect(quantile(buckets({ 14: 1 }), 0.5)).toBe(300);
});

test('the stream names a hundred runs of all workers, shared by them, and counts the others', () => {
  const view = serviceView(readingOf([200, 3, 0, 200, 200]), null);
  const named = streamedView(view).workers.map(({ running, busy }) => [running.length, busy]);
  expect(named).toEqual([
    [20, 200],
    [3, 3],
    [0, 0],
    [39, 200],
    [38, 200],
  ]);
  const many = streamedView(serviceView(readingOf(Array.from({ length: 300 }, () => 200)), null));
  expect(many.workers.flatMap(({ running }) => running)).toHaveLength(100);
  expect(JSON.stringify(many).length).toBeLessThan(MAILBOX_BYTES);
});

/** Workers with that many runs each. */
function readingOf(runs: readonly number[]): ServiceReading {
  const worker = (busy: number, index: number): WorkerReport => ({
    name: `worker-${index}`,
    busy,
    slots: 200,
    rebuilds: 0,
    stalls: 0,
    commits: {},
    cold: { frozen: 0, thawed: 0, thawMs: 0 },
    failures: {},
    sinceMs: 0,
    saidMs: 0,
    running: Array.from({ length: busy }, (_, each) => ({
      project: 'default',
      threadId: `thread_${each}`,
      runId: `run_${each}`,
    })),
    mcp: [],
    skewMs: 0,
    measured: {},
  });
  return {
    atMs: 0,
    jobs: null,
    oldestWaitMs: 0,
    openRuns: null,
    workers: runs.map(worker),
    measured: {},
    apis: [],
    memory: null,
    threads: null,
    library: null,
  };
}
