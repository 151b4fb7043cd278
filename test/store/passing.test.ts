/** Values on their way, told to somebody else as well. */
import { expect, test } from 'vitest';
import { overheard, type Passing } from '../../src/store/passing.ts';

test('what is read and what is passed is overheard first, and a reader that leaves ends the source', async () => {
  let isEnded = false;
  let take: ((value: string) => void) | null = null;
  async function* values(): AsyncGenerator<string, void> {
    try {
      yield 'read';
      yield 'not asked for';
    } finally {
      isEnded = true;
    }
  }
  const source: Passing<string> = Object.assign(values(), {
    pass: (to: typeof take) => {
      take = to;
    },
  });
  const told: string[] = [];
  const log = overheard(source, (value) => told.push(`heard ${value}`));
  log.pass?.((value) => told.push(`took ${value}`));
  const pass = (value: string): void => take?.(value);
  pass('passed');
  for await (const value of log) {
    told.push(`read ${value}`);
    break;
  }
  expect(told).toEqual(['heard passed', 'took passed', 'heard read', 'read read']);
  expect(isEnded).toBe(true);
  log.pass?.(null);
  expect(take).toBeNull();
});

test('a source that passes nothing on is read all the same', async () => {
  async function* values(): AsyncGenerator<number, void> {
    yield 1;
    yield 2;
  }
  const told: number[] = [];
  const log = overheard({ [Symbol.asyncIterator]: values }, (value) => told.push(value));
  log.pass?.(() => {});
  expect(await Array.fromAsync(log)).toEqual([1, 2]);
  expect(told).toEqual([1, 2]);
});
