/** Who may have the slots of a worker, counted: no process, no queue. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { RunJob } from '../../src/store/run-jobs.ts';
import { Slots } from '../../src/worker/slots.ts';

const job = (runId: string): RunJob => ({
  project: 'p',
  threadId: 't',
  runId,
  requestId: 'req',
  turn: 1,
});

let woken: string[];
/** Jobs that another worker has taken meanwhile. */
let gone: Set<string>;
beforeEach(() => {
  woken = [];
  gone = new Set();
});

function slotsOf(slots: number, ...upstreams: readonly (string | { name: string; slots: number })[]): Slots {
  return new Slots({
    slots,
    upstreams: upstreams.map((one) => (typeof one === 'string' ? { name: one } : one)),
    wake: async ({ runId }) => {
      if (gone.has(runId)) return false;
      woken.push(runId);
      return true;
    },
  });
}

/** Takes slots for `upstream` until there are none; how many there were, and what frees them. */
function fill(slots: Slots, upstream: string): (() => void)[] {
  const free: (() => void)[] = [];
  for (;;) {
    const slot = slots.take(upstream, job(`${upstream}-${free.length}`));
    if (slot === null) return free;
    free.push(slot);
  }
}

describe('the slots', () => {
  test('are all for one upstream where there is only one', () => {
    expect(fill(slotsOf(100, 'a'), 'a')).toHaveLength(100);
    expect(fill(slotsOf(1, 'a'), 'a')).toHaveLength(1);
  });

  test.each<[number, readonly string[], readonly number[]]>([
    [100, ['a', 'b'], [75, 25]],
    [100, ['a', 'b', 'c'], [68, 16, 16]],
    [
      100,
      Array.from({ length: 50 }, (_, index) => `u${index}`),
      [51, ...Array.from({ length: 49 }, () => 1)],
    ],
    [4, ['a', 'b'], [3, 1]],
    [4, ['a', 'b', 'c'], [2, 1, 1]],
    [2, ['a', 'b'], [1, 1]],
    // Too few for everybody: yet nobody has all of them.
    [2, ['a', 'b', 'c'], [1, 1, 0]],
    [1, ['a', 'b'], [1, 0]],
  ])('%i, of several upstreams that all take what they can: one after the other', (count, names, shares) => {
    const slots = slotsOf(count, ...names);
    expect(names.map((name) => fill(slots, name).length)).toEqual(shares);
  });

  test('that are free are for whoever comes, as long as the others have theirs', () => {
    const slots = slotsOf(100, 'a', 'b');
    const [first] = fill(slots, 'b');
    expect(fill(slots, 'a')).toHaveLength(25);
    first?.();
    expect(slots.take('a', job('x'))).not.toBeNull();
    expect(slots.take('b', job('y'))).toBeNull();
  });

  test('of one upstream can be fewer, and what it leaves is for the others', () => {
    const slots = slotsOf(100, { name: 'a', slots: 10 }, 'b');
    expect(fill(slots, 'a')).toHaveLength(10);
    expect(fill(slots, 'b')).toHaveLength(90);
    const alone = slotsOf(100, { name: 'a', slots: 10 });
    expect(fill(alone, 'a')).toHaveLength(10);
  });

  test('are freed once, however often that is said', () => {
    const slots = slotsOf(4, 'a', 'b');
    const [slot] = fill(slots, 'a');
    slot?.();
    slot?.();
    expect(fill(slots, 'a')).toHaveLength(1);
  });

  test('of an upstream that nobody knows are not counted: its run fails at once', () => {
    const slots = slotsOf(1, 'a', 'b');
    expect(slots.take(null, job('x'))).not.toBeNull();
    expect(fill(slots, 'a')).toHaveLength(1);
  });
});

describe('jobs that found no slot', () => {
  const refuse = (slots: Slots, upstream: string, ...runs: readonly string[]): void => {
    for (const run of runs) {
      expect(slots.take(upstream, job(run))).toBeNull();
      slots.laidAside(job(run));
    }
  };

  test('are woken in their order, one for each slot that becomes free', async () => {
    const slots = slotsOf(4, 'a', 'b');
    const held = fill(slots, 'a');
    refuse(slots, 'a', 'first', 'second', 'third');
    held[0]?.();
    await expect.poll(() => woken).toEqual(['first']);
    held[1]?.();
    await expect.poll(() => woken).toEqual(['first', 'second']);
  });

  test('keep their place when somebody was faster', async () => {
    const slots = slotsOf(4, 'a', 'b');
    const held = fill(slots, 'a');
    refuse(slots, 'a', 'first', 'second');
    held[0]?.();
    await expect.poll(() => woken).toEqual(['first']);
    const thief = slots.take('a', job('thief'));
    expect(thief).not.toBeNull();
    refuse(slots, 'a', 'first');
    thief?.();
    await expect.poll(() => woken).toEqual(['first', 'first']);
  });

  test('that are in other hands are passed over', async () => {
    const slots = slotsOf(4, 'a', 'b');
    const held = fill(slots, 'a');
    refuse(slots, 'a', 'first', 'second');
    gone.add('first');
    held[0]?.();
    await expect.poll(() => woken).toEqual(['second']);
  });

  test('are woken at once where a slot became free while they were put aside', async () => {
    const slots = slotsOf(4, 'a', 'b');
    const [first] = fill(slots, 'a');
    expect(slots.take('a', job('late'))).toBeNull();
    first?.();
    slots.laidAside(job('late'));
    await expect.poll(() => woken).toEqual(['late']);
  });

  test('are not woken for a slot of another upstream', async () => {
    const slots = slotsOf(4, 'a', 'b');
    fill(slots, 'a');
    const [other] = fill(slots, 'b');
    refuse(slots, 'a', 'first');
    other?.();
    expect(woken).toEqual([]);
  });

  test('are forgotten when they need none any more', async () => {
    const slots = slotsOf(4, 'a', 'b');
    const [first, second] = fill(slots, 'a');
    refuse(slots, 'a', 'first', 'second');
    expect(slots.knows('first')).toBe(true);
    slots.forget('first');
    expect(slots.knows('first')).toBe(false);
    first?.();
    await expect.poll(() => woken).toEqual(['second']);
    second?.();
    expect(slots.take('a', job('second'))).not.toBeNull();
    expect(slots.knows('second')).toBe(false);
  });
});
