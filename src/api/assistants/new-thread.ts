/** A thread as clients ask for it, alone or together with its first run. */
import type { z } from 'zod';
import { toMessage } from '../../runs/parts.ts';
import type { Message, Thread } from '../../runs/thread.ts';
import { checkMessages } from '../../turns/budgets.ts';
import type { Caller } from '../../turns/caller.ts';
import {
  requireAttached,
  resourcesFrom,
  THREADS_STORE_KEPT,
  withAttached,
  type ParamBase,
  type ResourcesInput,
} from '../../turns/resources.ts';
import type { Services } from '../http/services.ts';
import type { createThreadBody } from './shapes.ts';

/** A thread that is not yet stored, and its first messages. */
export interface NewThread {
  readonly thread: Thread;
  readonly messages: readonly Message[];
}

/** The thread with the resources that its request names or asks for, and those that its messages attach. */
export async function withResources(
  services: Services,
  caller: Caller,
  given: ResourcesInput | null | undefined,
  { thread, messages }: NewThread,
  under: ParamBase = '',
): Promise<NewThread> {
  await requireAttached(services, caller.project, messages, (n) => `${under}messages[${n}].attachments`);
  const named = await resourcesFrom(services, caller, given, THREADS_STORE_KEPT, under);
  const tool_resources = await withAttached(services, caller, named, messages);
  return { thread: { ...thread, tool_resources }, messages };
}

/**
 * A new thread and its first messages, without their resources and not yet stored.
 * @throws {ApiError} 400 for a message of more than `limitBytes`; `path` is where the messages are in the request.
 */
export function newThread(
  input: z.infer<typeof createThreadBody>,
  { newId }: Pick<Caller, 'newId'>,
  at: number,
  { path, limitBytes }: { readonly path: string; readonly limitBytes: number },
): NewThread {
  checkMessages(input.messages ?? [], (index) => `${path}[${index}].content`, limitBytes);
  const id = newId('thread');
  const messages = (input.messages ?? []).map((message) => toMessage(message, id, newId('msg'), at));
  const thread: Thread = {
    id,
    object: 'thread',
    created_at: at,
    metadata: input.metadata ?? {},
    tool_resources: {},
  };
  return { thread, messages };
}
