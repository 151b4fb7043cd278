/** `/vector_stores/{id}/files` and `/file_batches`: which files a store has, how far they are read, and their texts. */
import { z } from 'zod';
import { notFound } from '../../errors.ts';
import type { StoreRef } from '../../store/keys.ts';
import { fileView, type ShelvedFile } from '../../runs/shelf.ts';
import type { IndexStatus, VectorStoreBatch } from '../../runs/vector-store.ts';
import { mapPage } from '../../store/collection.ts';
import { requireFiles, takeOut } from '../../turns/stores.ts';
import { admitWrite } from '../../turns/trial-writes.ts';
import type { Call } from '../http/call.ts';
import { json, type Answer, type Endpoint } from '../http/endpoint.ts';
import { page } from '../http/list.ts';
import type { Services } from '../http/services.ts';
import * as shapes from './shapes.ts';
import { liveStoreOf, storeOf } from './stores.ts';

/** `filter`: one status. */
const filterQuery = z.object({ filter: shapes.statusFilter.optional() });
const attributesBody = z.strictObject({ attributes: shapes.attributes });

const FILES = '/vector_stores/:vector_store_id/files';
const BATCHES = '/vector_stores/:vector_store_id/file_batches';
/** Chunks whose texts are read at a time. */
const TEXTS_PAGE = 200;
/** What one answer holds of a file's texts, in bytes about. */
const MAX_TEXTS_LENGTH = 8 * 1024 * 1024;

export function storeFileEndpoints(services: Services): readonly Endpoint[] {
  const { objects, shelving, shelf } = services;
  return [
    {
      method: 'POST',
      path: FILES,
      handle: async (call) => {
        const ref = await liveStoreOf(services, call);
        const { file_id: fileId, chunking_strategy: chunking, attributes } = call.body(shapes.entry);
        await requireFiles(services, call.project, [fileId], 'file_id');
        await admitWrite(services, call, {});
        const [file] = await shelving.put(ref, [{ fileId, chunking, attributes }]);
        await objects.vectorStores.touch(ref.project, [ref.storeId]);
        return json(file === undefined ? refuse(fileId) : fileView(file));
      },
    },
    { method: 'GET', path: FILES, handle: async (call) => files(call, await storeOf(services, call), null) },
    {
      method: 'GET',
      path: `${FILES}/:file_id`,
      handle: async (call) => polled(services, fileView(await fileOf(services, call))),
    },
    {
      method: 'POST',
      path: `${FILES}/:file_id`,
      handle: async (call) => {
        const ref = await refOf(services, call);
        const { attributes } = call.body(attributesBody);
        await admitWrite(services, call, {});
        const changed = await objects.storeFiles.change(ref, (old) => old && { ...old, attributes });
        if (changed === null) refuse(ref.fileId);
        await shelf.setAttributes(ref, attributes);
        return json(fileView(changed));
      },
    },
    {
      method: 'DELETE',
      path: `${FILES}/:file_id`,
      handle: async (call) => {
        const ref = await refOf(services, call);
        await takeOut(services, ref);
        return json({ id: ref.fileId, object: 'vector_store.file.deleted', deleted: true });
      },
    },
    {
      method: 'GET',
      path: `${FILES}/:file_id/content`,
      handle: async (call) => {
        const ref = await refOf(services, call);
        const data: { type: 'text'; text: string }[] = [];
        let length = 0;
        for (let from = 0; length < MAX_TEXTS_LENGTH; from += TEXTS_PAGE) {
          const texts = await shelf.texts(ref, from, TEXTS_PAGE);
          for (const text of texts) {
            data.push({ type: 'text', text });
            length += text.length;
          }
          if (texts.length < TEXTS_PAGE) break;
        }
        return json({ object: 'vector_store.file_content.page', data, has_more: false, next_page: null });
      },
    },
    {
      method: 'POST',
      path: BATCHES,
      handle: async (call) => {
        const ref = await liveStoreOf(services, call);
        const given = call.body(shapes.batchBody);
        const entries =
          given.files?.map(({ file_id, chunking_strategy, attributes }) => ({
            fileId: file_id,
            chunking: chunking_strategy,
            attributes,
          })) ??
          (given.file_ids ?? []).map((fileId) => ({
            fileId,
            chunking: given.chunking_strategy,
            attributes: given.attributes,
          }));
        const param = given.files == null ? 'file_ids' : 'files';
        await requireFiles(
          services,
          call.project,
          entries.map(({ fileId }) => fileId),
          param,
        );
        const id = call.newId('vsfb');
        await admitWrite(services, call, {});
        await objects.storeFiles.createBatch(ref, {
          id,
          object: 'vector_store.files_batch',
          created_at: services.now(),
          cancelled: false,
        });
        await shelving.put(ref, unique(entries), id);
        await objects.vectorStores.touch(ref.project, [ref.storeId]);
        return json(await batchOf(services, ref, id));
      },
    },
    {
      method: 'GET',
      path: `${BATCHES}/:batch_id`,
      handle: async (call) =>
        polled(services, await batchOf(services, await storeOf(services, call), call.part('batch_id'))),
    },
    {
      method: 'POST',
      path: `${BATCHES}/:batch_id/cancel`,
      handle: async (call) => {
        const ref = await storeOf(services, call);
        const id = call.part('batch_id');
        const batch = await batchOf(services, ref, id);
        if (batch.status !== 'in_progress') return json(batch);
        await objects.storeFiles.cancelBatch(ref, id);
        await cancelFiles(services, ref, id);
        return json(await batchOf(services, ref, id));
      },
    },
    {
      method: 'GET',
      path: `${BATCHES}/:batch_id/files`,
      handle: async (call) => {
        const ref = await storeOf(services, call);
        const id = call.part('batch_id');
        await batchOf(services, ref, id);
        return files(call, ref, id);
      },
    },
  ];

  async function files(call: Call, ref: StoreRef, batchId: string | null): Promise<Answer> {
    const { filter = null } = call.query(filterQuery);
    return page(call, async (query) =>
      mapPage(await objects.storeFiles.list(ref, batchId, query, filter), fileView),
    );
  }
}

/** The file that the path names. */
interface FileInStore extends StoreRef {
  readonly fileId: string;
}

async function refOf(services: Services, call: Call): Promise<FileInStore> {
  const ref = { ...(await storeOf(services, call)), fileId: call.part('file_id') };
  if ((await services.objects.storeFiles.get(ref)) === null) refuse(ref.fileId);
  return ref;
}

async function fileOf(services: Services, call: Call): Promise<ShelvedFile> {
  const ref = { ...(await storeOf(services, call)), fileId: call.part('file_id') };
  return (await services.objects.storeFiles.get(ref)) ?? refuse(ref.fileId);
}

async function batchOf({ objects }: Services, ref: StoreRef, id: string): Promise<VectorStoreBatch> {
  const batch = await objects.storeFiles.batch(ref, id);
  if (batch === null) throw notFound('batch', id);
  return batch;
}

/** Of a file that is named twice, the last entry counts. */
function unique<T extends { readonly fileId: string }>(entries: readonly T[]): readonly T[] {
  return [...new Map(entries.map((entry) => [entry.fileId, entry])).values()];
}

async function cancelFiles({ objects }: Services, ref: StoreRef, batchId: string): Promise<void> {
  const query = { limit: shapes.MAX_BATCH_FILES, order: 'asc', after: null, before: null } as const;
  const status: IndexStatus = 'in_progress';
  const found = await objects.storeFiles.list(ref, batchId, query, status);
  for (const { id, stamp } of found.type === 'page' ? found.items : []) {
    await objects.storeFiles.change({ ...ref, fileId: id }, (old) =>
      old?.status === status && old.stamp === stamp ? { ...old, status: 'cancelled' } : undefined,
    );
  }
}

/** Clients that wait for a file or batch are told how soon to ask again. */
function polled({ settings }: Services, value: { readonly status: IndexStatus }): Answer {
  if (value.status !== 'in_progress') return json(value);
  return { type: 'json', value, headers: { 'openai-poll-after-ms': String(settings.pollAfterMs) } };
}

function refuse(id: string): never {
  throw notFound('shelved', id);
}
