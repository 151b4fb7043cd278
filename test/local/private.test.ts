/** What `npm start` does to the rights of its data: nobody else gets in, and sandboxes can read their packages again after every start. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { makePrivate } from '../../src/local/private.ts';

const folder = mkdtempSync(join(tmpdir(), 'longrun-private-'));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const modeOf = (path: string): string => (statSync(join(folder, path)).mode & 0o777).toString(8);

test('data is closed, but for the packages that sandboxes are shown', async () => {
  for (const path of ['log', 'code/venv', 'code-notes']) mkdirSync(join(folder, path), { recursive: true });
  const files = {
    'log/api.log': 0o644,
    'code/venv/python': 0o755,
    'code/venv/module.py': 0o600,
    'code-notes/a': 0o644,
  };
  for (const [path, mode] of Object.entries(files)) {
    writeFileSync(join(folder, path), '');
    chmodSync(join(folder, path), mode);
  }
  chmodSync(join(folder, 'code/venv'), 0o700);

  // As after every start, the second included.
  await makePrivate(folder, 'code');
  await makePrivate(folder, 'code');

  expect(Object.keys(files).map(modeOf)).toEqual(['600', '755', '644', '600']);
  expect(['.', 'log', 'code', 'code/venv', 'code-notes'].map(modeOf)).toEqual([
    '700',
    '700',
    '755',
    '755',
    '700',
  ]);
});
