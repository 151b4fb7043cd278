/** Checking a request costs as much as the request is long, however much is wrong with it. */
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { validate } from '../../src/api/http/validate.ts';
import { searchedItems } from '../support/work.ts';

const schema = z.strictObject({ model: z.string() });
const withStrangers = (count: number): unknown => ({
  ...Object.fromEntries(Array.from({ length: count }, (_, index) => [`key ${index}`, index])),
  model: 'm',
});

describe('unknown keys that are dropped', () => {
  test('all of them go, and what is known stays', () => {
    expect(validate(schema, withStrangers(1_000), false)).toStrictEqual({ model: 'm' });
  });

  test('twice the keys are twice the work', () => {
    const work = (count: number): number =>
      searchedItems(() => validate(schema, withStrangers(count), false));
    const some = work(1_000);
    expect(work(2_000)).toBeLessThanOrEqual(2 * some + 100);
  });
});
