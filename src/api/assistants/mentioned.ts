/** Which files and vector stores an object names, and which of them are not there. */
import type { Assistant, Message, Thread, ToolResources } from '../../runs/thread.ts';
import type { Objects } from '../../store/objects.ts';

interface Mentioned {
  readonly files: readonly string[];
  readonly stores: readonly string[];
}

/** Files that are cited are left aside: an answer is whole without them. */
function mentionedIn(object: Assistant | Thread | Message): Mentioned {
  if (object.object !== 'thread.message') return resourcesOf(object.tool_resources);
  const pictures = object.content.flatMap((part) =>
    part.type === 'image_file' ? [part.image_file.file_id] : [],
  );
  return { files: [...pictures, ...object.attachments.map(({ file_id }) => file_id)], stores: [] };
}

function resourcesOf({ code_interpreter: code, file_search: search }: ToolResources): Mentioned {
  return { files: code?.file_ids ?? [], stores: search?.vector_store_ids ?? [] };
}

/** The ids that each of the objects names and the project does not have; only objects that name such are in it. */
export async function missingIn(
  { files, vectorStores }: Pick<Objects, 'files' | 'vectorStores'>,
  project: string,
  objects: readonly (Assistant | Thread | Message)[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const all = objects.map((object) => ({ id: object.id, ...mentionedIn(object) }));
  const named = [...new Set(all.flatMap((one) => one.files))];
  const known = new Set(named.length === 0 ? [] : await files.known(project, named));
  for (const storeId of new Set(all.flatMap(({ stores }) => stores)))
    if (await vectorStores.exists({ project, storeId })) known.add(storeId);
  return new Map(
    all.flatMap(({ id, files: own, stores }) => {
      const missing = [...new Set([...own, ...stores])].filter((each) => !known.has(each));
      return missing.length === 0 ? [] : [[id, missing] as const];
    }),
  );
}
