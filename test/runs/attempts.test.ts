/** How often a turn was really lost: by workers that are dead, not by such as stood still. */
import { describe, expect, test } from 'vitest';
import { holderOf, lossesOf, started, startersOf, unattempted, unstarted } from '../../src/runs/attempts.ts';

const NONE = { attempts: 0 };
const startedBy = (...workers: readonly (string | undefined)[]) =>
  workers.reduce((state: ReturnType<typeof started>, worker) => started(state, worker), NONE);
const nobody: ReadonlySet<string> = new Set();

describe('a turn', () => {
  test('is in the hands of the worker that started it last', () => {
    expect(holderOf(NONE)).toBeNull();
    expect(holderOf(startedBy('a'))).toBe('a');
    expect(holderOf(startedBy('a', 'b'))).toBe('b');
  });

  test('has lost every worker that is dead, once each, and none that lives', () => {
    const state = startedBy('a', 'b', 'a', 'c');
    expect(state.attempts).toBe(4);
    expect(startersOf(state)).toStrictEqual(['a', 'b', 'c']);
    expect(lossesOf(state, nobody)).toBe(3);
    expect(lossesOf(state, new Set(['a', 'c']))).toBe(1);
    expect(lossesOf(state, new Set(['a', 'b', 'c', 'd']))).toBe(0);
  });

  test('forgets a start whose worker gave it back, and all of them when its client answers', () => {
    const back = unstarted(startedBy('a', 'b'));
    expect(back).toStrictEqual(startedBy('a'));
    expect(unattempted(startedBy('a', 'b'))).toStrictEqual({ attempts: 0, starts: [] });
  });
});

describe('beside workers of an older version, which do not say who they are', () => {
  test('a turn is as it was', () => {
    expect(startedBy(undefined, undefined)).toStrictEqual({ attempts: 2 });
    expect(unstarted({ attempts: 2 })).toStrictEqual({ attempts: 1 });
    expect(unattempted({ attempts: 2 })).toStrictEqual({ attempts: 0 });
    expect(lossesOf({ attempts: 2 }, new Set(['a']))).toBe(2);
  });

  test('nobody is taken for its holder who is not', () => {
    expect(holderOf(startedBy('a', undefined))).toBeNull();
    expect(holderOf(startedBy('a', undefined, 'b'))).toBe('b');
    // One of them has given the run back without knowing that there is a list.
    expect(holderOf(started({ ...startedBy('a', 'b'), attempts: 1 }, 'c'))).toBe('c');
  });

  test('their starts count as lost', () => {
    expect(lossesOf(startedBy('a', undefined, 'b'), new Set(['a', 'b']))).toBe(1);
    expect(lossesOf(startedBy('a', undefined), new Set(['a']))).toBe(1);
  });
});
