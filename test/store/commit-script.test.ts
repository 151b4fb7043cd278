/** What commit.lua and drop.lua are called with: the names in TypeScript and in the scripts are the same ones. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { COMMIT_ARGS, COMMIT_KEYS, commitCall, type Commit } from '../../src/store/commit-script.ts';
import { RedisKeys } from '../../src/store/keys.ts';
import { refOf } from './fixture.ts';

const keys = new RedisKeys('prefix');

/** The names that a script unpacks KEYS or ARGV into, and from where to where. */
function unpacked(script: string, list: 'KEYS' | 'ARGV'): { names: readonly string[]; bounds: string } {
  const text = readFileSync(new URL(`../../src/store/${script}.lua`, import.meta.url), 'utf8');
  const found = new RegExp(String.raw`^local ([\w, ]+) =\s+unpack\(${list}([^)]*)\)`, 'm').exec(text);
  return { names: (found?.[1] ?? '').split(', '), bounds: found?.[2] ?? '' };
}

const COMMIT: Commit = {
  expectedVersion: 'a',
  version: 'b',
  expectedSeq: 3,
  doc: '{}',
  lock: '',
  takes: '',
  logLifeMs: 1_000,
  changesChannel: '',
  ephemeral: '',
  events: ['{"type":"a"}', '{"type":"b"}'],
  writes: ['step', 'step_1', '{}'],
};

test('commit.lua unpacks its keys and arguments under the names they are given by', () => {
  expect(unpacked('commit', 'KEYS')).toStrictEqual({ names: COMMIT_KEYS, bounds: '' });
  expect(unpacked('commit', 'ARGV')).toStrictEqual({
    names: COMMIT_ARGS,
    bounds: `, 1, ${COMMIT_ARGS.length}`,
  });
});

test('a commit names every key of its thread that it may write, then its arguments, events and writes', () => {
  const ref = refOf();
  const named = { ...keys.ownKeys(ref), ...keys.runKeys(ref) };
  const [count, ...rest] = commitCall(keys, ref, COMMIT);
  expect(count).toBe(COMMIT_KEYS.length);
  expect(rest.slice(0, COMMIT_KEYS.length)).toStrictEqual(COMMIT_KEYS.map((name) => named[name]));
  const args = ['a', 'b', 3, '{}', '', '', 1_000, keys.events(ref), '', 'run_1', '', 2];
  expect(rest.slice(COMMIT_KEYS.length)).toStrictEqual([...args, ...COMMIT.events, ...COMMIT.writes]);
});

test('drop.lua unpacks the keys and arguments that it knows by name', () => {
  expect(unpacked('drop', 'KEYS')).toStrictEqual({
    names: ['thread', 'runs', 'active', 'order'],
    bounds: ', 1, 4',
  });
  expect(unpacked('drop', 'ARGV')).toStrictEqual({
    names: ['which', 'wasAt', 'changesChannel', 'eventsPrefix', 'runPrefix'],
    bounds: ', 1, 5',
  });
});
