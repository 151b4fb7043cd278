/** `/vector_stores`: create, list, retrieve, modify, delete, search. */
import { z } from 'zod';
import { ApiError, notFound, unsupported } from '../../errors.ts';
import type { StoreRef } from '../../store/keys.ts';
import { admitWrite } from '../../turns/trial-writes.ts';
import { createStore, endStore, requireFiles } from '../../turns/stores.ts';
import type { Call } from '../http/call.ts';
import { json, type Endpoint } from '../http/endpoint.ts';
import { page } from '../http/list.ts';
import type { Services } from '../http/services.ts';
import { metadata } from '../http/shapes.ts';
import * as shapes from './shapes.ts';

const createBody = shapes.createBody(metadata);
const modifyBody = z.strictObject({
  name: shapes.name.nullish(),
  expires_after: shapes.expiresAfter.nullish(),
  metadata,
});

/** What a search finds that does not say how much. */
const DEFAULT_RESULTS = 10;

export function storeEndpoints(services: Services): readonly Endpoint[] {
  const { objects } = services;
  return [
    {
      method: 'POST',
      path: '/vector_stores',
      handle: async (call) => {
        const given = call.body(createBody);
        await requireFiles(services, call.project, given.file_ids ?? [], 'file_ids');
        const id = call.newId('vs');
        await admitWrite(services, call, { makes: id });
        return json(
          await createStore(services, call.project, {
            id,
            name: given.name ?? '',
            description: given.description ?? null,
            expiresAfter: given.expires_after ?? null,
            metadata: given.metadata ?? {},
            entries: (given.file_ids ?? []).map((fileId) => ({
              fileId,
              chunking: given.chunking_strategy,
              attributes: {},
            })),
          }),
        );
      },
    },
    {
      method: 'GET',
      path: '/vector_stores',
      handle: (call) => page(call, (query) => objects.vectorStores.list(call.project, query)),
    },
    {
      method: 'GET',
      path: '/vector_stores/:vector_store_id',
      handle: async (call) => {
        const id = call.id('vector_store_id');
        return json((await objects.vectorStores.get(call.project, id)) ?? refuse(id));
      },
    },
    {
      method: 'POST',
      path: '/vector_stores/:vector_store_id',
      handle: async (call) => {
        const { project, storeId } = await storeOf(services, call);
        const given = call.body(modifyBody);
        await admitWrite(services, call, {});
        const change = {
          ...(given.name !== undefined && { name: given.name ?? '' }),
          ...(given.expires_after !== undefined && { expires_after: given.expires_after }),
          ...(given.metadata !== undefined && { metadata: given.metadata }),
        };
        return json((await objects.vectorStores.update(project, storeId, change)) ?? refuse(storeId));
      },
    },
    {
      method: 'DELETE',
      path: '/vector_stores/:vector_store_id',
      handle: async (call) => {
        const ref = await storeOf(services, call);
        await endStore(services, ref);
        return json({ id: ref.storeId, object: 'vector_store.deleted', deleted: true });
      },
    },
    {
      method: 'POST',
      path: '/vector_stores/:vector_store_id/search',
      // It changes nothing, and what is found may be large.
      repeatsItself: true,
      handle: async (call) => json(await search(services, call)),
    },
  ];
}

/** The store that the path names. @throws {ApiError} 404 when there is none. */
export async function storeOf({ objects }: Services, call: Call): Promise<StoreRef> {
  const storeId = call.id('vector_store_id');
  if ((await objects.vectorStores.get(call.project, storeId)) === null) refuse(storeId);
  return { project: call.project, storeId };
}

/** As {@link storeOf}, for what an expired store can no longer do. @throws {ApiError} 400 when it has expired. */
export async function liveStoreOf({ objects }: Services, call: Call): Promise<StoreRef> {
  const storeId = call.id('vector_store_id');
  const store = (await objects.vectorStores.get(call.project, storeId)) ?? refuse(storeId);
  if (store.status !== 'expired') return { project: call.project, storeId };
  const text = `The vector store '${storeId}' has expired. Create a new one with its files.`;
  throw new ApiError(400, text, { code: 'vector_store_expired' });
}

async function search(services: Services, call: Call): Promise<object> {
  const { project, storeId } = await liveStoreOf(services, call);
  const given = call.body(shapes.searchBody);
  if (given.rewrite_query === true) throw unsupported('Rewriting of queries is', 'rewrite_query');
  const queries = typeof given.query === 'string' ? [given.query] : given.query;
  const found = await services.shelf.search(
    {
      project,
      storeIds: [storeId],
      queries,
      filter: given.filters ?? null,
      limit: given.max_num_results ?? DEFAULT_RESULTS,
      minScore: given.ranking_options?.score_threshold ?? 0,
    },
    call.gone,
  );
  await services.objects.vectorStores.touch(project, [storeId]);
  return {
    object: 'vector_store.search_results.page',
    search_query: queries,
    data: found.map(({ file_name: filename, file_id, score, attributes, content }) => ({
      file_id,
      filename,
      score,
      attributes,
      content,
    })),
    has_more: false,
    next_page: null,
  };
}

function refuse(id: string): never {
  throw notFound('store', id);
}
