/**
 * The input of a response: its items as a thread keeps them. What users and assistants say in words and pictures becomes
 * messages, which clients of the Assistants API see as well; everything else is kept as it came.
 */
import { z } from 'zod';
import { ApiError, echo } from '../../errors.ts';
import { saidBy, type DecidedCall, type WireItem, type StoredItem } from '../../runs/items.ts';
import { toMessage } from '../../runs/parts.ts';
import { MEDIA_TYPES } from '../../runs/model.ts';
import type { ContentPart, Message } from '../../runs/thread.ts';
import { isRecord } from '../../runs/record.ts';
import type { Caller } from '../../turns/caller.ts';
import { noSoundKept } from '../http/kept-sound.ts';
import { refuse } from '../http/shapes.ts';
import { validate } from '../http/validate.ts';
import type { GivenItem } from './request.ts';

const text = z.string();
const textPart = z.looseObject({ type: z.enum(['input_text', 'output_text', 'text']), text });
const refusalPart = z.looseObject({ type: z.literal('refusal'), refusal: text });
const imagePart = z
  .looseObject({
    type: z.literal('input_image'),
    image_url: text.nullish(),
    file_id: text.min(1).max(64).nullish(),
    detail: text.nullish(),
  })
  .superRefine(({ image_url: url, file_id: fileId }, context) => {
    if (!url && fileId == null) refuse(context, missing('image_url', 'file_id'), ['image_url']);
  });
const filePart = z
  .looseObject({ type: z.literal('input_file'), file_data: text.nullish(), file_url: text.nullish() })
  .superRefine(({ file_data: data, file_url: url, file_id: fileId }, context) => {
    if (data) return;
    if (!url && fileId == null) return refuse(context, missing('file_data', 'file_id'), ['file_data']);
    const message = `Invalid '{param}': models are not shown files by their ids or addresses here. Send the file as 'file_data', or put it into a vector store and search it with 'file_search'.`;
    refuse(context, { code: 'unsupported_file', message }, [fileId == null ? 'file_url' : 'file_id']);
  });
const part = z.union([
  textPart,
  refusalPart,
  imagePart,
  filePart,
  z.looseObject({ type: z.enum(MEDIA_TYPES) }),
]);
const content = z.union([text, z.array(part).max(1_000)]);
const output = z.union([text, z.array(part)]);
const anyPart = z.looseObject({ type: text });

function missing(...names: readonly string[]) {
  const message = `Missing required parameter: '{param}'. The part needs one of ${names.map((name) => `'${name}'`).join(' and ')}.`;
  return { code: 'missing_required_parameter', message };
}

/** The types of items that a client may send and the model is told of. Any other is kept, and the model is not told. */
const KNOWN: Readonly<Record<string, z.ZodType<Readonly<Record<string, unknown>>>>> = {
  message: z.looseObject({ role: z.enum(['user', 'assistant', 'system', 'developer']), content }),
  function_call: z.looseObject({ call_id: text.min(1), name: text.min(1), arguments: text }),
  function_call_output: z.looseObject({ call_id: text.min(1), output }),
  custom_tool_call: z.looseObject({ call_id: text.min(1), name: text.min(1), input: text }),
  custom_tool_call_output: z.looseObject({ call_id: text.min(1), output }),
  mcp_call: z.looseObject({ name: text.min(1), arguments: text, output: text.nullish() }),
  mcp_approval_request: z.looseObject({
    id: text.min(1),
    server_label: text,
    name: text.min(1),
    arguments: text,
  }),
  mcp_approval_response: z.looseObject({
    approval_request_id: text.min(1),
    approve: z.boolean(),
    reason: text.nullish(),
  }),
  reasoning: z.looseObject({ summary: z.array(anyPart).nullish(), encrypted_content: text.nullish() }),
  compaction: z.looseObject({ encrypted_content: text }),
  item_reference: z.looseObject({ id: text.min(1) }),
};

/** Opens what was sealed; null where it was not sealed here. */
export type Unseal = (sealed: string) => string | null;

/** An item of an input, checked; its fields are as they came. @param param where it stands in the request */
export function checkedItem(given: GivenItem, param: string): WireItem {
  const type = given.type ?? ('role' in given ? 'message' : undefined);
  if (type === undefined)
    throw new ApiError(400, `Missing required parameter: '${param}.type'.`, {
      param: `${param}.type`,
      code: 'missing_required_parameter',
    });
  const schema = Object.hasOwn(KNOWN, type) ? KNOWN[type] : undefined;
  const item = { ...(schema === undefined ? given : validate(schema, given, false, param)), type };
  if (type === 'message' && hasSound(given['content'])) throw noSoundKept(`${param}.content`);
  return item;
}

/** Whether a message brings sound, which a conversation does not hold. */
function hasSound(given: unknown): boolean {
  return Array.isArray(given) && given.some((each) => isRecord(each) && each['type'] === 'input_audio');
}

/** What items are made with. */
interface LineMaking {
  readonly now: number;
  readonly unseal: Unseal;
  /** What approvals among them decide. */
  readonly decided?: ReadonlyMap<WireItem, DecidedCall>;
  /** The run that is to carry them out. */
  readonly runId?: string;
}

/** An item as it joins a thread. */
export function toLine(
  { now, unseal, decided, runId }: LineMaking,
  { newId }: Pick<Caller, 'newId'>,
  threadId: string,
  item: WireItem,
): Message | StoredItem {
  const said = messageIn(item);
  if (said !== null) return toMessage(said, threadId, newId('msg'), now);
  const { id: _, ...kept } = item;
  const sealed = item['encrypted_content'];
  const opened = typeof sealed === 'string' ? unseal(sealed) : null;
  const approves = decided?.get(item);
  return {
    id: newId('item'),
    object: 'thread.item',
    created_at: now,
    thread_id: threadId,
    run_id: null,
    status: 'completed',
    item: { ...kept, type: item.type },
    ...(opened !== null && { text: opened }),
    ...(approves !== undefined && runId !== undefined && { approves: { ...approves, run_id: runId } }),
  };
}

/** What a message of a thread can hold of a message item; null where that is not all. */
function messageIn(item: WireItem): Pick<Message, 'role' | 'content'> | null {
  const { role, content: given } = item;
  if (item.type !== 'message' || (role !== 'user' && role !== 'assistant')) return null;
  const parts: readonly unknown[] = Array.isArray(given) ? given : [{ type: 'input_text', text: given }];
  const kept: ContentPart[] = [];
  for (const each of parts) {
    const read = contentPart(each, role);
    if (read === null) return null;
    kept.push(read);
  }
  return kept.length === 0 ? null : { role, content: kept };
}

function contentPart(given: unknown, role: Message['role']): ContentPart | null {
  const said = textPart.safeParse(given);
  if (said.success) return { type: 'text', text: { value: said.data.text, annotations: [] } };
  const refused = refusalPart.safeParse(given);
  if (refused.success) return { type: 'text', text: { value: refused.data.refusal, annotations: [] } };
  const shown = imagePart.safeParse(given);
  if (!shown.success || role !== 'user') return null;
  const { image_url: url, file_id: fileId, detail } = shown.data;
  if (fileId != null)
    return { type: 'image_file', image_file: { file_id: fileId, detail: detail ?? 'auto' } };
  return url == null ? null : { type: 'image_url', image_url: { url, detail: detail ?? 'auto' } };
}

/**
 * Checks that every output has its call before it, and that every call before a new question has its output.
 * @param open the calls that the history has left unanswered, by their ids
 * @param known whether the history has made such a call
 * @throws {ApiError} 400 for the first that has not.
 */
export function checkCalls(
  line: readonly (Message | StoredItem)[],
  open: readonly string[],
  known: (callId: string) => boolean,
): void {
  const unanswered = new Set(open);
  const made = new Set(open);
  for (const each of line) {
    const said = each.object === 'thread.item' ? saidBy(each) : null;
    if (said?.type === 'call') {
      unanswered.add(said.call.id);
      made.add(said.call.id);
    } else if (said?.type === 'output') {
      if (!made.has(said.callId) && !known(said.callId)) {
        const text = `No tool call found for function call output with call_id ${echo(said.callId)}.`;
        throw new ApiError(400, text, { param: 'input' });
      }
      unanswered.delete(said.callId);
    }
  }
  const [missing] = unanswered;
  if (missing === undefined) return;
  throw new ApiError(400, `No tool output found for function call ${echo(missing)}.`, { param: 'input' });
}
