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
/** Whom root gives the folders that code writes to (sandbox/launch.ts). */
const NOBODY = 65_534;

export async function ownFolder(kind: 'code' | 'document'): Promise<string> {
  return mkdtemp(join(tmpdir(), `${PREFIX}${kind}-${process.pid}-`));
}

/**
 * Removes the folders of processes that are gone. Called before this process has one: those with its number are of an earlier
 * process, because in a container every worker has the same. What cannot be removed is told, and is no reason not to start.
 */
export async function tidyFolders(remove: (folder: string) => Promise<void>, log: Logger): Promise<void> {
  for (const name of await readdir(tmpdir()).catch(() => [])) {
    const [, pid] = NAMED.exec(name) ?? [];
    const folder = join(tmpdir(), name);
    if (pid === undefined || isAlive(Number(pid)) || !(await isOwn(folder))) continue;
    await remove(folder).catch((err: unknown) =>
      log.warn({ err }, 'could not remove a folder of a dead worker'),
    );
  }
}

/** Other users of the machine may have folders of such names. */
async function isOwn(folder: string): Promise<boolean> {
  const found = await lstat(folder).catch(() => null);
  if (found === null || !found.isDirectory()) return false;
  const user = process.getuid?.();
  return found.uid === user || (user === 0 && found.uid === NOBODY);
}

/** Whether another process has that number; one of another user counts. */
function isAlive(pid: number): boolean {
  if (pid === process.pid) return false;
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH');
  }
}
