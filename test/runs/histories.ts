/** Legal histories of a run, by name or at random, for the tests of its life. States are folded, never written down. */
import * as fc from 'fast-check';
import { PLAIN_ORIGIN, type RunEvent, type RunEventType } from '../../src/runs/event.ts';
import { calledFunction, isOpenCall, type StepCall } from '../../src/runs/calls/kinds.ts';
import { callsOf } from '../../src/runs/parts.ts';
import { apply, IllegalTransition, isCancelling, isTerminal, type RunState } from '../../src/runs/run.ts';
import {
  NO_USAGE,
  type Annotation,
  type Run,
  type RunStatus,
  type Usage,
  type RequiredCall,
} from '../../src/runs/thread.ts';
import { character } from '../support/character.ts';

export const EXPIRES_AT = 1_600;

const NEW_RUN: Run = {
  id: 'run_1',
  object: 'thread.run',
  created_at: 1_000,
  assistant_id: 'asst_1',
  thread_id: 'thread_1',
  status: 'queued',
  started_at: null,
  expires_at: EXPIRES_AT,
  cancelled_at: null,
  failed_at: null,
  completed_at: null,
  required_action: null,
  last_error: null,
  incomplete_details: null,
  model: 'model',
  instructions: '',
  tools: [],
  tool_resources: {},
  metadata: {},
  temperature: 1,
  top_p: 1,
  reasoning_effort: null,
  max_completion_tokens: null,
  max_prompt_tokens: null,
  truncation_strategy: { type: 'auto', last_messages: null },
  usage: null,
  response_format: 'auto',
  tool_choice: 'auto',
  parallel_tool_calls: true,
};

export const ERROR = { code: 'server_error', message: 'The upstream broke off.' } as const;
const QUEUED: RunEvent = {
  type: 'run.queued',
  at: 1_000,
  run: NEW_RUN,
  origin: { ...PLAIN_ORIGIN, project: 'p', request_id: 'req_1' },
};

export const usage = (tokens: number): Usage => ({
  ...NO_USAGE,
  prompt_tokens: 2 * tokens,
  completion_tokens: tokens,
  total_tokens: 3 * tokens,
});

/** An annotation of a text, for a file. */
export const cited = (file_id: string, start_index = 0): Annotation => ({
  type: 'file_citation',
  text: '【1】',
  start_index,
  end_index: start_index + 3,
  file_citation: { file_id },
});

/** One event of each type, fitting the open parts of `state` as well as that type can. */
export function eventsFor(
  state: RunState | null,
  at = 1_001,
  text = 'text',
  tokens = 1,
): Record<RunEventType, RunEvent> {
  const calls = state?.step ? callsOf(state.step) : [];
  const details = state?.step?.step_details;
  const message_id = details?.type === 'message_creation' ? details.message_creation.message_id : `msg_${at}`;
  const outputs = Object.fromEntries(calls.map(({ id }) => [id, `output of ${id}`]));
  const closing = { at, usage: tokens === 0 ? null : usage(tokens) };
  return {
    'run.queued': QUEUED,
    'run.started': { type: 'run.started', at },
    'run.released': { type: 'run.released', at, reason: 'lost' },
    'run.blocked': { type: 'run.blocked', at, usage: usage(tokens) },
    'run.resumed': { type: 'run.resumed', at, calm_until_ms: 0 },
    'run.steered': { type: 'run.steered', at, messages: [`msg_${at}`] },
    'run.cancelling': { type: 'run.cancelling', at },
    'run.cancelled': { type: 'run.cancelled', at },
    'run.completed': { type: 'run.completed', at },
    'run.incomplete': { type: 'run.incomplete', at, reason: 'max_completion_tokens' },
    'run.failed': { type: 'run.failed', at, error: ERROR },
    'run.expired': { type: 'run.expired', at },
    'step.created': {
      type: 'step.created',
      at,
      step_id: `step_${at}`,
      message_id: tokens % 2 ? message_id : null,
    },
    'step.completed': {
      type: 'step.completed',
      ...closing,
      outputs: details?.type === 'tool_calls' ? outputs : null,
    },
    'step.left': { type: 'step.left', ...closing },
    'step.failed': { type: 'step.failed', ...closing, error: ERROR },
    'step.cancelled': { type: 'step.cancelled', ...closing },
    'step.expired': { type: 'step.expired', ...closing },
    'step.dropped': { type: 'step.dropped', at, error: ERROR },
    'message.created': { type: 'message.created', at, message_id },
    'message.delta': {
      type: 'message.delta',
      text,
      ...(tokens === 2 && { annotations: [cited(`file_${at}`)] }),
    },
    'thought.delta': { type: 'thought.delta', field: tokens % 2 ? 'reasoning' : 'reasoning_content', text },
    'thought.dropped': { type: 'thought.dropped' },
    'asides.told': { type: 'asides.told', asides: { message: { extra_content: text }, calls: {} } },
    'message.completed': { type: 'message.completed', at },
    'message.incomplete': { type: 'message.incomplete', at, reason: 'max_tokens', dropped: false },
    'tool.called': {
      type: 'tool.called',
      index: calls.length,
      call_id: `call_${at}_${calls.length}`,
      name: 'SEARCH',
      ...(tokens === 3 && { kind: 'approval' }),
      ...(tokens === 2 && { approval: 'mcpr_1', remote: { server: 'library', tool: 'look_up' } }),
    },
    'tool.delta': { type: 'tool.delta', index: Math.max(0, calls.length - 1), arguments: text },
    'tool.output': {
      type: 'tool.output',
      index: Math.max(0, calls.length - 1),
      output: { type: 'logs', logs: text },
    },
    'tool.answered': {
      type: 'tool.answered',
      index: Math.max(0, calls.findIndex(isOpenCall)),
      output: text,
    },
  };
}

/** Every event type there is. */
export const EVENT_TYPES: readonly RunEventType[] = Object.values(eventsFor(null)).map(({ type }) => type);

/** An event by its name; `step.message` and `step.tools` say which step is created. */
export type Move = RunEventType | 'step.message' | 'step.tools';

/** The state after these events, from a new run on. */
export function stateAfter(moves: readonly Move[]): RunState {
  let { state } = apply(null, QUEUED);
  for (const [index, move] of moves.entries())
    state = apply(state, eventOf(move, state, 1_001 + index)).state;
  return state;
}

function eventOf(move: Move, state: RunState, at: number): RunEvent {
  if (move === 'step.message') return eventsFor(state, at, 'text', 1)['step.created'];
  if (move === 'step.tools') return eventsFor(state, at, 'text', 0)['step.created'];
  return eventsFor(state, at)[move];
}

/** The state after an event, or null when it is illegal. */
function tryApply(state: RunState | null, event: RunEvent): RunState | null {
  try {
    return apply(state, event).state;
  } catch (error) {
    if (error instanceof IllegalTransition) return null;
    throw error;
  }
}

/** What each event leads to, or 'illegal'. */
export function outcomes(state: RunState | null): Record<string, RunStatus | 'illegal'> {
  return Object.fromEntries(
    Object.values(eventsFor(state)).map((event) => [
      event.type,
      tryApply(state, event)?.run.status ?? 'illegal',
    ]),
  );
}

/** What a random history is made of: which of the legal events comes next, and what it holds. */
const choices = fc.array(
  fc.record({
    pick: fc.nat(),
    text: fc.string({ unit: character, maxLength: 3 }),
    tokens: fc.nat({ max: 3 }),
  }),
  { maxLength: 60, size: 'max' },
);

/** The state that a log comes to. */
export function fold(log: readonly RunEvent[]): RunState {
  const state = log.reduce((before: RunState | null, event) => apply(before, event).state, null);
  if (state === null) throw new Error('An empty log is no run.');
  return state;
}

/** A log, and the state after each of its events. */
export interface History {
  readonly events: readonly RunEvent[];
  readonly states: readonly RunState[];
  readonly last: RunState;
}

/** Plays choices out as a legal history. Events that end the run are rarer than others, or histories were short. */
function play(list: readonly { pick: number; text: string; tokens: number }[]): History {
  const events = [QUEUED];
  let last = apply(null, QUEUED).state;
  const states = [last];
  for (const [index, { pick, text, tokens }] of list.entries()) {
    const followers = followersOf(last, eventsFor(last, 1_001 + index, text, tokens));
    const lasting = followers.filter(({ after }) => !isTerminal(after.run) && !isCancelling(after.run));
    const from = lasting.length > 0 && pick % 20 !== 0 ? lasting : followers;
    const next = from[Math.floor(pick / 20) % from.length];
    if (next === undefined) break;
    events.push(next.event);
    states.push(next.after);
    last = next.after;
  }
  return { events, states, last };
}

function followersOf(
  state: RunState,
  events: Readonly<Record<RunEventType, RunEvent>>,
): readonly { event: RunEvent; after: RunState }[] {
  return Object.values(events).flatMap((event) => {
    const after = tryApply(state, event);
    return after === null ? [] : [{ event, after }];
  });
}

/** Random legal histories of up to 60 events. */
export const histories: fc.Arbitrary<History> = choices.map(play);

/** What the model wrote for a call. */
export function argumentsOf(call: StepCall | RequiredCall): string {
  return calledFunction(call).arguments;
}
