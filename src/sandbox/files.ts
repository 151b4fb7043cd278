/**
 * Files in folders that code writes to. The code may replace any of them by a link or a pipe at any time, so they are
 * opened step by step, each step in the folder that the one before has opened, and no link is followed.
 */
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { lstat, open, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { SandboxFile } from './sandbox.ts';

const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;
const MAX_PATH_LENGTH = 500;
const MAX_DEPTH = 16;
const run = promisify(execFile);

/** The file at `path` in `folder`, as it is now; null when it is no ordinary file, or the path leads elsewhere. */
export async function fileIn(folder: string, path: string): Promise<SandboxFile | null> {
  if (!isPlain(path)) return null;
  try {
    await using file = await openIn(folder, path);
    const { size } = await file.stat();
    return { path, bytes: size, open: () => openIn(folder, path) };
  } catch {
    return null;
  }
}

function isPlain(path: string): boolean {
  const parts = path.split('/');
  return (
    path.length <= MAX_PATH_LENGTH &&
    path.isWellFormed() &&
    !path.includes('\0') &&
    parts.length <= MAX_DEPTH &&
    parts.every((part) => part !== '' && part !== '.' && part !== '..')
  );
}

async function openIn(folder: string, path: string): Promise<FileHandle> {
  const parts = path.split('/');
  const name = parts.pop() ?? '';
  let place = await open(folder, O_RDONLY | O_DIRECTORY);
  try {
    for (const part of parts) {
      const next = await openBelow(place, folder, part, O_DIRECTORY);
      await place.close();
      place = next;
    }
    // A pipe without a writer must not keep us waiting.
    const file = await openBelow(place, folder, name, O_NONBLOCK);
    if ((await file.stat()).isFile()) return file;
    await file.close();
    throw new Error('no ordinary file');
  } finally {
    await place.close();
  }
}

/** Where the system cannot open in an open folder (macOS), folders below the first are not looked into. */
async function openBelow(
  place: FileHandle,
  folder: string,
  name: string,
  flags: number,
): Promise<FileHandle> {
  const isLinux = process.platform === 'linux';
  if (!isLinux && flags === O_DIRECTORY) throw new Error('not looked into');
  const path = isLinux ? `/proc/self/fd/${place.fd}/${name}` : join(folder, name);
  if (!isLinux && !(await lstat(path)).isFile()) throw new Error('no ordinary file');
  return open(path, O_RDONLY | O_NOFOLLOW | flags);
}

/** What the system calls this error, such as `ENOENT`. */
export function codeOf(error: unknown): string | null {
  return error instanceof Error && 'code' in error ? String(error.code) : null;
}

/**
 * Removes a folder that code has written to, when the kernel is closed. Code may have closed folders in it, or made them
 * deeper than a path can be long; the system's own commands can take those away.
 */
export async function removeFolder(folder: string): Promise<void> {
  try {
    await rm(folder, { recursive: true, force: true });
  } catch {
    await run('chmod', ['-R', 'u+rwx', folder]).catch(() => {});
    await run('rm', ['-rf', '--', folder]);
  }
}
