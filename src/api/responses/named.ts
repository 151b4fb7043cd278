/** What a request names of its project: pictures, vector stores, files for code. All of it must be there before anything is kept. */
import type { StoredItem } from '../../runs/items.ts';
import { isRecord } from '../../runs/record.ts';
import type { Message } from '../../runs/thread.ts';
import { requireStores } from '../../turns/resources.ts';
import { requireFiles } from '../../turns/stores.ts';
import { checkPictureFiles } from '../http/picture-files.ts';
import type { Services } from '../http/services.ts';
import type { ResponseBody } from './request.ts';

/**
 * @param line the items of the request as they join the thread, each in its place
 * @param list what the request calls them
 * @throws {ApiError} 400 for the first picture that is not there or is none.
 */
export async function checkPictures(
  services: Services,
  project: string,
  line: readonly (Message | StoredItem)[],
  list: 'input' | 'items',
): Promise<void> {
  const messages = line.map((each) => (each.object === 'thread.message' ? each : { content: [] }));
  await checkPictureFiles(services, project, messages, (at) => `${list}[${at}].content`, 'file_id');
}

/** @throws {ApiError} 400 for the first vector store or file of a tool that is not there. */
export async function checkResources(
  services: Services,
  project: string,
  { tools }: Pick<ResponseBody, 'tools'>,
): Promise<void> {
  for (const [at, tool] of (tools ?? []).entries()) {
    const { container } = tool;
    const files = isRecord(container) ? textsIn(container['file_ids']) : [];
    await requireFiles(services, project, files, `tools[${at}].container.file_ids`);
    await requireStores(
      services,
      project,
      textsIn(tool['vector_store_ids']),
      `tools[${at}].vector_store_ids`,
    );
  }
}

const textsIn = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter((each): each is string => typeof each === 'string') : [];
