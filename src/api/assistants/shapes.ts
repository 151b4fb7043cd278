/**
 * Request shapes of the Assistants API, with the bounds of the hosted one; each schema turns what clients send into
 * what is stored. Null means "not given" for every optional field. Requests that need files are refused here.
 */
import { z } from 'zod';
import { looseSchema } from '../../errors.ts';
import type { ContentPart, TruncationStrategy } from '../../runs/thread.ts';
import {
  chatTools,
  EMPTY_SCHEMA,
  imageDetail,
  imageUrl,
  MAX_CONTENT_PARTS,
  metadata,
  none,
  notYet,
  refuse,
} from '../http/shapes.ts';

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

const contentPart = z.union([
  z.strictObject({ type: z.literal('text'), text: z.string() }),
  z.strictObject({
    type: z.literal('image_url'),
    image_url: z.strictObject({ url: imageUrl, detail: imageDetail }),
  }),
  z.looseObject({ type: z.literal('image_file') }).superRefine((_part, context) => {
    refuse(context, notYet('Files and image_file parts are'));
  }),
]);

const content = z
  .union([z.string().min(1), z.array(contentPart).min(1).max(MAX_CONTENT_PARTS)])
  .transform((value): readonly ContentPart[] => {
    const parts = typeof value === 'string' ? [{ type: 'text' as const, text: value }] : value;
    return parts.map(toContentPart);
  });

/** A part as it is stored: text gets its (empty) annotations, pictures their detail. */
function toContentPart(part: z.infer<typeof contentPart>): ContentPart {
  switch (part.type) {
    case 'text':
      return { type: 'text', text: { value: part.text, annotations: [] } };
    case 'image_url':
      return {
        type: 'image_url',
        image_url: { url: part.image_url.url, detail: part.image_url.detail ?? 'auto' },
      };
    case 'image_file':
      throw new Error('the schema refuses it');
  }
}

/** A message as clients create it, here and with threads and runs. */
export const newMessage = z.strictObject({
  role: z.enum(['user', 'assistant']),
  content,
  attachments: none('Files are').transform(() => []),
  metadata,
});

/** What a thread is created from, alone or together with a run. */
export const createThreadBody = z.strictObject({
  messages: z.array(newMessage).max(MAX_FIRST_MESSAGES).nullish(),
  tool_resources: toolResources,
  metadata,
});
