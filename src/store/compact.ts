/**
 * Documents as they are written: without the fields that have their usual value, which whoever reads them puts back. A
 * document that names its usual values, as older processes wrote it, reads the same. An older process that reads one of
 * these misses what is not there, and nothing else. Pure.
 */
import { isDeepStrictEqual } from 'node:util';
import { formatOf } from '../runs/calls/kinds.ts';
import type { RunOrigin } from '../runs/event.ts';
import { SHARING_FORMAT } from '../runs/format.ts';
import { isTerminal, type RunState } from '../runs/run.ts';
import type { StoredItem } from '../runs/items.ts';
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

const ITEM = { run_id: null, status: 'completed' } as const satisfies Partial<StoredItem>;

type WirePart = Message | RunStep | StoredItem | Run;
type Values = Readonly<Record<string, unknown>>;

const USUAL: Readonly<Record<WirePart['object'], Values>> = {
  'thread.message': MESSAGE,
  'thread.run.step': STEP,
  'thread.item': ITEM,
  'thread.run': ENDED_RUN,
};

/** What is stored of a message, a step or an item. */
export function encodePart(part: WirePart): string {
  return JSON.stringify(brief(part));
}

/** What an ended run may share with others (contents.ts). */
export type RunContent = Pick<Run, 'instructions' | 'tools'>;

/** Its digest, and what it adds to the run's own document when that is read. */
interface NamedContent {
  readonly id: string;
  readonly bytes: number;
}

/**
 * What is stored of a run. One that is yet to end is stored whole, because an older worker may execute it.
 * @param content of an ended run, where it is kept elsewhere
 */
export function encodeRun(state: RunState, content: NamedContent | null = null): string {
  if (!isTerminal(state.run)) return JSON.stringify(state);
  const { instructions, tools, ...run } = brief(state.run);
  const kept = {
    // First, where contentNamedBy and page.lua look for it.
    ...(content !== null && { content: `${content.id}:${content.bytes}` }),
    ...without(state, ENDED_STATE),
    ...(content !== null && { v: Math.max(SHARING_FORMAT, state.v ?? 1) }),
    run: content === null ? { ...run, instructions, tools } : run,
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

/** No longer document is looked into for a content that it names, when only its size is asked for; page.lua knows this too. */
export const MAX_NAMING_BYTES = 4_096;

/** The content that a stored run names; null where it has its own. */
export function contentNamedBy(doc: string): NamedContent | null {
  const [, id, bytes] = /^\{"content":"([\w-]+):(\d+)"/.exec(doc) ?? [];
  return id === undefined ? null : { id, bytes: Number(bytes) };
}

/** A run as it is stored, which may name a content. */
export type StoredState = RunState & { readonly content?: string };

/** The whole of what was stored of a run of that thread. @param content where the run names one */
export function wholeRun(stored: StoredState, threadId: string, content: RunContent | null): RunState {
  if (!isTerminal(stored.run)) return stored;
  const run = { ...wholePart(stored.run, threadId), ...content };
  const { content: _, v = 1, ...state } = stored;
  const origin = { ...ENDED_ORIGIN, ...stored.origin };
  const format = content === null ? v : formatOf(run, origin);
  const spent = run.usage ?? NO_USAGE;
  return { ...ENDED_STATE, ...(format > 1 && { v: format }), ...state, run, origin, spent };
}

/** Without the name of its thread, by whose name it was found, and the details of a usage that has none. */
function brief(part: WirePart): Values {
  const { thread_id: _, ...rest } = part;
  const kept = without(rest, USUAL[part.object]);
  return 'usage' in part && part.usage ? { ...kept, usage: without(part.usage, USAGE) } : kept;
}

function without(all: object, usual: Values): Values {
  const isUnusual = ([name, value]: [string, unknown]): boolean =>
    !(Object.hasOwn(usual, name) && isSame(value, usual[name]));
  return Object.fromEntries(Object.entries(all).filter(isUnusual));
}

/** Most usual values are null, a number or empty, and a run compares forty: these are not worth a deep comparison. */
function isSame(value: unknown, usual: unknown): boolean {
  if (typeof usual !== 'object' || usual === null) return value === usual;
  if (typeof value !== 'object' || value === null) return false;
  return Object.keys(value).length === Object.keys(usual).length && isDeepStrictEqual(value, usual);
}
