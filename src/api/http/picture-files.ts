/** Pictures of new messages that are files: each must be there, and be a picture, before anything is stored. */
import { ApiError, echo } from '../../errors.ts';
import type { ContentPart } from '../../runs/thread.ts';
import type { Services } from './services.ts';

/**
 * @param paramOf the place of a message's content in the request
 * @param field where a part has its file
 * @throws {ApiError} 400 for the first file that is no picture a model can be shown.
 */
export async function checkPictureFiles(
  { pictureFault }: Pick<Services, 'pictureFault'>,
  project: string,
  messages: readonly { readonly content: readonly ContentPart[] }[],
  paramOf: (index: number) => string,
  field: string = 'image_file.file_id',
): Promise<void> {
  const checked = new Set<string>();
  for (const [index, { content }] of messages.entries()) {
    for (const [at, part] of content.entries()) {
      if (part.type !== 'image_file' || checked.has(part.image_file.file_id)) continue;
      const { file_id: id } = part.image_file;
      checked.add(id);
      const fault = await pictureFault(project, id);
      const param = `${paramOf(index)}[${at}].${field}`;
      if (fault !== null)
        throw new ApiError(400, `Invalid '${param}': ${FAULTS[fault](id)}`, { param, code: 'invalid_value' });
    }
  }
}

const FAULTS = {
  unknown: (id: string) => `No such File object: ${echo(id)}.`,
  'too large': (id: string) => `${id} is larger than 20 MB, the most that a picture may have.`,
  'no picture': (id: string) =>
    `${id} is no picture that models are shown. Its first bytes must be those of a PNG, JPEG, GIF or WebP file.`,
} as const;
