/** What a file in a vector store is called, for those who found something in it. */
import type { FileAttributes } from '../runs/vector-store.ts';
import type { Objects } from './objects.ts';
import type { ShelfRef } from './store-files.ts';

/** @returns null for a file that is gone, or is not in the store any more */
export async function describeFile(
  { files, storeFiles }: Pick<Objects, 'files' | 'storeFiles'>,
  ref: ShelfRef,
): Promise<{ readonly name: string; readonly attributes: FileAttributes } | null> {
  const [file, shelved] = await Promise.all([files.get(ref.project, ref.fileId), storeFiles.get(ref)]);
  return file && shelved && { name: file.filename, attributes: shelved.attributes };
}
