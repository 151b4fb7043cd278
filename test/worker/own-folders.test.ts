/** Folders of a worker: private, and gone when the process that had them is. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { ownFolder, tidyFolders } from '../../src/worker/own-folders.ts';

const log = pino({ level: 'silent' });
const remove = async (folder: string): Promise<void> => rm(folder, { recursive: true, force: true });
/** A process that was, and is no more. */
const deadPid = (): number => spawnSync(process.execPath, ['--version']).pid;

test('a folder is open to its owner only, and stays while its process lives', async () => {
  const folder = await ownFolder('document');
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  await tidyFolders(remove, log);
  expect(existsSync(folder)).toBe(true);
  await remove(folder);
});

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
