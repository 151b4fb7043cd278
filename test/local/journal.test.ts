/** The file a process's log goes into: who can read it, also when it was there before and when it is turned over. */
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Journal } from '../../src/local/journal.ts';

const TOO_LARGE_BYTES = 17 * 1024 * 1024;

test('only its owner reads a journal, whatever it was before and after it is turned over', () => {
  process.umask(0o022);
  const root = mkdtempSync(join(tmpdir(), 'longrun-journal-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  const folder = join(root, 'log');
  const path = join(folder, 'api.log');
  new Journal(path, () => {}).close();
  expect(modes(folder)).toEqual({ '': '700', 'api.log': '600' });

  writeFileSync(path, '');
  truncateSync(path, TOO_LARGE_BYTES);
  chmodSync(path, 0o644);
  const journal = new Journal(path, () => {});
  onTestFinished(() => journal.close());
  journal.write('one line more');
  expect(modes(folder)).toEqual({ '': '700', 'api.log': '600', 'api.log.1': '600' });
});

function modes(folder: string): Record<string, string> {
  const names = ['', ...readdirSync(folder)];
  return Object.fromEntries(
    names.map((name) => [name, (statSync(join(folder, name)).mode & 0o777).toString(8)]),
  );
}
