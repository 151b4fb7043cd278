/**
 * Every requirement of the Assistants contract, and of that of responses, is shown by a test: the list, and the citations of it in the sources of tests, say
 * the same. The last tests show each check catching its sin.
 */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ASSISTANTS } from './assistants.ts';
import {
  malformed,
  misplaced,
  misspelt,
  overtaken,
  readTests,
  uncited,
  unknown,
  unrefused,
} from './citations.ts';
import type { Group, Requirement } from './requirement.ts';
import { RESPONSES } from './responses.ts';

const tests = readTests(join(import.meta.dirname, '..'));

const ALL = [...ASSISTANTS, ...RESPONSES];

describe('the requirements of both contracts', () => {
  test('are there to be checked', () => {
    expect(ASSISTANTS.length).toBeGreaterThan(20);
    expect(ASSISTANTS.flatMap(({ requirements }) => Object.keys(requirements)).length).toBeGreaterThan(300);
    expect(tests.length).toBeGreaterThan(100);
  });

  test('are sentences, each once, under ids of their group', () => expect(malformed(ALL)).toEqual([]));
  test('are each shown by a test', () => expect(uncited(ALL, tests)).toEqual([]));
  test('are refused by a rule of their own where they are not met yet', () =>
    expect(unrefused(ALL)).toEqual([]));
  test('are not called unmet when a test shows them', () => expect(overtaken(ALL, tests)).toEqual([]));
  test('are all that tests cite', () => expect(unknown(ALL, tests)).toEqual([]));
  test('are cited in one form', () => expect(misspelt(tests)).toEqual([]));
  test('are cited directly above tests', () => expect(misplaced(tests)).toEqual([]));
});

describe('a citation that is wrong is caught', () => {
  const met: Requirement = { says: 'It answers quickly.', evidence: 'decision' };
  const unmet: Requirement = {
    says: 'It sings when it is asked to.',
    evidence: 'probe',
    later: { because: 'It has no voice.', refusedBy: 'A-X-01' },
  };
  const group = (requirements: Readonly<Record<string, Requirement>>, key = 'X'): Group => ({
    key,
    about: 'a thing',
    requirements,
  });
  const list = [group({ 'A-X-01': met, 'A-X-02': { ...met, says: 'It answers loudly.' }, 'A-X-03': unmet })];
  const file = (...lines: string[]) => [{ path: 'a.test.ts', text: lines.join('\n') }];
  const shows = (...ids: string[]): string => `  /** Shows ${ids.join(', ')}. */`;

  test('when it is missing, but not where the requirement is not met yet', () => {
    const fine = file(shows('A-X-01', 'A-X-02'), "  test('one', () => {});");
    expect(uncited(list, fine)).toEqual([]);
    expect(uncited(list, file(shows('A-X-01'), "  test('one', () => {});"))).toEqual([
      'A-X-02: It answers loudly.',
    ]);
  });

  test('when it cites what is not in the list', () => {
    const source = file('', shows('A-X-01', 'A-X-09'), "test('one', () => {});");
    expect(unknown(list, source)).toEqual(['a.test.ts:2: A-X-09']);
  });

  test.each([
    ['the end of the file', ['']],
    ['an empty line', ['', "test('one', () => {});"]],
    ['other code', ['const a = 1;', "test('one', () => {});"]],
    ['a test that is not run', ["test.skip('one', () => {});"]],
    ['a test that may not be run', ["test.skipIf(isLate)('one', () => {});"]],
    ['a test that is to fail', ["test.fails('one', () => {});"]],
    ['a test that is to be written', ["test.todo('one');"]],
    ['a test in a comment', ["// test('one', () => {});"]],
    ['a function with the name of a test', ["testAll('one');"]],
  ])('when it stands above %s: then it counts for nothing', (_, below) => {
    const source = file(shows('A-X-01'), shows('A-X-02'), ...below);
    expect(misplaced(source)).toEqual(['a.test.ts:1: A-X-01', 'a.test.ts:2: A-X-02']);
    expect(uncited(list, source)).toHaveLength(2);
  });

  test.each([
    "test('one', () => {",
    'test.each(rows)(',
    'test.each<[string, number]>([',
    'test.concurrent.for(MAJORS)(',
    "describe('all of them', () => {",
    "describe.each(SDKS)('$name', (sdk) => {",
  ])('but not when it stands above %s', (below) => {
    const source = file(shows('A-X-01'), shows('A-X-02'), below);
    expect(misplaced(source)).toEqual([]);
    expect(uncited(list, source)).toEqual([]);
  });

  test.each([
    '// Shows A-X-01.',
    '/** Shows A-X-01 */',
    '/** shows A-X-01. */',
    '/** Shows A-X-01 and A-X-02. */',
    '/** Shows A-X-1. */',
    "test('A-X-01: it answers', () => {});",
  ])('when it has another form: %s', (line) => {
    const source = file(line, "test('one', () => {});");
    expect(misspelt(source)).toHaveLength(1);
    expect(uncited(list, source)).toHaveLength(2);
  });

  test('when it shows what is said to be unmet', () => {
    expect(overtaken(list, file(shows('A-X-03'), "test('one', () => {});"))).toEqual(['A-X-03']);
  });

  test('when what is unmet is refused by nothing, or by what is unmet itself', () => {
    const later = { because: 'It has no voice.', refusedBy: 'A-X-09' };
    expect(unrefused([group({ 'A-X-01': { ...unmet, later } })])).toEqual(['A-X-01']);
    expect(unrefused([group({ 'A-X-01': unmet })])).toEqual(['A-X-01']);
    expect(unrefused(list)).toEqual([]);
  });

  test('when the list itself is wrong', () => {
    expect(malformed(list)).toEqual([]);
    expect(malformed([group({ 'A-Y-01': met, 'A-X-1': unmet })])).toEqual(['A-Y-01', 'A-X-1']);
    expect(malformed([group({ 'A-X-01': met, 'A-X-02': met })])).toEqual(['A-X-02']);
    expect(malformed([group({ 'A-X-01': met }), group({ 'A-X-01': unmet })])).toEqual(['A-X-01']);
    expect(malformed([group({ 'A-X-01': { ...met, says: 'something' } })])).toEqual(['A-X-01']);
  });
});
