import { describe, expect, test } from 'vitest';
import { defaultWorkers, Succession } from '../../src/local/workers.ts';

test.each([
  [1, 1],
  [2, 1],
  [3, 2],
  [4, 3],
  [64, 4],
])('on %i cores, npm start runs %i workers', (cores, workers) => {
  expect(defaultWorkers(cores)).toBe(workers);
});

describe('what npm start tells the processes of one worker', () => {
  const nameOf = ({ LONGRUN_WORKER = '' }: Readonly<Record<string, string>>): string => LONGRUN_WORKER;
  const endedOf = ({ LONGRUN_WORKERS_ENDED = '' }: Readonly<Record<string, string>>): readonly string[] =>
    LONGRUN_WORKERS_ENDED.split(' ').filter((name) => name !== '');

  test('is a new name for each, and who had its place before', () => {
    const succession = new Succession();
    const first = succession.next();
    succession.isUp();
    const second = succession.next();
    expect(endedOf(first)).toEqual([]);
    expect(endedOf(second)).toEqual([nameOf(first)]);
    expect(nameOf(second)).not.toBe(nameOf(first));
  });

  test('is all that came before, until one of them is up', () => {
    const succession = new Succession();
    const [first, second] = [succession.next(), succession.next()];
    const third = succession.next();
    expect(endedOf(third)).toEqual([first, second].map(nameOf));
    succession.isUp();
    expect(endedOf(succession.next())).toEqual([nameOf(third)]);
  });
});
