/** Folders that only their owner can read: they hold what people told their assistants. */
import { chmod, mkdir, readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CannotStart } from '../cannot-start.ts';

/** Modes for folders that only their owner may enter, and files that only their owner may read and write. */
export const PRIVATE_FOLDER = 0o700;
export const PRIVATE_FILE = 0o600;
const OWNER = 0o700;
const READING = 0o500;

/**
 * Makes `folder` private, creating it if necessary, with everything in it. Targets of links are left as they are.
 * @param shown a folder in it that programs of another user are shown, such as sandboxes: what is in there is made readable to
 *   them. Nobody else gets there, because `folder` is closed.
 * @throws when it belongs to another user.
 */
export async function makePrivate(folder: string, shown: string | null = null): Promise<void> {
  await mkdir(folder, { recursive: true, mode: PRIVATE_FOLDER });
  await close(folder);
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isSymbolicLink()) continue;
    const path = join(entry.parentPath, entry.name);
    const isShown = shown !== null && `${path}/`.startsWith(`${join(folder, shown)}/`);
    await change(path, isShown ? shownMode : closedMode);
  }
}

/** An error that says what to do about a folder that cannot be written; the error itself where that is not the problem. */
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

/** Without the rights of others. The owner's rights stay, such as to run the Node that the set-up put here. */
const closedMode = (mode: number): number => mode & OWNER;

/** Others may read and run what the owner may. */
const shownMode = (mode: number): number => {
  const readable = mode & READING;
  return (mode & OWNER) | (readable >> 3) | (readable >> 6);
};

const close = async (path: string): Promise<void> => change(path, closedMode);

async function change(path: string, changed: (mode: number) => number): Promise<void> {
  try {
    const { mode } = await stat(path);
    await chmod(path, changed(mode));
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : '';
    // A server that is about to end may have removed the file.
    if (code === 'ENOENT') return;
    if (code !== 'EPERM') throw error;
    const remedy = `It belongs to somebody else; make it yours: sudo chown -R "$USER" ${path}`;
    throw new Error(`${path} cannot be closed to other users. ${remedy}`, { cause: error });
  }
}
