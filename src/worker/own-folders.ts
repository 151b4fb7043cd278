/**
 * Folders that a worker needs for a moment: of code that runs, of a document that is read. Each is open to its owner only and
 * named by the process that has it, so that what a process left that was killed can be told, and goes.
 */
import { lstat, mkdtemp, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Logger } from '../log.ts';

const PREFIX = 'longrun-';
const NAMED = /^longrun-(?:code|document)-(\d+)-/;

export async function ownFolder(kind: 'code' | 'document'): Promise<string> {
  return mkdtemp(join(tmpdir(), `${PREFIX}${kind}-${process.pid}-`));
}

/** Removes the folders of processes that are gone. What cannot be removed is told, and is no reason not to start. */
export async function tidyFolders(remove: (folder: string) => Promise<void>, log: Logger): Promise<void> {
  for (const name of await readdir(tmpdir()).catch(() => [])) {
    const pid = Number(NAMED.exec(name)?.[1] ?? process.pid);
    const folder = join(tmpdir(), name);
    if (isAlive(pid) || !(await isOwn(folder))) continue;
    await remove(folder).catch((err: unknown) =>
      log.warn({ err }, 'could not remove a folder of a dead worker'),
    );
  }
}

/** Other users of the machine may have folders of such names. */
async function isOwn(folder: string): Promise<boolean> {
  const found = await lstat(folder).catch(() => null);
  return found !== null && found.isDirectory() && found.uid === process.getuid?.();
}

/** A process of another user counts as alive. */
function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH');
  }
}
