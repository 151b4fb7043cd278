/** Schemas that strict servers refuse, and what becomes of them. */
import { expect, test } from 'vitest';
import { fitParameters } from '../../src/model/fit-schema.ts';

const EMPTY = { type: 'object', properties: {} };
const city = { type: 'string' };

test.each<[string, Record<string, unknown>, object]>([
  ['nothing', {}, EMPTY],
  ['an object without properties', { type: 'object' }, EMPTY],
  ['PHP’s empty properties', { type: 'object', properties: [] }, EMPTY],
  ['no type', { properties: { city } }, { type: 'object', properties: { city } }],
  ['null for a type', { type: null, properties: { city } }, { type: 'object', properties: { city } }],
  ['Python’s None for a type', { type: 'None' }, EMPTY],
  [
    'nested empty lists, of which only those that mean objects are some',
    {
      type: 'object',
      properties: { place: { type: 'object', properties: [], required: [] }, any: [] },
      required: [],
    },
    {
      type: 'object',
      properties: { place: { type: 'object', properties: {}, required: [] }, any: {} },
      required: [],
    },
  ],
])('%s', (_, given, becomes) => {
  expect(fitParameters(given)).toEqual(becomes);
});

test('a schema as servers want it stays the same object', () => {
  const schema = { type: 'object', properties: { city }, required: ['city'], additionalProperties: false };
  expect(fitParameters(schema)).toBe(schema);
});
