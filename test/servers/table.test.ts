/** The table of `npm run check:servers`, and where it goes. */
import { expect, test } from 'vitest';
import { tableOf, withTable, type ServerResult } from './table.ts';

const result = (title: string, more: Partial<ServerResult> = {}): ServerResult => ({
  title,
  version: '1.0',
  date: '2026-11-26',
  skipped: null,
  findings: {},
  ...more,
});

test('has a row for each check and a column for each server that was checked', () => {
  const findings = {
    polling: { verdict: 'yes', note: '' },
    cancel: { verdict: 'no', note: 'it <goes>\non' },
    tools: { verdict: 'not possible', note: 'there are none' },
  } as const;
  const skipped = result('C', { skipped: 'it needs Go.' });
  const table = tableOf([result('A', { findings }), result('B'), skipped], ['polling', 'cancel', 'tools']);
  expect(table.split('\n')).toEqual([
    '|         | A          | B   |',
    '| ------- | ---------- | --- |',
    '| polling | yes        | –   |',
    '| cancel  | **no** (1) | –   |',
    '| tools   | n/a (2)    | –   |',
    '',
    String.raw`1. it \<goes\> on`,
    '2. there are none',
    '',
    '- A: 1.0, checked 2026-11-26',
    '- B: 1.0, checked 2026-11-26',
    '- C was skipped: it needs Go.',
    '',
  ]);
});

test('takes its place between the marks of a document, again and again', () => {
  const document = 'a\n<!-- check:servers begins -->\nold\n<!-- check:servers ends -->\nz\n';
  const once = withTable(document, '| new |\n');
  expect(once).toBe('a\n<!-- check:servers begins -->\n\n| new |\n\n<!-- check:servers ends -->\nz\n');
  expect(withTable(once, '| new |\n')).toBe(once);
  expect(withTable('', '| new |\n')).toBe('| new |\n');
});
