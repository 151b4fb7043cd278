/** Settings of the library: which addresses are taken, and what of them may be logged. */
import { expect, test } from 'vitest';
import { readConfig, redacted } from '../src/config.ts';

const NO_FILE = 'there-is-no-such-file.json';
const SECRET = 'a-very-secret-word';

test.each([`postgres://me:${SECRET}@host/name`, `postgresql://host/name?user=me&password=${SECRET}`])(
  'the password of a database is in the configuration but not in what may be logged: %s',
  (LIBRARY_URL) => {
    const config = readConfig({ LIBRARY_URL }, NO_FILE);
    expect(config.libraryUrl).toBe(LIBRARY_URL);
    expect(JSON.stringify(redacted(config))).not.toContain(SECRET);
  },
);

test('a file is shown as it is, and another kind of server is refused', () => {
  expect(redacted(readConfig({ LIBRARY_URL: '/data/library.sqlite' }, NO_FILE))).toMatchObject({
    libraryUrl: '/data/library.sqlite',
  });
  expect(() => readConfig({ LIBRARY_URL: 'mysql://host/name' }, NO_FILE)).toThrow(/LIBRARY_URL/);
});
