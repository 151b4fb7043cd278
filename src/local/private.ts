/** Folders that only their owner can look into: what people told their assistants lies there. */
import { chmod, mkdir, readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CannotStart } from '../errors.ts';

/** Modes of what only its owner may enter, and what only its owner may read and write. */
export const PRIVATE_FOLDER = 0o700;
export const PRIVATE_FILE = 0o600;
const OWNER = 0o700;

/**
 * Makes `folder`, or closes the one that is there and everything in it. What a link leads to is left as it is.
 * @throws when it belongs to somebody else.
 */
export async function makePrivate(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: PRIVATE_FOLDER });
  await close(folder);
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isSymbolicLink()) continue;
    await close(join(entry.parentPath, entry.name));
  }
}

/** What to do about a folder that cannot be written, or the error itself where that is not what is wrong. */
export function unwritable(error: unknown, folder: string): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const remedies: Readonly<Record<string, string>> = {
    EACCES: `Make the folder of Longrun yours: sudo chown -R "$USER" ${dirname(folder)}`,
    EROFS: 'It lies on a disk that can only be read: copy Longrun to another one.',
    ENOSPC: 'The disk is full: make room on it.',
    EEXIST: 'A file is in its place: move that away.',
  };
  const remedy = remedies[code];
  if (remedy === undefined) return error;
  return new CannotStart(`${folder} cannot be written (${code}). ${remedy}`, { cause: error });
}

/** Takes away what others may do; what its owner may do stays, such as run the Node that the set-up put here. */
async function close(path: string): Promise<void> {
  try {
    const { mode } = await stat(path);
    await chmod(path, mode & OWNER);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : '';
    // A server that is about to end removes files.
    if (code === 'ENOENT') return;
    if (code !== 'EPERM') throw error;
    const remedy = `It belongs to somebody else; make it yours: sudo chown -R "$USER" ${path}`;
    throw new Error(`${path} cannot be closed to other users. ${remedy}`, { cause: error });
  }
}
