/** `/threads`: create, retrieve, modify, delete. Threads cannot be listed. */
import { z } from 'zod';
import { notFound } from '../../errors.ts';
import type { Thread } from '../../runs/thread.ts';
import { json, type Endpoint } from '../http/endpoint.ts';
import type { Services } from '../http/services.ts';
import { admitWrite } from '../../turns/trial-writes.ts';
import { newThread } from './new-thread.ts';
import * as shapes from './shapes.ts';

const modifyBody = z.strictObject({ tool_resources: shapes.toolResources, metadata: shapes.metadata });

export function threadEndpoints(services: Services): readonly Endpoint[] {
  const { objects, now, settings } = services;
  return [
    {
      method: 'POST',
      path: '/threads',
      handle: async (call) => {
        const at = { path: 'messages', limitBytes: settings.messageLimitBytes };
        const { thread, messages } = newThread(call.body(shapes.createThreadBody), call, now(), at);
        await admitWrite(services, call, { makes: thread.id });
        await objects.createThread(call.project, thread, messages);
        return json(thread);
      },
    },
    {
      method: 'GET',
      path: '/threads/:thread_id',
      handle: async (call) => {
        const threadId = call.id('thread_id');
        return json((await objects.getThread({ project: call.project, threadId })) ?? refuse(threadId));
      },
    },
    {
      method: 'POST',
      path: '/threads/:thread_id',
      handle: async (call) => {
        const threadId = call.id('thread_id');
        const ref = { project: call.project, threadId };
        const thread = (await objects.getThread(ref)) ?? refuse(threadId);
        const { metadata } = call.body(modifyBody);
        if (metadata === undefined) return json(thread);
        await admitWrite(services, call, {});
        const change = (old: Thread): Thread => ({ ...old, metadata });
        return json((await objects.updateThread(ref, change)) ?? refuse(threadId));
      },
    },
    {
      method: 'DELETE',
      path: '/threads/:thread_id',
      handle: async (call) => {
        const threadId = call.id('thread_id');
        if (!(await objects.deleteThread({ project: call.project, threadId }))) refuse(threadId);
        return json({ id: threadId, object: 'thread.deleted', deleted: true });
      },
    },
  ];
}

function refuse(id: string): never {
  throw notFound('thread', id);
}
