/** What waits for one reader: in order, bounded, and with a word where something was dropped. */
import { expect, test } from 'vitest';
import { Mailbox, MAILBOX_BYTES } from '../../src/api/admin/mailbox.ts';
import { quantile } from '../../src/api/admin/reading.ts';

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
  for (const frame of [big, big, 'lost', 'also lost']) box.put(frame);
  box.lag();
  box.put('after;');
  expect((await box.next()).value).toBe('lagged;after;');
  box.put('on;');
  expect((await box.next()).value).toBe('on;');
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
