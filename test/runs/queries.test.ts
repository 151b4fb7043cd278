/** The queries of a call of file_search, as models write them. */
import { expect, test } from 'vitest';
import { queriesIn } from '../../src/runs/calls/queries.ts';

test.each<[string, readonly string[]]>([
  ['{"queries":["tea","black tea"]}', ['tea', 'black tea']],
  ['{"query":" tea "}', ['tea']],
  ['tea', ['tea']],
  ['["tea",{"or":"coffee"},"tea"]', ['tea', 'coffee']],
  ['{"queries":[]}', []],
])('%s asks for %j', (written, queries) => {
  expect(queriesIn(written)).toEqual(queries);
});

test('lists in lists without an end are a text like any other', () => {
  const written = `${'['.repeat(100_000)}"tea"${']'.repeat(100_000)}`;
  expect(queriesIn(written)).toHaveLength(1);
});
