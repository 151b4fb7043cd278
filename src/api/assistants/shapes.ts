/**
 * Request shapes of the Assistants API, with the bounds of the hosted one; each schema turns what clients send into
 * what is stored. Null means "not given" for every optional field. Requests that need files are refused here.
 */
import { z } from 'zod';
import { looseSchema } from '../../errors.ts';
import type { TruncationStrategy } from '../../runs/thread.ts';
import { chatTools, EMPTY_SCHEMA, metadata, none, refuse } from '../http/shapes.ts';
import { newMessage } from './new-message.ts';

export { newMessage };
export * from '../http/shapes.ts';

const MAX_FIRST_MESSAGES = 10_000;

/** The tools of assistants and runs: a schema that would fail later, in the middle of a run, is refused now. */
export const tools = chatTools.transform((list) => {
  for (const [index, { function: tool }] of list.entries()) {
    if (!tool.strict || tool.parameters === EMPTY_SCHEMA || tool.parameters['additionalProperties'] === false)
      continue;
    throw looseSchema(tool.name, `tools[${index}].function.parameters`);
  }
  return list;
});

/** Only empty resources are accepted, because there are no files and vector stores yet. */
export const toolResources = z
  .strictObject({
    code_interpreter: z.strictObject({ file_ids: none('Files are') }).nullish(),
    file_search: z
      .strictObject({ vector_store_ids: none('Vector stores are'), vector_stores: none('Vector stores are') })
      .nullish(),
  })
  .nullish()
  .transform((): Record<string, unknown> => ({}));

export const truncationStrategy = z
  .strictObject({
    type: z.enum(['auto', 'last_messages']),
    last_messages: z.int().min(1).nullish(),
  })
  .superRefine((value, context) => {
    if (value.type !== 'last_messages' || value.last_messages != null) return;
    const message = "Missing required parameter: '{param}'. It says how many messages 'last_messages' keeps.";
    refuse(context, { code: 'missing_required_parameter', message }, ['last_messages']);
  })
  .nullish()
  .transform((value): TruncationStrategy => {
    if (value?.type !== 'last_messages') return { type: 'auto', last_messages: null };
    return { type: 'last_messages', last_messages: value.last_messages ?? null };
  });

/** What a thread is created from, alone or together with a run. */
export const createThreadBody = z.strictObject({
  messages: z.array(newMessage).max(MAX_FIRST_MESSAGES).nullish(),
  tool_resources: toolResources,
  metadata,
});
