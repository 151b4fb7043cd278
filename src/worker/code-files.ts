/** Keeps the files that programs have written, as files of their project. */
import { fileName, madeFile } from '../runs/file.ts';
import { newId } from '../runs/ids.ts';
import type { Files } from '../store/files.ts';
import { vaultKey, type Vault } from '../vault/vault.ts';

interface CodeFilesOptions {
  readonly vault: Pick<Vault, 'put' | 'drop'>;
  readonly files: Pick<Files, 'add'>;
  /** How many bytes all files of a project may have together. */
  readonly maxProjectFilesBytes: number;
  /** Unix seconds. */
  readonly now: () => number;
}

/**
 * Keeps one file, bytes first.
 * @returns its id
 * @throws where the project has no room for it
 */
export async function keepCodeFile(
  { vault, files, maxProjectFilesBytes, now }: CodeFilesOptions,
  project: string,
  name: string,
  chunks: AsyncIterable<Uint8Array>,
): Promise<string> {
  const fileId = newId('file');
  const key = vaultKey(project, fileId);
  const { bytes } = await vault.put(key, chunks);
  const file = madeFile({ id: fileId, bytes, filename: fileName(name), created_at: now() });
  if (await files.add(project, file, maxProjectFilesBytes)) return fileId;
  await vault.drop(key);
  throw new Error('the files of the project are full');
}
