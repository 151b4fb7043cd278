/**
 * A run as its caller hears it: words, calls, and how it ends. Neutral: each protocol makes its own frames of these
 * events. Like every reader of a log, this one reads it from the beginning and yields nothing up to its cursor. Pure.
 */
import type { AsideFields } from '../runs/asides.ts';
import { calledFunction, outputOf } from '../runs/calls/kinds.ts';
import type { RunEvent } from '../runs/event.ts';
import type { Logprobs } from '../runs/logprobs.ts';
import { callsOf, openCalls } from '../runs/parts.ts';
import type { ThoughtField } from '../runs/thoughts.ts';
import { apply, isBlocked, isTerminal, pendingCalls, type RunState } from '../runs/run.ts';
import {
  addUsage,
  NO_USAGE,
  type Annotation,
  type FailureFacts,
  type RequiredCall,
  type RunError,
  type Usage,
} from '../runs/thread.ts';
import type { LoggedEvent } from '../store/follow.ts';

/** What the model server said beside the last completion: of its message, and of its calls by their ids. */
export interface TurnAsides {
  readonly message: AsideFields;
  readonly calls: ReadonlyMap<string, AsideFields>;
}

export type TurnEvent =
  /** `annotations`: their indices count from the beginning of everything said in this answer. */
  | {
      readonly type: 'text';
      readonly text: string;
      readonly annotations?: readonly Annotation[];
      /** It only fills a silence, and is not the model's. */
      readonly isFiller?: true;
      readonly logprobs?: Logprobs;
    }
  /** What the model thinks before it answers or calls, and the field its server calls it. */
  | { readonly type: 'thought'; readonly field: ThoughtField; readonly text: string }
  /** These thoughts led to nothing; others may follow. */
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
  /**
   * Words are taken back: their worker was lost, and another one begins again. `error` is for protocols that cannot
   * take words back.
   */
  | { readonly type: 'dropped'; readonly text: string; readonly error: RunError }
  /** The caller has to run these calls; until then the conversation rests. */
  | {
      readonly type: 'calls';
      readonly calls: readonly RequiredCall[];
      readonly usage: Usage;
      readonly asides?: TurnAsides;
    }
  | {
      readonly type: 'end';
      readonly reason: 'stop' | 'length' | 'content_filter';
      readonly usage: Usage;
      readonly asides?: TurnAsides;
    }
  /**
   * `retryAfterMs`: how long the model server asked not to be called. `said`: the parameter at fault and the error, as the
   * server calls them.
   */
  | {
      readonly type: 'failed';
      readonly error: TurnError;
      readonly retryAfterMs?: number | undefined;
      readonly said?: Pick<FailureFacts, 'param' | 'code'> | undefined;
    };

/** Why a turn has no answer: its run failed, or it was cancelled. */
export type TurnError = RunError | { readonly code: 'cancelled'; readonly message: string };

/**
 * What chat clients hear. Calls of the service's own tools do not concern them, and do not count as the beginning of an
 * answer.
 */
export type Audible = Exclude<TurnEvent, { readonly type: 'tool.start' | 'tool.end' }>;

export function isAudible(event: TurnEvent): event is Audible {
  return event.type !== 'tool.start' && event.type !== 'tool.end';
}

/**
 * As {@link isAudible}, without thoughts: a client that speaks what it gets must not speak them, and while the model
 * thinks the filler may be said.
 */
export function isSpeakable(event: TurnEvent): event is Audible {
  return isAudible(event) && event.type !== 'thought' && event.type !== 'thought.dropped';
}

/** Reads a log from its first event on, and yields what lies behind a cursor, until the run ends or rests. */
export class TurnReader {
  /** The run has ended, or waits for its caller: nothing more follows. */
  isOver = false;
  readonly #after: number;
  #state: RunState | null = null;
  /** The text of the last message, which is open or came before the calls being made. */
  #said = '';
  /** The length of all text so far, and of the text before that message. */
  #told = 0;
  #start = 0;
  /** Somebody has said something since the last text, and what follows answers that. */
  #isSteered = false;
  /** The thoughts of the completion under way. */
  #thought = '';
  /** The tokens of the events after the cursor. */
  #usage = NO_USAGE;

  /** @param after the sequence number of the last event that is not to be yielded */
  constructor(after: number) {
    this.#after = after;
  }

  /** What the next entries of the log say. */
  read(entries: readonly LoggedEvent[]): readonly TurnEvent[] {
    const told: TurnEvent[] = [];
    const takenBack = dropped(entries);
    for (const { seq, event } of entries) {
      const isHeard = seq > this.#after && !takenBack.has(seq);
      if (isFragment(event)) {
        // Not folded: nothing here looks at the text that the state would gather.
        if (isHeard) this.#hear(event, told);
        continue;
      }
      const before = this.#state;
      const { state } = apply(before, event);
      this.#state = state;
      if (!isHeard) continue;
      this.#takeBack(event, told);
      if (isThoughtDrop(event) || isThoughtOver(event)) this.#thought = '';
      this.#usage = addUsage(this.#usage, tokensOf(event, before));
      told.push(...eventsOf(event, before, state, this.#usage));
      this.isOver = event.type === 'run.blocked' || isTerminal(state.run);
      if (this.isOver) break;
    }
    return told;
  }

  /** Adds what a fragment says. */
  #hear(event: Fragment, told: TurnEvent[]): void {
    if (event.type === 'thought.delta') {
      this.#thought += event.text;
      told.push({ type: 'thought', field: event.field, text: event.text });
      return;
    }
    const { text, annotations = [], logprobs } = event;
    this.#said += text;
    this.#told += text.length;
    if (annotations.length === 0 && logprobs === undefined) {
      if (text !== '') told.push({ type: 'text', text });
      return;
    }
    const marks = annotations.map((mark) => shifted(mark, this.#start));
    told.push({
      type: 'text',
      text,
      ...(marks.length > 0 && { annotations: marks }),
      ...(logprobs !== undefined && { logprobs }),
    });
  }

  /** Keeps track of which message is open, and adds what an event takes back, or what stands between two answers. */
  #takeBack(event: RunEvent, told: TurnEvent[]): void {
    if (event.type === 'run.steered') this.#isSteered = this.#told > 0;
    if (event.type === 'message.created') {
      if (this.#isSteered) {
        told.push({ type: 'text', text: BETWEEN });
        this.#told += BETWEEN.length;
        this.#isSteered = false;
      }
      this.#said = '';
      this.#start = this.#told;
    }
    if (isDrop(event) && this.#said !== '') {
      this.#told -= this.#said.length;
      told.push({ type: 'dropped', text: this.#said, error: INTERRUPTED });
    }
    if (isThoughtDrop(event) && this.#thought !== '')
      told.push({ type: 'thought.dropped', text: this.#thought });
  }
}

/** Stands between two answers that a caller hears as one. */
const BETWEEN = '\n\n';

/** A fragment of what is said or thought: it changes no status, and most events are such. */
type Fragment = Extract<RunEvent, { type: 'message.delta' | 'thought.delta' }>;

function isFragment(event: RunEvent): event is Fragment {
  return event.type === 'message.delta' || event.type === 'thought.delta';
}

const NONE: ReadonlySet<number> = new Set();

/** The fragments that are taken back within the same batch: a late reader need not hear them. */
function dropped(entries: readonly LoggedEvent[]): ReadonlySet<number> {
  if (!entries.some(({ event }) => isDrop(event) || isThoughtDrop(event))) return NONE;
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

/** The thoughts of the completion under way are taken back; those of a complete one stay. */
function isThoughtDrop({ type }: RunEvent): boolean {
  return type === 'thought.dropped' || type === 'run.released';
}

/** The calls that the thoughts led to are answered: from here on they are not taken back. */
function isThoughtOver(event: RunEvent): boolean {
  return event.type === 'step.completed' && event.outputs !== null;
}

/**
 * The tokens an event accounts for. The tokens of calls are counted when the calls are made, not again when they are
 * answered.
 */
function tokensOf(event: RunEvent, before: RunState | null): Usage {
  if (!('usage' in event) || (before !== null && isBlocked(before.run))) return NO_USAGE;
  return event.usage ?? NO_USAGE;
}

function eventsOf(
  event: Exclude<RunEvent, Fragment>,
  before: RunState | null,
  { run, step }: RunState,
  usage: Usage,
): readonly TurnEvent[] {
  switch (event.type) {
    case 'tool.answered': {
      const call = step && callsOf(step)[event.index];
      if (!call) return [];
      const { name, arguments: text } = calledFunction(call);
      const output = outputOf(call);
      return [
        { type: 'tool.start', id: call.id, name, arguments: text },
        { type: 'tool.end', id: call.id, name, arguments: text, output },
      ];
    }
    case 'run.blocked':
      return [{ type: 'calls', calls: pendingCalls(run), usage, ...asidesOf(before) }];
    case 'run.completed':
      return [{ type: 'end', reason: 'stop', usage, ...asidesOf(before) }];
    case 'run.incomplete': {
      const reason = event.reason === 'content_filter' ? 'content_filter' : 'length';
      return [{ type: 'end', reason, usage, ...asidesOf(before) }];
    }
    case 'run.failed':
      return [{ type: 'failed', error: event.error, retryAfterMs: event.retry_after_ms, said: event.facts }];
    case 'run.cancelled':
      return [{ type: 'failed', error: CANCELLED }];
    case 'run.expired':
      return [{ type: 'failed', error: EXPIRED }];
    case 'run.queued':
    case 'run.started':
    case 'run.released':
    case 'run.resumed':
    case 'run.steered':
    case 'run.cancelling':
    case 'step.created':
    case 'step.completed':
    case 'step.left':
    case 'step.failed':
    case 'step.cancelled':
    case 'step.expired':
    case 'step.dropped':
    case 'message.created':
    case 'message.completed':
    case 'message.incomplete':
    case 'thought.dropped':
    case 'asides.told':
    case 'tool.called':
    case 'tool.delta':
    case 'tool.output':
      return [];
  }
}

/** The asides of the completion that just ended. */
function asidesOf(before: RunState | null): { readonly asides?: TurnAsides } {
  const { asides = null, step = null, preface = null } = before ?? {};
  if (asides === null || asides.step !== (step ?? preface)?.id) return {};
  const calls = new Map<string, AsideFields>();
  for (const [index, { id }] of (step === null ? [] : callsOf(step)).entries()) {
    const fields = asides.calls[index];
    if (fields !== undefined) calls.set(id, fields);
  }
  // Of calls made at once, servers sign the first, and refuse a first call that is not signed. If the caller is not shown
  // that one, because it was not the caller's to answer, the first that it is shown stands in its place.
  const [first] = step === null ? [] : openCalls(step);
  const signed = asides.calls[0];
  if (first !== undefined && signed !== undefined && !calls.has(first.id)) calls.set(first.id, signed);
  return { asides: { message: asides.message, calls } };
}

function shifted(mark: Annotation, by: number): Annotation {
  return { ...mark, start_index: mark.start_index + by, end_index: mark.end_index + by };
}

const INTERRUPTED: RunError = {
  code: 'server_error',
  message: 'The answer was interrupted and could not be continued. Ask again.',
};
const CANCELLED: TurnError = { code: 'cancelled', message: 'The answer was cancelled.' };
const EXPIRED: RunError = {
  code: 'server_error',
  message: 'The answer took longer than this server allows.',
};
