/** Folders of a worker: private, and gone when the process that had them is. */
import { spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { ownFolder, tidyFolders } from '../../src/worker/own-folders.ts';

const NOBODY = 65_534;
const log = pino({ level: 'silent' });
const remove = async (folder: string): Promise<void> => rm(folder, { recursive: true, force: true });
/** A process that was, and is no more. */
const deadPid = (): number => spawnSync(process.execPath, ['--version']).pid;

test('a folder is open to its owner only, and names its process', async () => {
  const folder = await ownFolder('document');
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  expect(folder).toContain(`longrun-document-${process.pid}-`);
  await remove(folder);
});

test('the folders of a process that lives stay; those of an earlier one with the number of this one go', async () => {
  const parents = join(tmpdir(), `longrun-code-${process.ppid}-left`);
  const left = join(tmpdir(), `longrun-code-${process.pid}-left`);
  for (const folder of [parents, left, `${left}.images`]) mkdirSync(folder);
  await tidyFolders(remove, log);
  expect([parents, left, `${left}.images`].map((folder) => existsSync(folder))).toStrictEqual([
    true,
    false,
    false,
  ]);
  await remove(parents);
});

test.skipIf(process.getuid?.() !== 0)(
  'what root gave to nobody, because code writes there, goes as well',
  async () => {
    const left = join(tmpdir(), `longrun-code-${deadPid()}-given`);
    const others = join(tmpdir(), `longrun-code-${deadPid()}-others`);
    for (const folder of [left, others]) mkdirSync(folder);
    chownSync(left, NOBODY, NOBODY);
    chownSync(others, NOBODY - 1, NOBODY - 1);
    await tidyFolders(remove, log);
    expect([existsSync(left), existsSync(others)]).toStrictEqual([false, true]);
    await remove(others);
  },
);

test('what a dead process has left goes; what has another name stays, and what cannot be removed stops nobody', async () => {
  const pid = deadPid();
  const left = join(tmpdir(), `longrun-code-${pid}-left`);
  const other = join(tmpdir(), `longrun-other-${pid}-left`);
  for (const folder of [left, other]) mkdirSync(folder);
  await tidyFolders(async () => Promise.reject(new Error('it cannot be removed')), log);
  expect(existsSync(left)).toBe(true);
  await tidyFolders(remove, log);
  expect([existsSync(left), existsSync(other)]).toStrictEqual([false, true]);
  await remove(other);
});
