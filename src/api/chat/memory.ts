/** `DELETE /memory`: deletes the conversation that a chat client names by `thread_id`. */
import { z } from 'zod';
import { threadIdOf } from '../../turns/thread.ts';
import { json, type Endpoint } from '../http/endpoint.ts';
import type { Services } from '../http/services.ts';
import { ApiError } from '../../errors.ts';

const threadId = z.union([z.string().min(1).max(256), z.int()]).nullish();
const query = z.object({ thread_id: threadId });
const body = z.looseObject({ thread_id: threadId });

export function memoryEndpoints({ objects }: Services): readonly Endpoint[] {
  return [
    {
      method: 'DELETE',
      path: '/memory',
      handle: async (call) => {
        const name = call.query(query).thread_id ?? call.body(body).thread_id ?? call.header('x-thread-id');
        if (name == null || name === '') {
          // Without a name, the request would mean every conversation.
          const text = "Missing required parameter: 'thread_id'. Say which conversation is to be forgotten.";
          throw new ApiError(400, text, { param: 'thread_id', code: 'missing_required_parameter' });
        }
        const deleted = await objects.threads.delete({
          project: call.project,
          threadId: threadIdOf(String(name)),
        });
        return json({ status: 'success', thread_id: name, deleted });
      },
    },
  ];
}
