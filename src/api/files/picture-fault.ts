/** Whether a file can be shown to a model as a picture: by its size and its first bytes, whatever its name says. */
import { MAX_PICTURE_BYTES, PICTURE_HEAD_BYTES, pictureType, type PictureFault } from '../../runs/file.ts';
import { isSafeId } from '../../store/keys.ts';
import type { Files } from '../../store/files.ts';
import { headOf } from '../../vault/head.ts';
import { vaultKey, type Vault } from '../../vault/vault.ts';

export async function pictureFaultOf(
  files: Files,
  vault: Vault,
  project: string,
  id: string,
): Promise<PictureFault | null> {
  const file = isSafeId(id) ? await files.get(project, id) : null;
  if (file === null) return 'unknown';
  if (file.bytes > MAX_PICTURE_BYTES) return 'too large';
  const head = await headOf(vault, vaultKey(project, id), PICTURE_HEAD_BYTES);
  if (head === null) return 'unknown';
  return pictureType(head) === null ? 'no picture' : null;
}
