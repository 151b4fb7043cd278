/** Conversations: threads under another name, with the items of both APIs in them. */
import { z } from 'zod';
import { ApiError, echo } from '../../errors.ts';
import { callsOf } from '../../runs/parts.ts';
import type { Metadata, Thread } from '../../runs/thread.ts';
import type { ThreadRef } from '../../store/keys.ts';
import { admitWrite } from '../../turns/trial-writes.ts';
import type { Call } from '../http/call.ts';
import { json, type Answer, type Endpoint } from '../http/endpoint.ts';
import type { Services } from '../http/services.ts';
import * as shapes from '../http/shapes.ts';
import { conversationLocked } from './create.ts';
import { conversationId, itemId, itemName } from './ids.ts';
import { checkedItem, toLine } from './input.ts';
import { linePage } from './item-list.ts';
import { lineItems } from './line.ts';
import { checkPictures } from './named.ts';
import { conversationOf } from './place.ts';
import { findItem, itemNotFound, resolved } from './references.ts';
import { checkSizes, lineBytes } from './sizes.ts';

const PATH = '/conversations';
const ONE = `${PATH}/:conversation_id`;
const ITEMS = `${ONE}/items`;
/** At a time, as at the hosted API. */
const MAX_ITEMS = 20;

const items = z
  .array(z.looseObject({ type: z.string().nullish() }))
  .max(MAX_ITEMS)
  .nullish();
const createBody = z.looseObject({ items, metadata: shapes.metadata });
const updateBody = z.looseObject({ metadata: shapes.metadata });
const itemsBody = z.looseObject({
  items: z
    .array(z.looseObject({ type: z.string().nullish() }))
    .min(1)
    .max(MAX_ITEMS),
});

export function conversationEndpoints(services: Services): readonly Endpoint[] {
  const { objects, now, seal } = services;

  const find = async (call: Call): Promise<ThreadRef> =>
    conversationOf(services, call.project, call.part('conversation_id'));
  const read = async (call: Call): Promise<Thread> => {
    const ref = await find(call);
    const thread = await objects.threads.get(ref);
    if (thread === null)
      throw new ApiError(404, `Conversation with id '${call.part('conversation_id')}' not found.`);
    return thread;
  };
  /** The items of a body as they join a thread. */
  const toParts = async (call: Call, threadId: string, given: z.infer<typeof items>) => {
    const checked = (given ?? []).map((item, index) => checkedItem(item, `items[${index}]`));
    const whole = await resolved(services, call, checked, 'items');
    const making = { now: now(), unseal: (sealed: string) => seal?.openText(sealed, call.project) ?? null };
    const line = whole.map((item) => toLine(making, call, threadId, item));
    checkSizes(services, line, 'items');
    await checkPictures(services, call.project, line, 'items');
    return line;
  };

  return [
    {
      method: 'POST',
      path: PATH,
      handle: async (call) => {
        const given = call.body(createBody);
        const id = call.newId('thread');
        const metadata = given.metadata ?? {};
        const thread: Thread = { id, object: 'thread', created_at: now(), metadata, tool_resources: {} };
        const parts = await toParts(call, id, given.items);
        await admitWrite(services, call, { makes: id, textBytes: () => lineBytes(parts) });
        await objects.line.append({ project: call.project, threadId: id }, thread, parts);
        return json(shown(thread));
      },
    },
    { method: 'GET', path: ONE, handle: async (call) => json(shown(await read(call))) },
    {
      method: 'POST',
      path: ONE,
      handle: async (call) => {
        const { metadata } = call.body(updateBody);
        const ref = await find(call);
        await admitWrite(services, call, {});
        const thread = await objects.threads.update(ref, (old) => ({
          ...old,
          metadata: metadata ?? old.metadata,
        }));
        return json(shown(thread ?? (await read(call))));
      },
    },
    {
      method: 'DELETE',
      path: ONE,
      handle: async (call) => {
        const ref = await find(call);
        await objects.threads.delete(ref);
        return json({ id: conversationId(ref.threadId), object: 'conversation.deleted', deleted: true });
      },
    },
    {
      method: 'POST',
      path: ITEMS,
      handle: async (call) => {
        const ref = await find(call);
        const given = call.body(itemsBody);
        const parts = await toParts(call, ref.threadId, given.items);
        await admitWrite(services, call, { textBytes: () => lineBytes(parts) });
        const added = await objects.line.append(ref, null, parts);
        if (added.type === 'locked') throw conversationLocked(ref.threadId);
        if (added.type === 'no thread') await read(call);
        const data = parts.flatMap((item) => lineItems({ item, place: 0, thoughts: [] }));
        return json({
          object: 'list',
          data,
          first_id: data[0]?.id ?? null,
          last_id: data.at(-1)?.id ?? null,
          has_more: false,
        });
      },
    },
    {
      method: 'GET',
      path: ITEMS,
      handle: async (call): Promise<Answer> => linePage(services, call, await find(call)),
    },
    {
      method: 'GET',
      path: `${ITEMS}/:item_id`,
      handle: async (call) => {
        const ref = await find(call);
        const id = idIn(ref, call.part('item_id'));
        const found =
          itemName(id).threadId === ref.threadId ? await findItem(services, call.project, id) : null;
        if (found === null) throw itemNotFound(id);
        return json(found);
      },
    },
    {
      method: 'DELETE',
      path: `${ITEMS}/:item_id`,
      handle: async (call) => {
        const ref = await find(call);
        const id = idIn(ref, call.part('item_id'));
        if (!(await remove(services, ref, id))) throw itemNotFound(id);
        return json(shown(await read(call)));
      },
    },
  ];
}

/** The id of an item, where the Assistants API's id of a message was given: that does not name the thread. */
function idIn(ref: ThreadRef, id: string): string {
  const { prefix, threadId } = itemName(id);
  return threadId === null && prefix === 'msg' ? itemId('msg', id, ref) : id;
}

/**
 * Removes an item from a conversation: a call with its answer. @returns whether it was there
 * @throws {ApiError} 400 for one of several calls that were made together.
 */
async function remove({ objects }: Services, ref: ThreadRef, id: string): Promise<boolean> {
  const { prefix, own, number, threadId } = itemName(id);
  if (threadId !== ref.threadId) return false;
  if (number !== null) {
    const step = await objects.line.find(ref, `step_${own}`);
    const calls = step?.item.object === 'thread.run.step' ? callsOf(step.item) : [];
    if (calls.length > 1) throw notAlone(id, calls.length);
    return calls.length === 1 && objects.line.remove(ref, `step_${own}`);
  }
  const message = prefix === 'msg' ? await objects.messages.get(ref, `msg_${own}`) : null;
  if (message !== null) return objects.messages.delete(ref, message);
  return objects.line.remove(ref, `item_${own}`);
}

function notAlone(id: string, calls: number): ApiError {
  const text = `The item '${echo(id)}' cannot be deleted alone: the model made ${calls} calls at once, and they stand together. Answer them, or go on in another conversation.`;
  return new ApiError(400, text, { param: 'item_id', code: 'item_not_alone' });
}

function shown({ id, created_at, metadata }: { id: string; created_at: number; metadata: Metadata }): object {
  return { id: conversationId(id), object: 'conversation', created_at, metadata };
}
