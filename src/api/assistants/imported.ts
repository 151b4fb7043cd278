/**
 * Reads objects that the hosted API listed into the objects that are stored here. What cannot be stored is left out and
 * reported; nothing is guessed. Fields that every run repeats have the same limits as in objects created here.
 */
import { z } from 'zod';
import type {
  Assistant,
  AssistantTool,
  Attachment,
  ContentPart,
  FunctionTool,
  Message,
  Thread,
  ToolResources,
} from '../../runs/thread.ts';
import { isSafeId } from '../../store/keys.ts';
import { contentBytes } from '../../turns/budgets.ts';
import { id, metadata, read, reasonOf, safeId, seconds, type LeaveOut, type Read } from './imported-read.ts';
import { annotation } from './new-message.ts';
import * as shapes from './shapes.ts';

const anyList = z
  .array(z.unknown())
  .nullish()
  .transform((value) => value ?? []);
/** More than the hosted API had of either. */
const fileIds = z.array(safeId).max(20).nullish();
const storeIds = z.array(safeId).max(1).nullish();
const resources = z.looseObject({
  code_interpreter: z.looseObject({ file_ids: fileIds }).nullish(),
  file_search: z.looseObject({ vector_store_ids: storeIds }).nullish(),
});

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
  tool_resources: z.unknown().optional(),
  metadata,
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  reasoning_effort: shapes.reasoningEffort,
  response_format: shapes.responseFormat,
});

const threadSchema = z.looseObject({
  id: id('thread_'),
  created_at: seconds,
  tool_resources: z.unknown().optional(),
  metadata,
});

const partSchema = z.looseObject({
  type: z.string(),
  text: z.looseObject({ value: z.string(), annotations: anyList }).optional(),
  image_url: z.looseObject({ url: shapes.imageUrl, detail: shapes.imageDetail }).optional(),
  image_file: z.looseObject({ file_id: safeId, detail: shapes.imageDetail }).optional(),
});

const attachmentSchema = z.object({
  file_id: safeId,
  tools: z
    .array(z.object({ type: z.enum(['file_search', 'code_interpreter']) }))
    .nullish()
    .transform((list) => list ?? []),
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

/** An assistant, without tools of unknown kinds. */
export function readAssistant(value: unknown): Read<Assistant> {
  return read(assistantSchema, value, (given, leaveOut) => ({
    id: given.id,
    object: 'assistant',
    created_at: given.created_at,
    name: given.name ?? null,
    description: given.description ?? null,
    model: given.model,
    instructions: given.instructions ?? null,
    tools: given.tools.flatMap((tool) => toolIn(tool, leaveOut)),
    tool_resources: resourcesIn(given.tool_resources, leaveOut),
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
      tool_resources: resourcesIn(tool_resources, leaveOut),
    }),
  );
}

/**
 * A message, without what is not known here.
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
      attachments: given.attachments.flatMap((each) => attachmentIn(each, leaveOut)),
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

function toolIn(tool: z.infer<typeof toolSchema>, leaveOut: LeaveOut): readonly AssistantTool[] {
  if (tool.type === 'function' && tool.function !== undefined) return [functionIn(tool.function)];
  const known = shapes.listedHostedTool.safeParse(tool);
  if (known.success) return [known.data];
  leaveOut(`the tool '${tool.type.slice(0, 64)}': ${reasonOf(known.error)}`);
  return [];
}

function functionIn(given: NonNullable<z.infer<typeof toolSchema>['function']>): FunctionTool {
  const { name, description, parameters, strict } = given;
  return {
    type: 'function',
    function: {
      name,
      description: description ?? '',
      parameters: parameters ?? { type: 'object', properties: {} },
      strict: strict ?? false,
    },
  };
}

/** With the ids of files and stores that are not here yet: they may come later, and then they are found. */
function resourcesIn(given: unknown, leaveOut: LeaveOut): ToolResources {
  const found = resources.nullish().safeParse(given);
  if (!found.success) {
    leaveOut(`tool_resources: ${reasonOf(found.error)}`);
    return {};
  }
  const { code_interpreter: code, file_search: search } = found.data ?? {};
  return {
    ...(code?.file_ids != null && { code_interpreter: { file_ids: code.file_ids } }),
    ...(search?.vector_store_ids != null && { file_search: { vector_store_ids: search.vector_store_ids } }),
  };
}

function partIn(part: z.infer<typeof partSchema>, leaveOut: LeaveOut): readonly ContentPart[] {
  const { type, text, image_url, image_file } = part;
  if (type === 'text' && text !== undefined) {
    const annotations = text.annotations.flatMap((each) => annotation.safeParse(each).data ?? []);
    const unknown = text.annotations.length - annotations.length;
    if (unknown > 0) leaveOut(`${unknown} annotation(s) of a kind that is not known here`);
    return [{ type, text: { value: text.value, annotations } }];
  }
  if (type === 'image_url' && image_url !== undefined)
    return [{ type, image_url: { url: image_url.url, detail: image_url.detail ?? 'auto' } }];
  if (type === 'image_file' && image_file !== undefined)
    return [{ type, image_file: { file_id: image_file.file_id, detail: image_file.detail ?? 'auto' } }];
  leaveOut(`a part of type '${type.slice(0, 64)}', which is not known here`);
  return [];
}

function attachmentIn(given: unknown, leaveOut: LeaveOut): readonly Attachment[] {
  const found = attachmentSchema.safeParse(given);
  if (found.success) return [found.data];
  leaveOut(`an attachment: ${reasonOf(found.error)}`);
  return [];
}
