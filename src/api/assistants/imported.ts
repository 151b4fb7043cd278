/**
 * Reads objects that the hosted API listed into the objects that are stored here. What cannot be stored is left out and
 * reported; nothing is guessed. Fields that every run repeats have the same limits as in objects created here.
 */
import { z } from 'zod';
import type { Assistant, ContentPart, FunctionTool, Message, Thread } from '../../runs/thread.ts';
import { isSafeId } from '../../store/keys.ts';
import { contentBytes } from '../../turns/budgets.ts';
import * as shapes from './shapes.ts';

/** An object to store, with sentences about what was left out of it; or why it is refused. */
export type Read<T> =
  | { readonly type: 'read'; readonly object: T; readonly leftOut: readonly string[] }
  | { readonly type: 'refused'; readonly reason: string };

const id = (prefix: string) =>
  z
    .string()
    .refine(
      (value) => value.startsWith(prefix) && isSafeId(value),
      `is not an id that begins with '${prefix}'`,
    );
const seconds = z
  .int()
  .min(0)
  .max(2 ** 32);
const metadata = shapes.metadata.transform((value) => value ?? {});
const anyList = z
  .array(z.unknown())
  .nullish()
  .transform((value) => value ?? []);
const resources = z.record(z.string(), z.unknown()).nullish();

const toolSchema = z.looseObject({
  type: z.string(),
  function: z
    .looseObject({
      name: shapes.functionName,
      description: z.string().nullish(),
      parameters: shapes.functionParameters,
      strict: z.boolean().nullish(),
    })
    .optional(),
});

const assistantSchema = z.looseObject({
  id: id('asst_'),
  created_at: seconds,
  name: z.string().max(256).nullish(),
  description: z.string().max(512).nullish(),
  model: z.string().min(1).max(256),
  instructions: z.string().max(shapes.MAX_INSTRUCTIONS_LENGTH).nullish(),
  tools: z
    .array(toolSchema)
    .max(shapes.MAX_TOOLS)
    .superRefine(shapes.atMost(shapes.MAX_TOOLS_BYTES))
    .nullish()
    .transform((value) => value ?? []),
  tool_resources: resources,
  metadata,
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  reasoning_effort: shapes.reasoningEffort,
  response_format: shapes.responseFormat,
});

const threadSchema = z.looseObject({
  id: id('thread_'),
  created_at: seconds,
  tool_resources: resources,
  metadata,
});

const partSchema = z.looseObject({
  type: z.string(),
  text: z.looseObject({ value: z.string(), annotations: anyList }).optional(),
  image_url: z.looseObject({ url: shapes.imageUrl, detail: shapes.imageDetail }).optional(),
});

const messageSchema = z.looseObject({
  id: id('msg_'),
  created_at: seconds,
  thread_id: id('thread_'),
  role: z.enum(['user', 'assistant']),
  content: z.array(partSchema).max(shapes.MAX_CONTENT_PARTS),
  assistant_id: z.string().refine(isSafeId).nullish(),
  run_id: z.string().refine(isSafeId).nullish(),
  attachments: anyList,
  metadata,
});

/** An assistant, without tools that are not supported yet. */
export function readAssistant(value: unknown): Read<Assistant> {
  return read(assistantSchema, value, (given, leaveOut) => ({
    id: given.id,
    object: 'assistant',
    created_at: given.created_at,
    name: given.name ?? null,
    description: given.description ?? null,
    model: given.model,
    instructions: given.instructions ?? null,
    tools: given.tools.flatMap((tool) => functionIn(tool, leaveOut)),
    tool_resources: noResources(given.tool_resources, leaveOut),
    metadata: given.metadata,
    temperature: given.temperature ?? 1,
    top_p: given.top_p ?? 1,
    reasoning_effort: given.reasoning_effort ?? null,
    response_format: given.response_format ?? 'auto',
  }));
}

export function readThread(value: unknown): Read<Thread> {
  return read(
    threadSchema,
    value,
    ({ id: threadId, created_at, tool_resources, metadata: labels }, leaveOut) => ({
      id: threadId,
      object: 'thread',
      created_at,
      metadata: labels,
      tool_resources: noResources(tool_resources, leaveOut),
    }),
  );
}

/**
 * A message, without files and references to them.
 * @param limitBytes for its content
 */
export function readMessage(value: unknown, limitBytes: number): Read<Message> {
  const found = readAnyMessage(value);
  if (found.type === 'refused') return found;
  const bytes = contentBytes(found.object.content);
  if (bytes <= limitBytes) return found;
  const reason = `its content has ${bytes} bytes, and a message may have ${limitBytes}: raise MESSAGE_LIMIT_BYTES`;
  return { type: 'refused', reason };
}

function readAnyMessage(value: unknown): Read<Message> {
  return read(messageSchema, value, (given, leaveOut) => {
    if (given.attachments.length > 0)
      leaveOut(`${given.attachments.length} attachment(s): there are no files here yet`);
    return {
      id: given.id,
      object: 'thread.message',
      created_at: given.created_at,
      thread_id: given.thread_id,
      // An open message of the hosted API cannot continue here.
      status: 'completed',
      incomplete_details: null,
      completed_at: given.created_at,
      incomplete_at: null,
      role: given.role,
      content: given.content.flatMap((part) => partIn(part, leaveOut)),
      assistant_id: given.assistant_id ?? null,
      run_id: given.run_id ?? null,
      attachments: [],
      metadata: given.metadata,
    };
  });
}

/** The thread of a message that came without its thread. */
export function threadOf(message: Message): Thread {
  return {
    id: message.thread_id,
    object: 'thread',
    created_at: message.created_at,
    metadata: {},
    tool_resources: {},
  };
}

type LeaveOut = (what: string) => void;

function read<Given, T>(
  schema: z.ZodType<Given>,
  value: unknown,
  build: (given: Given, leaveOut: LeaveOut) => T,
): Read<T> {
  const parsed = schema.safeParse(value);
  if (!parsed.success) return { type: 'refused', reason: reasonOf(parsed.error) };
  const leftOut: string[] = [];
  const object = build(parsed.data, (what) => void leftOut.push(what));
  return { type: 'read', object, leftOut };
}

function reasonOf({ issues: [first] }: z.ZodError): string {
  if (first === undefined) return 'it cannot be read';
  const where = first.path.map(String).join('.');
  // The schemas shared with requests put their refusals there.
  const refusal: unknown = first.code === 'custom' ? first.params?.['message'] : undefined;
  if (typeof refusal === 'string') return refusal.replaceAll('{param}', where);
  return `'${where}' ${first.message}`;
}

function functionIn(tool: z.infer<typeof toolSchema>, leaveOut: LeaveOut): readonly FunctionTool[] {
  if (tool.type !== 'function' || tool.function === undefined) {
    leaveOut(`the tool '${tool.type.slice(0, 64)}': it is not there yet`);
    return [];
  }
  const { name, description, parameters, strict } = tool.function;
  return [
    {
      type: 'function',
      function: {
        name,
        description: description ?? '',
        parameters: parameters ?? { type: 'object', properties: {} },
        strict: strict ?? false,
      },
    },
  ];
}

function noResources(given: z.infer<typeof resources>, leaveOut: LeaveOut): Record<string, unknown> {
  const lists = Object.values(given ?? {}).flatMap((resource): readonly unknown[] =>
    typeof resource === 'object' && resource !== null ? Object.values(resource) : [],
  );
  const ids = lists.filter((list) => Array.isArray(list) && list.length > 0);
  if (ids.length > 0) leaveOut('tool_resources: there are no files and vector stores here yet');
  return {};
}

function partIn(
  { type, text, image_url }: z.infer<typeof partSchema>,
  leaveOut: LeaveOut,
): readonly ContentPart[] {
  if (type === 'text' && text !== undefined) {
    if (text.annotations.length > 0)
      leaveOut(`${text.annotations.length} annotation(s): they point into files`);
    return [{ type, text: { value: text.value, annotations: [] } }];
  }
  if (type === 'image_url' && image_url !== undefined)
    return [{ type, image_url: { url: image_url.url, detail: image_url.detail ?? 'auto' } }];
  leaveOut(`a part of type '${type.slice(0, 64)}': there are no files here yet`);
  return [];
}
