/** Bodies that are refused for what they would cost, before anything of them is looked at. */
import { describe, expect, test } from 'vitest';
import { parseJson } from '../../src/api/http/json-text.ts';
import { metadata } from '../../src/api/http/shapes.ts';
import { validate } from '../../src/api/http/validate.ts';

describe('a body', () => {
  test('of too many values is refused, empty ones included', () => {
    expect(() => parseJson(`[${'{},'.repeat(100_000)}{}]`)).toThrow('more than 200000 values');
    expect(() => parseJson(`[${'0,'.repeat(200_000)}0]`)).toThrow('more than 200000 values');
  });

  test('may say as many commas and brackets as it likes', () => {
    const text = '[{,}]'.repeat(100_000);
    expect(parseJson(JSON.stringify({ text }))).toEqual({ text });
  });
});

test('metadata of too many pairs is refused for that, not for what is wrong with each', () => {
  const pairs = Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`key ${index}`, index]));
  expect(() => validate(metadata, pairs, true)).toThrow('at most 16 properties, but got an object with 1000');
});
