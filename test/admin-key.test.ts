/** ADMIN_KEY as a setting. Who is an operator with it is tested with the service. */
import { expect, test } from 'vitest';
import { ConfigError, readConfig } from '../src/config.ts';

const KEY = 'sixteen-letters-';
const NO_FILE = '/nowhere/longrun.config.json';

function problems(env: Readonly<Record<string, string>>): readonly string[] {
  try {
    readConfig(env, NO_FILE);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

test('ADMIN_KEY is long, and another one than API_KEY', () => {
  expect(readConfig({ ADMIN_KEY: KEY }, NO_FILE).adminKey).toBe(KEY);
  expect(problems({ ADMIN_KEY: KEY.slice(1) })).toStrictEqual([
    'ADMIN_KEY: must have at least 16 characters.',
  ]);
  expect(problems({ AUTH: 'key', API_KEY: KEY, ADMIN_KEY: KEY })).toStrictEqual([
    expect.stringContaining('ADMIN_KEY is the same as API_KEY'),
  ]);
});

test('ADMIN_KEY is hard to guess where the keys of callers are not ours to judge', () => {
  const env = { AUTH: 'passthrough', SECRET: 'the secret of these tests' };
  const long = 'x'.repeat(32);
  expect(readConfig({ ...env, ADMIN_KEY: long }, NO_FILE).adminKey).toBe(long);
  expect(problems({ ...env, ADMIN_KEY: long.slice(1) })).toStrictEqual([
    expect.stringMatching(/ADMIN_KEY at least 32 random characters: openssl rand -hex 24$/),
  ]);
});
