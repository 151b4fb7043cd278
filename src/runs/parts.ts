/** New runs, steps and messages, and how the text of a message grows. Pure. */
import {
  answerCall,
  beginCall,
  growCall,
  isOpenCall,
  putOut,
  type DeclaredTool,
  type StepCall,
} from './calls/kinds.ts';
import type { RunEvent } from './event.ts';
import type { Attachment, Message, Metadata, Run, RunError, RunStep, TextPart } from './thread.ts';

/** A message that a run writes, with a further fragment of its text. */
export function saidMore(
  message: Message,
  { text, annotations: more = [] }: Extract<RunEvent, { type: 'message.delta' }>,
): Message {
  const part = message.content.at(-1);
  const { value, annotations } = part?.type === 'text' ? part.text : NOTHING_SAID;
  const marks = more.length === 0 ? annotations : [...annotations, ...more];
  const said: TextPart = { type: 'text', text: { value: value + text, annotations: marks } };
  // Pictures stand before the words.
  const before = part?.type === 'text' ? message.content.slice(0, -1) : message.content;
  return { ...message, content: [...before, said] };
}

/** A part as it was opened, with what the events since then have added to it, until one closes it. */
export function inProgress<T extends Message | RunStep>(opened: T, events: readonly RunEvent[]): T;
export function inProgress(opened: Message | RunStep, events: readonly RunEvent[]): Message | RunStep {
  const closing = events.findIndex(({ type }) => CLOSING.has(type));
  const own = closing === -1 ? events : events.slice(0, closing);
  if (opened.object === 'thread.message') {
    return own.reduce(
      (said, event) => (event.type === 'message.delta' ? saidMore(said, event) : said),
      opened,
    );
  }
  const tool_calls = own.reduce<readonly StepCall[]>(
    (calls, event) => (isOfCalls(event) ? calledMore(calls, event) : calls),
    [],
  );
  return { ...opened, step_details: { type: 'tool_calls', tool_calls } };
}

const CLOSING: ReadonlySet<RunEvent['type']> = new Set([
  'message.completed',
  'message.incomplete',
  'step.completed',
  'step.left',
  'step.failed',
  'step.cancelled',
  'step.expired',
]);

type CallEvent = Extract<RunEvent, { type: `tool.${string}` }>;

const isOfCalls = (event: RunEvent): event is CallEvent => event.type.startsWith('tool.');

/** The calls of a step with what an event adds to them. @param tools of the run, where they are known */
export function calledMore(
  calls: readonly StepCall[],
  event: CallEvent,
  tools?: readonly DeclaredTool[],
): readonly StepCall[] {
  if (event.type === 'tool.called') return [...calls, begunBy(event, tools)];
  const call = calls[event.index];
  return call === undefined ? calls : calls.with(event.index, changed(call, event));
}

function begunBy(
  { kind = 'function', call_id: id, name, approval, remote }: Extract<RunEvent, { type: 'tool.called' }>,
  tools?: readonly DeclaredTool[],
): StepCall {
  const call = beginCall(kind, id, name, tools);
  const of = remote === undefined ? {} : { remote };
  if (call.type === 'approval') return { ...call, ...of };
  if (call.type !== 'function') return call;
  return { ...call, ...(approval !== undefined && { approval_request_id: approval }), ...of };
}

function changed(call: StepCall, event: Exclude<CallEvent, { type: 'tool.called' }>): StepCall {
  switch (event.type) {
    case 'tool.delta':
      return growCall(call, event.arguments);
    case 'tool.output':
      return putOut(call, event.output);
    case 'tool.answered':
      return answerCall(call, event.output, event.answer);
  }
}

const NOTHING_SAID: TextPart['text'] = { value: '', annotations: [] };

/** The stored form of a message a client created: it belongs to no run and is complete at once. */
export function toMessage(
  input: Pick<Message, 'role' | 'content'> & {
    readonly metadata?: Metadata | undefined;
    readonly attachments?: readonly Attachment[];
  },
  threadId: string,
  id: string,
  at: number,
): Message {
  return {
    id,
    object: 'thread.message',
    created_at: at,
    thread_id: threadId,
    status: 'completed',
    incomplete_details: null,
    completed_at: at,
    incomplete_at: null,
    role: input.role,
    content: input.content,
    assistant_id: null,
    run_id: null,
    attachments: input.attachments ?? [],
    metadata: input.metadata ?? {},
  };
}

/** A step as it is opened. */
export function newStep(run: Run, event: Extract<RunEvent, { type: 'step.created' }>): RunStep {
  return {
    id: event.step_id,
    object: 'thread.run.step',
    created_at: event.at,
    run_id: run.id,
    assistant_id: run.assistant_id,
    thread_id: run.thread_id,
    type: event.message_id === null ? 'tool_calls' : 'message_creation',
    status: 'in_progress',
    step_details:
      event.message_id === null
        ? { type: 'tool_calls', tool_calls: [] }
        : { type: 'message_creation', message_creation: { message_id: event.message_id } },
    last_error: null,
    cancelled_at: null,
    completed_at: null,
    failed_at: null,
    expired_at: null,
    expires_at: run.expires_at,
    metadata: {},
    usage: null,
  };
}

/** A message as a run opens it: nothing said yet. */
export function newMessage(run: Run, event: Extract<RunEvent, { type: 'message.created' }>): Message {
  return {
    id: event.message_id,
    object: 'thread.message',
    created_at: event.at,
    thread_id: run.thread_id,
    status: 'in_progress',
    incomplete_details: null,
    completed_at: null,
    incomplete_at: null,
    role: 'assistant',
    content: (event.images ?? []).map((file_id) => ({ type: 'image_file', image_file: { file_id } })),
    assistant_id: run.assistant_id,
    run_id: run.id,
    attachments: [],
    metadata: {},
  };
}

/** What differs between new runs; every other field is the same for all of them. */
type RunChoice = Omit<
  Run,
  | 'object'
  | 'status'
  | 'started_at'
  | 'cancelled_at'
  | 'failed_at'
  | 'completed_at'
  | 'required_action'
  | 'last_error'
  | 'incomplete_details'
  | 'tool_resources'
  | 'usage'
>;

/** A run as it is created: queued, and nothing has happened to it. */
export function queuedRun(choice: RunChoice): Run {
  return {
    ...choice,
    object: 'thread.run',
    status: 'queued',
    started_at: null,
    cancelled_at: null,
    failed_at: null,
    completed_at: null,
    required_action: null,
    last_error: null,
    incomplete_details: null,
    tool_resources: {},
    usage: null,
  };
}

/** The fields of a step that failed; they also overwrite those of a step that was complete. */
export function failure({ at, error }: { readonly at: number; readonly error: RunError }) {
  // Steps know two codes only: a refused prompt is, for its step, a fault of the server.
  const code = error.code === 'rate_limit_exceeded' ? error.code : 'server_error';
  return {
    status: 'failed',
    completed_at: null,
    failed_at: at,
    last_error: { code, message: error.message },
  } as const;
}

/** The calls of a step, in the order the model made them; empty for a message step. */
export function callsOf(step: RunStep): readonly StepCall[] {
  return step.step_details.type === 'tool_calls' ? step.step_details.tool_calls : [];
}

/** The calls of a step that are still unanswered. */
export function openCalls(step: RunStep): readonly StepCall[] {
  return callsOf(step).filter(isOpenCall);
}
