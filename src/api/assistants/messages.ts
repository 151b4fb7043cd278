/** `/threads/{t}/messages`: create, list, retrieve, modify, delete. */
import { z } from 'zod';
import { notFound, threadLocked } from '../../errors.ts';
import { toMessage } from '../../runs/parts.ts';
import type { Message } from '../../runs/thread.ts';
import type { ThreadRef } from '../../store/keys.ts';
import { checkMessages, jsonBytes } from '../../turns/budgets.ts';
import { checkPictureFiles } from '../http/picture-files.ts';
import type { Call } from '../http/call.ts';
import { json, type Endpoint } from '../http/endpoint.ts';
import { page } from '../http/list.ts';
import { mapPage } from '../../store/collection.ts';
import type { Services } from '../http/services.ts';
import { attach, requireAttached } from '../../turns/resources.ts';
import { admitWrite } from '../../turns/trial-writes.ts';
import * as shapes from './shapes.ts';
import { threadFirst } from './thread-first.ts';

const PATH = '/threads/:thread_id/messages';
const modifyBody = z.strictObject({ metadata: shapes.metadata });
const listFilter = z.object({ run_id: z.string().optional() });

export function messageEndpoints(services: Services): readonly Endpoint[] {
  const { objects, runs, now, settings } = services;
  const refOf = (call: Call): { project: string; threadId: string } => ({
    project: call.project,
    threadId: call.id('thread_id'),
  });
  const find = async (call: Call) => {
    const ref = refOf(call);
    const id = call.id('message_id');
    const message = await objects.messages.get(ref, id);
    if (message !== null) return { ref, message };
    throw (await objects.threads.get(ref)) === null
      ? notFound('thread', ref.threadId)
      : notFound('message', id);
  };

  /** What a message attaches is the thread's before the message is. */
  const attachTo = async (ref: ThreadRef, call: Call, message: Message): Promise<void> => {
    if (message.attachments.length === 0) return;
    const { exists, runId } = await objects.threads.activeRun(ref);
    if (!exists) throw notFound('thread', ref.threadId);
    await requireAttached(services, ref.project, [message], () => 'attachments');
    if (runId !== null) await runs.attend({ ...ref, runId });
    await attach(services, call, ref, [message]);
  };

  return [
    {
      method: 'POST',
      path: PATH,
      handle: async (call) => {
        const ref = refOf(call);
        return threadFirst(services, ref, async () => {
          const given = call.body(shapes.newMessage);
          checkMessages([given], () => 'content', settings.messageLimitBytes);
          await checkPictureFiles(services, call.project, [given], () => 'content');
          const message = toMessage(given, ref.threadId, call.newId('msg'), now());
          // The answer repeats it.
          call.admit(call.bodyBytes);
          await admitWrite(services, call, {});
          await attachTo(ref, call, message);
          let added = await objects.line.add(ref, message);
          // The run that holds the thread may be overdue and not ended yet.
          if (added.type === 'locked') {
            await runs.attend({ ...ref, runId: added.runId });
            added = await objects.line.add(ref, message);
          }
          if (added.type === 'locked') throw threadLocked(ref.threadId, added.runId);
          if (added.type === 'no thread') throw notFound('thread', ref.threadId);
          return json(message);
        });
      },
    },
    {
      method: 'GET',
      path: PATH,
      handle: async (call) => {
        const ref = refOf(call);
        const { run_id: runId = null } = call.query(listFilter);
        if (!(await objects.threads.exists(ref))) throw notFound('thread', ref.threadId);
        return page(call, async (query) => {
          const found = await objects.messages.list(ref, runId, query);
          return mapPage(found, (message) => objects.openParts.message(ref, message));
        });
      },
    },
    {
      method: 'GET',
      path: `${PATH}/:message_id`,
      handle: async (call) => {
        const { ref, message } = await find(call);
        return json(await objects.openParts.message(ref, message));
      },
    },
    {
      method: 'POST',
      path: `${PATH}/:message_id`,
      handle: async (call) => {
        const { ref, message } = await find(call);
        const { metadata } = call.body(modifyBody);
        const shown = await objects.openParts.message(ref, message);
        if (metadata === undefined) return json(shown);
        call.admit(jsonBytes(shown));
        await admitWrite(services, call, {});
        if (!(await objects.labels.set(ref, message.id, metadata))) throw notFound('thread', ref.threadId);
        return json({ ...shown, metadata });
      },
    },
    {
      method: 'DELETE',
      path: `${PATH}/:message_id`,
      handle: async (call) => {
        const { ref, message } = await find(call);
        await objects.messages.delete(ref, message);
        return json({ id: message.id, object: 'thread.message.deleted', deleted: true });
      },
    },
  ];
}
