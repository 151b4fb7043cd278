/** The programs of src by themselves: npm finds the Node for them, and what is wrong with a setting is said in words. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { COMPILE_CACHE } from '../support/compile-cache.ts';

const REPOSITORY = join(import.meta.dirname, '../..');
const read = (name: string): string => readFileSync(join(REPOSITORY, name), 'utf8');

test.each(['api', 'worker', 'start', 'import'])('npm run %s begins with the set-up', (verb) => {
  expect(read('package.json')).toMatch(
    new RegExp(`^ {4}"${verb}": "exec node (?:--\\S+ )*setup/run\\.mjs ${verb}",$`, 'm'),
  );
});

test.each(['src/main.ts', 'src/api/main.ts', 'src/worker/main.ts', 'src/import/main.ts'])(
  '%s looks at the Node before anything else',
  (file) => {
    const [first] = /^import .*;$/m.exec(read(file)) ?? [];
    expect(first).toMatch(/^import '\.\.?\/node-version\.ts';$/);
  },
);

test('an older Node is told what to do', () => {
  const old =
    "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '22.18.0' } });";
  const { status, stderr } = spawnSync(
    process.execPath,
    ['--import', `data:text/javascript,${encodeURIComponent(old)}`, join(REPOSITORY, 'src/api/main.ts')],
    { encoding: 'utf8' },
  );
  expect(status).toBe(1);
  expect(stderr).toContain('Longrun needs Node 24, and this is Node 22.18.0. Run it with npm');
  expect(stderr).not.toContain('    at ');
});

test.each(['api', 'worker'])('a wrong PORT ends %s with a sentence', (program) => {
  const { status, stderr } = spawnSync(process.execPath, [join(REPOSITORY, 'src', program, 'main.ts')], {
    encoding: 'utf8',
    env: { PORT: 'abc', NODE_COMPILE_CACHE: COMPILE_CACHE },
  });
  expect(status).toBe(1);
  expect(stderr).toBe('The configuration has 1 problem(s):\n  - PORT: must be a number.\n');
});
