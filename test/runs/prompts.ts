/** Threads and runs that prompts are built from, and what they are asked. */
import type { ChatMessage, ModelRequest } from '../../src/runs/model.ts';
import { buildPrompt, type Prompt } from '../../src/runs/prompt.ts';
import type { RunState } from '../../src/runs/run.ts';
import type { ContentPart, FunctionTool, Message, Run, RunStep, ThreadItem } from '../../src/runs/thread.ts';
import { stateAfter } from './histories.ts';

export const OWN = 'run_1';
export const EARLIER = 'run_0';
export const ROOMY = 100_000;

export const SEARCH: FunctionTool = {
  type: 'function',
  function: { name: 'SEARCH', parameters: { type: 'object' }, strict: false },
};

export const text = (value: string): ContentPart => ({ type: 'text', text: { value, annotations: [] } });
export const photo = (detail = 'auto'): ContentPart => ({
  type: 'image_url',
  image_url: { url: 'https://example.test/photo.jpg', detail },
});

let made = 0;
export function message(
  role: Message['role'],
  content: readonly ContentPart[],
  run_id: string | null,
): Message {
  made += 1;
  return {
    id: `msg_${made}`,
    object: 'thread.message',
    created_at: 1,
    thread_id: 'thread_1',
    status: 'completed',
    incomplete_details: null,
    completed_at: 1,
    incomplete_at: null,
    role,
    content,
    assistant_id: run_id === null ? null : 'asst_1',
    run_id,
    attachments: [],
    metadata: {},
  };
}
export const user = (...content: (string | ContentPart)[]): Message =>
  message(
    'user',
    content.map((part) => (typeof part === 'string' ? text(part) : part)),
    null,
  );
export const assistant = (value: string, run_id: string | null = EARLIER): Message =>
  message('assistant', [text(value)], run_id);

/** A step of tool calls with these outputs; null is a call nobody has answered. */
export function toolStep(outputs: readonly (string | null)[], run_id = EARLIER): RunStep {
  made += 1;
  const id = made;
  return {
    ...messageStep(run_id),
    status: outputs.includes(null) ? 'in_progress' : 'completed',
    type: 'tool_calls',
    step_details: {
      type: 'tool_calls',
      tool_calls: outputs.map((output, index) => ({
        id: `call_${id}_${index}`,
        type: 'function',
        function: { name: 'SEARCH', arguments: `{"q":${index}}`, output },
      })),
    },
  };
}

export function messageStep(run_id: string): RunStep {
  made += 1;
  return {
    id: `step_${made}`,
    object: 'thread.run.step',
    created_at: 1,
    run_id,
    assistant_id: 'asst_1',
    thread_id: 'thread_1',
    type: 'message_creation',
    status: 'completed',
    step_details: { type: 'message_creation', message_creation: { message_id: 'msg_0' } },
    last_error: null,
    cancelled_at: null,
    completed_at: null,
    failed_at: null,
    expired_at: null,
    expires_at: null,
    metadata: {},
    usage: null,
  };
}

/** A run's first turn, with these settings. */
export function turn(settings: Partial<Run> = {}): RunState {
  const state = stateAfter(['run.started']);
  return { ...state, run: { ...state.run, ...settings } };
}

/** The same in the turn after the client's answer. */
export function laterTurn(settings: Partial<Run> = {}): RunState {
  return { ...turn(settings), turn: 2 };
}

/** The prompt of a run that asks for the first time in a thread with these items. */
export function build(state: RunState, items: readonly ThreadItem[], contextTokens: number): Prompt {
  return buildPrompt(state, { input: [], items }, { contextTokens, first: true, last: false });
}

export function ask(state: RunState, items: readonly ThreadItem[], contextTokens = ROOMY): ModelRequest {
  const prompt = build(state, items, contextTokens);
  if (prompt.type !== 'ask') throw new Error(`not asked: ${prompt.type}`);
  return prompt.request;
}

export const messagesOf = (
  items: readonly ThreadItem[],
  settings: Partial<Run> = {},
): readonly ChatMessage[] => ask(turn(settings), items).messages;

/** What a prompt says, shortly: the text of messages, the ids of calls. */
export const told = (messages: readonly ChatMessage[]): readonly string[] =>
  messages.map((chat) => {
    if (chat.role === 'tool') return `tool ${chat.content}`;
    if (chat.role === 'assistant' && chat.tool_calls !== undefined) return `calls ${chat.content ?? '–'}`;
    return typeof chat.content === 'string' ? `${chat.role} ${chat.content}` : `${chat.role} with parts`;
  });
