/** A thread as clients ask for it, alone or together with its first run. */
import type { z } from 'zod';
import { toMessage } from '../../runs/parts.ts';
import type { Message, Thread } from '../../runs/thread.ts';
import { checkMessages } from '../../turns/budgets.ts';
import type { Caller } from '../../turns/caller.ts';
import type { createThreadBody } from './shapes.ts';

/**
 * A new thread and its first messages, not yet stored.
 * @throws {ApiError} 400 for a message of more than `limitBytes`; `path` is where the messages are in the request.
 */
export function newThread(
  input: z.infer<typeof createThreadBody>,
  { newId }: Pick<Caller, 'newId'>,
  at: number,
  { path, limitBytes }: { readonly path: string; readonly limitBytes: number },
): { thread: Thread; messages: readonly Message[] } {
  checkMessages(input.messages ?? [], (index) => `${path}[${index}].content`, limitBytes);
  const id = newId('thread');
  const messages = (input.messages ?? []).map((message) => toMessage(message, id, newId('msg'), at));
  const thread: Thread = {
    id,
    object: 'thread',
    created_at: at,
    metadata: input.metadata ?? {},
    tool_resources: input.tool_resources,
  };
  return { thread, messages };
}
