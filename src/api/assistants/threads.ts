/** `/threads`: create, list, retrieve, modify, delete. The list is an extension: the hosted API had none. */
import { z } from 'zod';
import { notFound } from '../../errors.ts';
import type { Metadata, Thread } from '../../runs/thread.ts';
import { checkPictureFiles } from '../http/picture-files.ts';
import type { Call } from '../http/call.ts';
import { json, type Endpoint } from '../http/endpoint.ts';
import { page } from '../http/list.ts';
import { validate } from '../http/validate.ts';
import type { Services } from '../http/services.ts';
import { resourcesFrom, THREADS_STORE_KEPT } from '../../turns/resources.ts';
import { admitWrite } from '../../turns/trial-writes.ts';
import { newThread, withResources } from './new-thread.ts';
import * as shapes from './shapes.ts';

/** The name of a parameter `metadata[key]=value`, which the query parser does not take apart. */
const METADATA_PARAMETER = /^metadata\[(.*)\]$/s;
const metadataFilter = z.object({ metadata: shapes.metadata });
const modifyBody = z.strictObject({ tool_resources: shapes.toolResources, metadata: shapes.metadata });

export function threadEndpoints(services: Services): readonly Endpoint[] {
  const { objects, now, settings } = services;
  return [
    {
      method: 'POST',
      path: '/threads',
      handle: async (call) => {
        const at = { path: 'messages', limitBytes: settings.messageLimitBytes };
        const given = call.body(shapes.createThreadBody);
        const made = newThread(given, call, now(), at);
        await checkPictureFiles(services, call.project, made.messages, (n) => `messages[${n}].content`);
        await admitWrite(services, call, { makes: made.thread.id });
        const { thread, messages } = await withResources(services, call, given.tool_resources, made);
        await objects.threads.create(call.project, thread, messages);
        return json(thread);
      },
    },
    {
      method: 'GET',
      path: '/threads',
      handle: (call) => {
        const metadata = wantedMetadata(call);
        return page(call, (query) => objects.threads.list(call.project, query, metadata));
      },
    },
    {
      method: 'GET',
      path: '/threads/:thread_id',
      handle: async (call) => {
        const threadId = call.id('thread_id');
        return json((await objects.threads.get({ project: call.project, threadId })) ?? refuse(threadId));
      },
    },
    {
      method: 'POST',
      path: '/threads/:thread_id',
      handle: async (call) => {
        const threadId = call.id('thread_id');
        const ref = { project: call.project, threadId };
        const thread = (await objects.threads.get(ref)) ?? refuse(threadId);
        const { metadata, tool_resources: resources } = call.body(modifyBody);
        if (metadata === undefined && resources === undefined) return json(thread);
        await admitWrite(services, call, {});
        const named = await resourcesFrom(services, call, resources, THREADS_STORE_KEPT);
        const change = (old: Thread): Thread => {
          const before = resources === null ? {} : old.tool_resources;
          return { ...old, ...(metadata && { metadata }), tool_resources: { ...before, ...named } };
        };
        return json((await objects.threads.update(ref, change)) ?? refuse(threadId));
      },
    },
    {
      method: 'DELETE',
      path: '/threads/:thread_id',
      handle: async (call) => {
        const threadId = call.id('thread_id');
        if (!(await objects.threads.delete({ project: call.project, threadId }))) refuse(threadId);
        return json({ id: threadId, object: 'thread.deleted', deleted: true });
      },
    },
  ];
}

/** The metadata to filter threads by. @throws {ApiError} 400 for metadata that no thread can have */
function wantedMetadata(call: Call): Metadata {
  const parameters = call.query(z.record(z.string(), z.unknown()));
  const pairs = Object.entries(parameters).flatMap(([name, value]) => {
    const key = METADATA_PARAMETER.exec(name)?.[1];
    return key === undefined ? [] : [[key, value] as const];
  });
  // Under its bare name it is no filter: a caller who meant one must not be shown every thread.
  const given = parameters['metadata'] ?? Object.fromEntries(pairs);
  validate(metadataFilter, { metadata: given }, false);
  // The schema leaves `__proto__` out, and what is not filtered by would list every thread.
  return Object.fromEntries(pairs.map(([key, value]) => [key, String(value)]));
}

function refuse(id: string): never {
  throw notFound('thread', id);
}
