/**
 * The files and vector stores of assistants, threads and runs: checks what a client names, makes the stores it asks for on the
 * way, and puts the attachments of messages where the hosted tools find them.
 */
import { ApiError, echo } from '../errors.ts';
import type { RunResources } from '../runs/event.ts';
import { withCodeFiles } from '../runs/hosted.ts';
import type { Attachment, Metadata, Run, ToolResources } from '../runs/thread.ts';
import { AUTO_CHUNKING, type StaticChunking, type StoreExpiry } from '../runs/vector-store.ts';
import type { ThreadRef } from '../store/keys.ts';
import type { Caller } from './caller.ts';
import type { Means } from './means.ts';
import { createStore, endStore, noFile, requireFiles } from './stores.ts';
import { admitWrite } from './trial-writes.ts';

/** What a client says about resources; null and absent are the same. */
export interface ResourcesInput {
  readonly code_interpreter?: { readonly file_ids?: readonly string[] | null | undefined } | null | undefined;
  readonly file_search?:
    | {
        readonly vector_store_ids?: readonly string[] | null | undefined;
        /** A store that is to be made. */
        readonly vector_stores?: readonly NewStoreInput[] | null | undefined;
      }
    | null
    | undefined;
}

export interface NewStoreInput {
  readonly file_ids?: readonly string[] | null | undefined;
  readonly chunking_strategy: StaticChunking;
  readonly metadata?: Metadata | undefined;
}

/** Stores that are made for a thread go some time after its last search, as at the hosted API. */
export const THREADS_STORE_KEPT: StoreExpiry = { anchor: 'last_active_at', days: 7 };
const MAX_TRIES = 20;
/** Where in a request a thread's resources are. */
export type ParamBase = '' | 'thread.';

type Resourceful = Pick<Means, 'objects' | 'shelving' | 'shelf' | 'now' | 'trial'>;

/**
 * The resources that a client names or asks for, as they are stored: those of the mentioned tools only.
 * @param kept how long a store is kept that is made on the way; null for as long as nobody deletes it
 * @param under what the names of parameters begin with: where the resources are in the request
 * @throws {ApiError} 400 for a file or store that the project does not have
 */
export async function resourcesFrom(
  means: Resourceful,
  caller: Caller,
  given: ResourcesInput | null | undefined,
  kept: StoreExpiry | null,
  under: ParamBase = '',
): Promise<ToolResources> {
  const { project } = caller;
  const files = given?.code_interpreter?.file_ids ?? [];
  await requireFiles(means, project, files, `${under}tool_resources.code_interpreter.file_ids`);
  const search = given?.file_search;
  const stores = search?.vector_store_ids ?? [];
  await requireStores(means, project, stores, `${under}tool_resources.file_search.vector_store_ids`);
  const [asked] = search?.vector_stores ?? [];
  const param = `${under}tool_resources.file_search.vector_stores[0].file_ids`;
  await requireFiles(means, project, asked?.file_ids ?? [], param);
  const made = asked === undefined ? null : await makeStore(means, caller, asked, kept);
  return {
    ...(given?.code_interpreter != null && { code_interpreter: { file_ids: files } }),
    ...(search != null && { file_search: { vector_store_ids: made === null ? stores : [made] } }),
  };
}

/** The resources that a request names, without those that it asks for; checked by {@link resourcesFrom} where they are kept. */
export function storedIn({ code_interpreter: code, file_search: search }: ResourcesInput): ToolResources {
  return {
    ...(code?.file_ids != null && { code_interpreter: { file_ids: code.file_ids } }),
    ...(search?.vector_store_ids != null && { file_search: { vector_store_ids: search.vector_store_ids } }),
  };
}

async function makeStore(
  means: Resourceful,
  caller: Caller,
  { file_ids, chunking_strategy: chunking, metadata = {} }: NewStoreInput,
  expiresAfter: StoreExpiry | null,
): Promise<string> {
  const { project } = caller;
  const files = file_ids ?? [];
  const entries = files.map((fileId) => ({ fileId, chunking, attributes: {} }));
  const id = caller.newId('vs');
  await admitWrite(means, caller, { makes: id, textBytes: 0 });
  await createStore(means, project, { id, name: '', description: null, expiresAfter, metadata, entries });
  return id;
}

/** @throws {ApiError} 400 for a vector store that the project does not have. @param param where they are named */
export async function requireStores(
  { objects }: Pick<Resourceful, 'objects'>,
  project: string,
  ids: readonly string[],
  param: string,
): Promise<void> {
  for (const id of ids) {
    if ((await objects.vectorStores.get(project, id)) !== null) continue;
    const text = `No vector store found with id '${echo(id)}'.`;
    throw new ApiError(400, text, { param, code: 'vector_store_not_found' });
  }
}

/**
 * @param paramOf the place of a message's attachments in the request
 * @throws {ApiError} 400 when a message attaches a file that the project does not have.
 */
export async function requireAttached(
  means: Resourceful,
  project: string,
  messages: readonly { readonly attachments: readonly Attachment[] }[],
  paramOf: (index: number) => string,
): Promise<void> {
  const ids = messages.flatMap(({ attachments }) => attachments.map(({ file_id }) => file_id));
  if (ids.length === 0) return;
  const known = await means.objects.files.known(project, [...new Set(ids)]);
  for (const [index, { attachments }] of messages.entries()) {
    const at = attachments.findIndex(({ file_id }) => !known.has(file_id));
    const missing = attachments[at]?.file_id;
    if (missing !== undefined) throw noFile(missing, `${paramOf(index)}[${at}].file_id`);
  }
}

/**
 * The resources of a thread with what its messages attach: files for code by their ids, files to search in the thread's store,
 * which is made where there is none.
 */
export async function withAttached(
  means: Resourceful,
  caller: Caller,
  own: ToolResources,
  messages: readonly { readonly attachments: readonly Attachment[] }[],
): Promise<ToolResources> {
  const { project } = caller;
  const wanted = attachedIn(messages);
  let resources = own;
  if (wanted.code.length > 0) resources = withCodeFiles(resources, wanted.code);
  if (wanted.search.length === 0) return resources;
  const named = storeOf(resources);
  const storeId =
    (named !== null && (await isLive(means, project, named)) ? named : null) ??
    (await makeStore(means, caller, { chunking_strategy: AUTO_CHUNKING }, THREADS_STORE_KEPT));
  await fill(means, project, storeId, wanted.search);
  return { ...resources, file_search: { vector_store_ids: [storeId] } };
}

/** As {@link withAttached}, for a thread that is there, which others may change at the same time. */
export async function attach(
  means: Resourceful,
  caller: Caller,
  ref: ThreadRef,
  messages: readonly { readonly attachments: readonly Attachment[] }[],
): Promise<void> {
  const wanted = attachedIn(messages);
  if (wanted.code.length === 0 && wanted.search.length === 0) return;
  const { project } = ref;
  let made: string | null = null;
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const thread = await means.objects.threads.get(ref);
    if (thread === null) return;
    const own = storeOf(thread.tool_resources);
    const lost = own !== null && !(await isLive(means, project, own)) ? own : null;
    if (wanted.search.length > 0 && (own === null || lost !== null))
      made ??= await makeStore(means, caller, { chunking_strategy: AUTO_CHUNKING }, THREADS_STORE_KEPT);
    const candidate = made;
    const changed = await means.objects.threads.update(ref, (old) => ({
      ...old,
      tool_resources: withStore(withCodeFiles(old.tool_resources, wanted.code), candidate, lost),
    }));
    if (changed === null) return;
    const storeId = storeOf(changed.tool_resources);
    // Another request was faster, and its store is the thread's.
    if (made !== null && storeId !== made) await endStore(means, { project, storeId: made });
    if (wanted.search.length === 0) return;
    if (storeId === null) continue;
    await fill(means, project, storeId, wanted.search);
    return;
  }
}

/** The hosted tools' resources of a run; nothing where it has none of these tools. */
export function resourcesOfRun(
  tools: Run['tools'],
  ...owners: readonly (ToolResources | null | undefined)[]
): { readonly resources?: RunResources } {
  if (!tools.some(({ type }) => type === 'file_search' || type === 'code_interpreter')) return {};
  const all = <T>(read: (one: ToolResources) => readonly T[] | undefined): readonly T[] => [
    ...new Set(owners.flatMap((owner) => (owner && read(owner)) ?? [])),
  ];
  return {
    resources: {
      vector_store_ids: all((one) => one.file_search?.vector_store_ids),
      file_ids: all((one) => one.code_interpreter?.file_ids),
    },
  };
}

interface Attached {
  readonly code: readonly string[];
  readonly search: readonly string[];
}

function attachedIn(messages: readonly { readonly attachments: readonly Attachment[] }[]): Attached {
  const all = messages.flatMap(({ attachments }) => attachments);
  const forTool = (type: string): readonly string[] => [
    ...new Set(
      all.filter(({ tools }) => tools.some((tool) => tool.type === type)).map(({ file_id }) => file_id),
    ),
  ];
  return { code: forTool('code_interpreter'), search: forTool('file_search') };
}

const storeOf = ({ file_search }: ToolResources): string | null => file_search?.vector_store_ids[0] ?? null;

/** Whether there is such a store that has not expired. */
async function isLive({ objects }: Resourceful, project: string, storeId: string): Promise<boolean> {
  const store = await objects.vectorStores.get(project, storeId);
  return store !== null && store.status !== 'expired';
}

/** With a store where there is none, or one that is lost. */
function withStore(resources: ToolResources, storeId: string | null, lost: string | null): ToolResources {
  const own = storeOf(resources);
  if (storeId === null || (own !== null && own !== lost)) return resources;
  return { ...resources, file_search: { vector_store_ids: [storeId] } };
}

/** Puts files into a store that are not there yet. */
async function fill(
  { objects, shelving }: Resourceful,
  project: string,
  storeId: string,
  fileIds: readonly string[],
): Promise<void> {
  const ref = { project, storeId };
  const known = await Promise.all(fileIds.map(async (fileId) => objects.storeFiles.get({ ...ref, fileId })));
  const missing = fileIds.filter((_, index) => known[index] === null);
  await shelving.put(
    ref,
    missing.map((fileId) => ({ fileId, chunking: AUTO_CHUNKING, attributes: {} })),
  );
}
