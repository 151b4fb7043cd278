/**
 * A run as a conversation hears it: words, calls, and how it ends. Neutral: dialects make their own frames of it. Like
 * every reader it hears the whole log and keeps silent up to its cursor.
 */
import { calledFunction } from '../runs/calls/kinds.ts';
import type { RunEvent } from '../runs/event.ts';
import { callsOf } from '../runs/parts.ts';
import { apply, isBlocked, isTerminal, pendingCalls, type Applied, type RunState } from '../runs/run.ts';
import {
  addUsage,
  NO_USAGE,
  type Annotation,
  type RequiredCall,
  type RunError,
  type Usage,
} from '../runs/thread.ts';
import type { LogEntry } from '../store/follow.ts';

export type Say =
  /** `annotations`: their indices count from the beginning of everything the conversation says. */
  | { readonly type: 'text'; readonly text: string; readonly annotations?: readonly Annotation[] }
  /** What the model thinks before it answers or calls. */
  | { readonly type: 'thought'; readonly text: string }
  /** These thoughts led to nothing; others follow perhaps. */
  | { readonly type: 'thought.dropped'; readonly text: string }
  /** The service runs a tool of its own. */
  | { readonly type: 'tool.start'; readonly id: string; readonly name: string; readonly arguments: string }
  | {
      readonly type: 'tool.end';
      readonly id: string;
      readonly name: string;
      readonly arguments: string;
      readonly output: string;
    }
  /** Words that were said are taken back: their worker was lost, and another one begins anew. `error` is for dialects without a word for it. */
  | { readonly type: 'dropped'; readonly text: string; readonly error: RunError }
  /** The caller has to run these; the conversation rests until it did. */
  | { readonly type: 'calls'; readonly calls: readonly RequiredCall[]; readonly usage: Usage }
  | { readonly type: 'end'; readonly reason: 'stop' | 'length' | 'content_filter'; readonly usage: Usage }
  /** `retryAfterMs`: how long the model's server asked to be left alone. */
  | { readonly type: 'failed'; readonly error: RunError; readonly retryAfterMs?: number | undefined };

/** Everything behind `after` that a conversation says, until it ends or rests; usage is that of this part, too. */
export async function* says(
  log: AsyncIterable<readonly LogEntry[]>,
  after: number,
): AsyncGenerator<Say, void> {
  let state: RunState | null = null;
  /** What was said of the last message, which is open or came before the calls being made. */
  let said = '';
  /** How much was said in all, and before that message. */
  let told = 0;
  let start = 0;
  /** What was thought in the completion that is being made. */
  let thought = '';
  let usage = NO_USAGE;
  for await (const entries of log) {
    const takenBack = dropped(entries);
    for (const { seq, event } of entries) {
      const before: RunState | null = state;
      const applied: Applied = apply(state, event);
      state = applied.state;
      if (seq <= after || takenBack.has(seq)) continue;
      if (event.type === 'message.created') {
        said = '';
        start = told;
      }
      if (event.type === 'message.delta') {
        said += event.text;
        told += event.text.length;
      }
      if (isDrop(event) && said !== '') {
        told -= said.length;
        yield { type: 'dropped', text: said, error: INTERRUPTED };
      }
      if (event.type === 'thought.delta') thought += event.text;
      if (isThoughtDrop(event) && thought !== '') yield { type: 'thought.dropped', text: thought };
      if (isThoughtDrop(event) || isThoughtOver(event)) thought = '';
      usage = addUsage(usage, tokensOf(event, before));
      yield* saysOf(event, before, state, usage, start);
      if (event.type === 'run.blocked' || isTerminal(state.run)) return;
    }
  }
}

/** The fragments of a batch that are taken back in the same batch: who reads a log late need not hear them. */
function dropped(entries: readonly LogEntry[]): ReadonlySet<number> {
  const taken = new Set<number>();
  let open: number[] = [];
  let thoughts: number[] = [];
  for (const { seq, event } of entries) {
    if (event.type === 'message.created') open = [];
    if (event.type === 'message.delta') open.push(seq);
    if (isDrop(event)) for (const fragment of open) taken.add(fragment);
    if (event.type === 'thought.delta') thoughts.push(seq);
    if (isThoughtDrop(event)) for (const fragment of thoughts) taken.add(fragment);
    if (isThoughtDrop(event) || isThoughtOver(event)) thoughts = [];
  }
  return taken;
}

/** The last message is taken back. */
function isDrop(event: RunEvent): boolean {
  return event.type === 'step.dropped' || (event.type === 'message.incomplete' && event.dropped);
}

/** What was thought in the completion that is being made is taken back; of one that is complete it stays. */
function isThoughtDrop({ type }: RunEvent): boolean {
  return type === 'thought.dropped' || type === 'run.released';
}

/** The calls are answered that the thoughts led to: nobody takes them back any more. */
function isThoughtOver(event: RunEvent): boolean {
  return event.type === 'step.completed' && event.outputs !== null;
}

/** The tokens an event accounts for. Those of calls are told when they are made, not again when they are answered. */
function tokensOf(event: RunEvent, before: RunState | null): Usage {
  if (!('usage' in event) || (before !== null && isBlocked(before.run))) return NO_USAGE;
  return event.usage ?? NO_USAGE;
}

/** @param start how much was said before the message that the event may be about */
function saysOf(
  event: RunEvent,
  before: RunState | null,
  { run }: RunState,
  usage: Usage,
  start: number,
): readonly Say[] {
  switch (event.type) {
    case 'message.delta': {
      const { text, annotations = [] } = event;
      if (annotations.length > 0)
        return [{ type: 'text', text, annotations: annotations.map((mark) => shifted(mark, start)) }];
      return text === '' ? [] : [{ type: 'text', text }];
    }
    case 'thought.delta':
      return [{ type: 'thought', text: event.text }];
    case 'tool.answered': {
      const call = before?.step && callsOf(before.step)[event.index];
      if (!call) return [];
      const { name, arguments: text } = calledFunction(call);
      return [
        { type: 'tool.start', id: call.id, name, arguments: text },
        { type: 'tool.end', id: call.id, name, arguments: text, output: event.output },
      ];
    }
    case 'run.blocked':
      return [{ type: 'calls', calls: pendingCalls(run), usage }];
    case 'run.completed':
      return [{ type: 'end', reason: 'stop', usage }];
    case 'run.incomplete': {
      const reason = event.reason === 'content_filter' ? 'content_filter' : 'length';
      return [{ type: 'end', reason, usage }];
    }
    case 'run.failed':
      return [{ type: 'failed', error: event.error, retryAfterMs: event.retry_after_ms }];
    case 'run.cancelled':
      return [{ type: 'failed', error: CANCELLED }];
    case 'run.expired':
      return [{ type: 'failed', error: EXPIRED }];
    case 'run.queued':
    case 'run.started':
    case 'run.released':
    case 'run.resumed':
    case 'run.cancelling':
    case 'step.created':
    case 'step.completed':
    case 'step.failed':
    case 'step.cancelled':
    case 'step.expired':
    case 'step.dropped':
    case 'message.created':
    case 'message.completed':
    case 'message.incomplete':
    case 'thought.dropped':
    case 'tool.called':
    case 'tool.delta':
      return [];
  }
}

function shifted(mark: Annotation, by: number): Annotation {
  return { ...mark, start_index: mark.start_index + by, end_index: mark.end_index + by };
}

const INTERRUPTED: RunError = {
  code: 'server_error',
  message: 'The answer was interrupted and could not be continued. Ask again.',
};
const CANCELLED: RunError = { code: 'server_error', message: 'The answer was cancelled.' };
const EXPIRED: RunError = {
  code: 'server_error',
  message: 'The answer took longer than this server allows.',
};
