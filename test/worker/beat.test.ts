/** The beat of a process: what joins it within one leaves together. On a clock that the test sets. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Beat } from '../../src/worker/beat.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
afterEach(() => void vi.useRealTimers());

/** A beat, and what it has let through: the names that were flushed, and when. */
function beat(everyMs = 10): { join: (name: string) => void; flushed: readonly string[] } {
  const flushed: string[] = [];
  const startMs = performance.now();
  const own = new Beat(everyMs);
  const join = (name: string): void =>
    own.join(() => void flushed.push(`${name} ${performance.now() - startMs}`));
  return { join, flushed };
}

describe('the beat', () => {
  test('lets the first through at once, and the next ones together when its time has come', () => {
    const { join, flushed } = beat();
    join('a');
    expect(flushed).toStrictEqual(['a 0']);
    join('b');
    vi.advanceTimersByTime(9);
    join('c');
    expect(flushed).toStrictEqual(['a 0']);
    vi.advanceTimersByTime(1);
    expect(flushed).toStrictEqual(['a 0', 'b 10', 'c 10']);
  });

  test('lets through at once whatever comes more than a beat after the last', () => {
    const { join, flushed } = beat();
    for (let time = 0; time < 3; time++) {
      join('a');
      vi.advanceTimersByTime(10);
    }
    expect(flushed).toStrictEqual(['a 0', 'a 10', 'a 20']);
  });

  test('has no timer while nothing waits', () => {
    const { join } = beat();
    join('a');
    expect(vi.getTimerCount()).toBe(0);
    join('b');
    join('c');
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(10);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('takes whoever joins while it lets others through with the next one', () => {
    const own = new Beat(10);
    let times = 0;
    const again = (): void => {
      times += 1;
      own.join(again);
    };
    again();
    expect(times).toBe(2);
    vi.advanceTimersByTime(30);
    expect(times).toBe(5);
  });
});
