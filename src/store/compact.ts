/**
 * Documents as they are written: without the fields that have their usual value, which whoever reads them puts back. A
 * document that names its usual values, as older processes wrote it, reads the same. An older process that reads one of
 * these misses what is not there, and nothing else. Pure.
 */
import { isDeepStrictEqual } from 'node:util';
import type { RunOrigin } from '../runs/event.ts';
import { isTerminal, type RunState } from '../runs/run.ts';
import { NO_USAGE, type Message, type Run, type RunStep, type Usage } from '../runs/thread.ts';

// Documents in Redis rely on these values: one that is changed here changes what they say. New ones may join.

const MESSAGE = {
  incomplete_details: null,
  completed_at: null,
  incomplete_at: null,
  assistant_id: null,
  run_id: null,
  attachments: [],
  metadata: {},
} as const satisfies Partial<Message>;

const STEP = {
  last_error: null,
  cancelled_at: null,
  completed_at: null,
  failed_at: null,
  expired_at: null,
  expires_at: null,
  metadata: {},
  usage: null,
} as const satisfies Partial<RunStep>;

const ENDED_RUN = {
  started_at: null,
  expires_at: null,
  cancelled_at: null,
  failed_at: null,
  completed_at: null,
  required_action: null,
  last_error: null,
  incomplete_details: null,
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
} as const satisfies Partial<Run>;

const ENDED_ORIGIN = {
  backend_id: null,
  server_tools: [],
  passed_on: {},
  context: {},
  sealed: null,
  ephemeral: false,
  turn_key: null,
} as const satisfies Partial<RunOrigin>;

/** What a run remembers for its execution, once that is over; what it has spent is its usage then. */
const ENDED_STATE = {
  said: false,
  preface: null,
  thoughts: [],
  asides: null,
  starts: [],
  owed: null,
  calm_until_ms: 0,
} as const satisfies Partial<RunState>;

const USAGE = {
  prompt_token_details: { cached_tokens: 0 },
  completion_tokens_details: { reasoning_tokens: 0 },
} as const satisfies Partial<Usage>;

type WirePart = Message | RunStep | Run;
type UsualValues = Readonly<Record<string, unknown>>;

const USUAL: Readonly<Record<WirePart['object'], UsualValues>> = {
  'thread.message': MESSAGE,
  'thread.run.step': STEP,
  'thread.run': ENDED_RUN,
};

/** What is stored of a message or step. */
export function encodePart(part: WirePart): string {
  return JSON.stringify(brief(part));
}

/** What is stored of a run. One that is yet to end is stored whole, because an older worker may execute it. */
export function encodeRun(state: RunState): string {
  if (!isTerminal(state.run)) return JSON.stringify(state);
  const kept = {
    ...without(state, ENDED_STATE),
    run: brief(state.run),
    origin: without(state.origin, ENDED_ORIGIN),
    // Older processes expect an object.
    spent: {},
  };
  return JSON.stringify(kept);
}

/** The whole of what was stored of a message, a step or an ended run of that thread. */
export function wholePart<T extends WirePart>(stored: T, threadId: string): T {
  const { id, object } = stored;
  const usage = 'usage' in stored && stored.usage && { usage: { ...USAGE, ...stored.usage } };
  return Object.assign({ id, object, ...USUAL[object] }, stored, { thread_id: threadId, ...usage });
}

/** The whole of what was stored of a run of that thread. */
export function wholeRun(stored: RunState, threadId: string): RunState {
  if (!isTerminal(stored.run)) return stored;
  const run = wholePart(stored.run, threadId);
  const origin = { ...ENDED_ORIGIN, ...stored.origin };
  return { ...ENDED_STATE, ...stored, run, origin, spent: run.usage ?? NO_USAGE };
}

/** Without the name of its thread, by whose name it was found, and the details of a usage that has none. */
function brief(part: WirePart): object {
  const { thread_id: _, ...rest } = part;
  const kept = without(rest, USUAL[part.object]);
  return 'usage' in part && part.usage ? { ...kept, usage: without(part.usage, USAGE) } : kept;
}

function without(all: object, usual: UsualValues): object {
  const isUnusual = ([name, value]: [string, unknown]): boolean =>
    !(Object.hasOwn(usual, name) && isDeepStrictEqual(value, usual[name]));
  return Object.fromEntries(Object.entries(all).filter(isUnusual));
}
