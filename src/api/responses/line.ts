/** The line of a thread as the items of a conversation. */
import { isOpenCall, outputOf } from '../../runs/calls/kinds.ts';
import { callsOf } from '../../runs/parts.ts';
import type { StoredItem } from '../../runs/items.ts';
import type { Message, RunStep } from '../../runs/thread.ts';
import type { Placed } from '../../store/line.ts';
import { itemId } from './ids.ts';
import {
  callItem,
  isOfServer,
  reasoningItem,
  thoughtText,
  writtenMessage,
  type OutputItem,
  type View,
} from './output.ts';

/**
 * The items that something in a thread is, in order.
 * @param isServers whether calls are known to be of the server's own tools
 */
export function lineItems({ item, thoughts }: Placed, isServers = false): readonly OutputItem[] {
  switch (item.object) {
    case 'thread.message':
      return [messageShown(item)];
    case 'thread.item':
      return [itemShown(item)];
    case 'thread.run.step':
      return stepShown(item, thoughtText(thoughts), isServers);
  }
}

function messageShown(message: Message): OutputItem {
  if (message.role === 'assistant') return writtenMessage(message);
  const { id, thread_id: threadId } = message;
  const content = message.content.map((part): object => {
    if (part.type === 'text') return { type: 'input_text', text: part.text.value };
    if (part.type === 'image_url')
      return {
        type: 'input_image',
        image_url: part.image_url.url,
        file_id: null,
        detail: part.image_url.detail,
      };
    return {
      type: 'input_image',
      image_url: null,
      file_id: part.image_file.file_id,
      detail: part.image_file.detail ?? 'auto',
    };
  });
  return { id: itemId('msg', id, { threadId }), type: 'message', role: 'user', status: 'completed', content };
}

/** What the ids of items begin with, by their types. */
const PREFIXES: Readonly<Record<string, string>> = {
  message: 'msg',
  function_call: 'fc',
  function_call_output: 'fco',
  custom_tool_call: 'ctc',
  custom_tool_call_output: 'ctco',
  reasoning: 'rs',
  compaction: 'cmp',
};

/** The wire has none for them. */
const WITHOUT_STATUS: ReadonlySet<string> = new Set([
  'compaction',
  'mcp_approval_request',
  'mcp_approval_response',
  'mcp_list_tools',
]);

function itemShown({ id, thread_id: threadId, item }: StoredItem): OutputItem {
  const { content } = item;
  const parts =
    item.type === 'message' && typeof content === 'string'
      ? [{ type: 'input_text', text: content }]
      : content;
  return {
    ...(WITHOUT_STATUS.has(item.type) ? {} : { status: 'completed' }),
    ...item,
    ...(parts !== undefined && { content: parts }),
    id: itemId(PREFIXES[item.type] ?? 'item', id, { threadId }),
  };
}

/** The calls of a step, and the outputs that a client of the Assistants API gave. */
function stepShown(step: RunStep, thought: string, isServers: boolean): readonly OutputItem[] {
  if (step.status !== 'completed') return [];
  const ref = { threadId: step.thread_id };
  const view: View = {
    run: { id: step.run_id, thread_id: step.thread_id, tools: [], started_at: null },
    // Whose the calls were is not known here: those that have their output are shown with it.
    origin: { server_tools: [] },
    seal: null,
  };
  const calls = callsOf(step).flatMap((call, index) => {
    const item = callItem(
      { ...view, run: { ...view.run, tools: isServers ? [] : declared(call) } },
      step.id,
      index,
      call,
      'completed',
    );
    if (isOpenCall(call) || (item.type !== 'function_call' && item.type !== 'custom_tool_call'))
      return [item];
    const output = {
      id: itemId('fco', step.id, ref, index),
      type: `${item.type}_output`,
      call_id: call.id,
      output: outputOf(call),
      status: 'completed',
    };
    return [item, output];
  });
  return thought === ''
    ? calls
    : [reasoningItem(view, itemId('rs', step.id, ref), thought, 'completed'), ...calls];
}

/** A declaration of the function that a call names, so that it counts as the client's. */
function declared(call: Parameters<typeof callItem>[3]): View['run']['tools'] {
  if (call.type !== 'function' || isOfServer(call)) return [];
  const { name } = call.function;
  return [{ type: 'function', function: { name, parameters: {}, strict: false } }];
}
