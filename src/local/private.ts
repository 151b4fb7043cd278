/** Folders that only their owner can look into: what people told their assistants lies there. */
import { chmod, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Modes of what only its owner may enter, and what only its owner may read and write. */
export const PRIVATE_FOLDER = 0o700;
export const PRIVATE_FILE = 0o600;

/**
 * Makes `folder`, or closes the one that is there and everything in it. What a link leads to is left as it is.
 * @throws when it belongs to somebody else.
 */
export async function makePrivate(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: PRIVATE_FOLDER });
  await close(folder, PRIVATE_FOLDER);
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isSymbolicLink()) continue;
    await close(join(entry.parentPath, entry.name), entry.isDirectory() ? PRIVATE_FOLDER : PRIVATE_FILE);
  }
}

async function close(path: string, mode: number): Promise<void> {
  try {
    await chmod(path, mode);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : '';
    // A server that is about to end removes files.
    if (code === 'ENOENT') return;
    if (code !== 'EPERM') throw error;
    const remedy = `It belongs to somebody else; make it yours: sudo chown -R "$USER" ${path}`;
    throw new Error(`${path} cannot be closed to other users. ${remedy}`, { cause: error });
  }
}
