/**
 * What a run is and what may happen to it: the transition table, and `apply`, which folds one event into the state.
 * Run statuses are compared in this file only. Pure: no clock, no ids, no I/O.
 *
 * Invariants, kept by `apply` (an illegal event throws and is never committed):
 *   R1  an event is applied only in the statuses its row of the table lists
 *   R2  at most one step and, inside it, at most one message is open at a time
 *   R3  a message closes before its step, a step before its run ends
 *   R4  only a step of tool calls stays open while the run waits for the client
 *   R5  folding a run's log from its first event gives the run as it is stored
 */
import { started, unattempted, unstarted } from './attempts.ts';
import type { Asides } from './asides.ts';
import { answerCall, formatOf, isOpenCall, requiredCall, type StepCall } from './calls/kinds.ts';
import type { RunEvent, RunEventType, RunOrigin } from './event.ts';
import { calledMore, failure, newMessage, newStep, openCalls, saidMore } from './parts.ts';
import { thoughtMore, type Thought } from './thoughts.ts';
import {
  addUsage,
  NO_USAGE,
  type Message,
  type RequiredCall,
  type Run,
  type RunStatus,
  type RunStep,
  type Usage,
} from './thread.ts';

/** A run and what its execution needs to remember; the fold of its log. */
export interface RunState {
  /** The format it is stored in (format.ts); without it, the first. */
  readonly v?: number;
  readonly run: Run;
  readonly origin: RunOrigin;
  /** The open step, or null. */
  readonly step: RunStep | null;
  /** The open message, with the text said so far, or null. */
  readonly message: Message | null;
  /** Whether the open step's message has been closed; a step has only one. */
  readonly said: boolean;
  /** The step of the words that came before the calls under way; null where there were none. */
  readonly preface: RunStep | null;
  /** The model's thoughts in the completion under way; missing on runs of older versions. */
  readonly thoughts?: readonly Thought[];
  /**
   * What its server said beside the words or calls of a step: the completion under way. The step is named because
   * processes of older versions leave them standing.
   */
  readonly asides?: (Asides & { readonly step: string }) | null;
  /** Tokens spent so far; shown on the run only when it has ended. */
  readonly spent: Usage;
  /** Tokens of the turn that ended in the open step of tool calls; its closing event accounts for them. */
  readonly owed: Usage | null;
  /** How often a client has queued the run: once, and once more for each answer. Names the queue's job. */
  readonly turn: number;
  /** How often a worker has started this turn. */
  readonly attempts: number;
  /** Which workers those were (attempts.ts). */
  readonly starts?: readonly string[];
  /** Older processes wait until this time; this code ignores it. */
  readonly calm_until_ms: number;
}

/** The state after an event, and the wire object the event is about, as it is then. */
export interface Applied {
  readonly state: RunState;
  readonly subject: Run | RunStep | Message;
}

/** A run that does not exist yet. */
type From = RunStatus | 'new';

interface Transition {
  readonly from: readonly From[];
  /** The status the event leads to; null keeps it. */
  readonly to: RunStatus | null;
}

/** While a worker executes the run, or closes it after a cancel. */
const EXECUTING: readonly From[] = ['in_progress', 'cancelling'];
/** R4: the step of tool calls is closed by an answer, a cancel or the run's expiry while the client is waited for. */
const CLOSABLE: readonly From[] = ['in_progress', 'cancelling', 'requires_action'];

/** Every event, the statuses it is legal in, and the status it leads to. */
export const TRANSITIONS: Readonly<Record<RunEventType, Transition>> = {
  'run.queued': { from: ['new'], to: 'queued' },
  'run.started': { from: ['queued'], to: 'in_progress' },
  'run.released': { from: ['in_progress'], to: 'queued' },
  'run.blocked': { from: ['in_progress'], to: 'requires_action' },
  'run.resumed': { from: ['requires_action'], to: 'queued' },
  'run.steered': { from: ['queued', 'in_progress', 'requires_action', 'cancelling'], to: null },
  'run.cancelling': { from: ['queued', 'in_progress', 'requires_action'], to: 'cancelling' },
  'run.cancelled': { from: ['cancelling'], to: 'cancelled' },
  'run.completed': { from: ['in_progress', 'cancelling'], to: 'completed' },
  'run.incomplete': { from: ['in_progress', 'cancelling'], to: 'incomplete' },
  'run.failed': { from: ['queued', 'in_progress', 'cancelling'], to: 'failed' },
  'run.expired': { from: ['queued', 'in_progress', 'requires_action'], to: 'expired' },
  'step.created': { from: ['in_progress'], to: null },
  'step.completed': { from: CLOSABLE, to: null },
  'step.left': { from: ['in_progress'], to: null },
  'step.failed': { from: CLOSABLE, to: null },
  'step.cancelled': { from: CLOSABLE, to: null },
  'step.expired': { from: CLOSABLE, to: null },
  'step.dropped': { from: ['in_progress'], to: null },
  'message.created': { from: ['in_progress'], to: null },
  'message.delta': { from: ['in_progress'], to: null },
  'thought.delta': { from: ['in_progress'], to: null },
  'thought.dropped': { from: ['in_progress'], to: null },
  'asides.told': { from: ['in_progress'], to: null },
  'message.completed': { from: EXECUTING, to: null },
  'message.incomplete': { from: EXECUTING, to: null },
  'tool.called': { from: ['in_progress'], to: null },
  'tool.delta': { from: ['in_progress'], to: null },
  'tool.output': { from: ['in_progress'], to: null },
  'tool.answered': { from: ['in_progress'], to: null },
};

/** An event that the table or an invariant forbids: a bug in the code that wrote it, never in a client. */
export class IllegalTransition extends Error {
  constructor(event: RunEventType, status: From, why: string) {
    super(`event ${event} is illegal on a run that is ${status}: ${why}`);
    this.name = 'IllegalTransition';
  }
}

export function isTerminal(run: Run): boolean {
  switch (run.status) {
    case 'cancelled':
    case 'failed':
    case 'completed':
    case 'incomplete':
    case 'expired':
      return true;
    case 'queued':
    case 'in_progress':
    case 'requires_action':
    case 'cancelling':
      return false;
  }
}

/** The run waits for a worker: it must have a job. */
export const isQueued = (run: Run): boolean => run.status === 'queued';
/** A worker has it, or had it and died. */
export const isExecuting = (run: Run): boolean => run.status === 'in_progress';
/** It waits for the client's tool outputs; streams end here. */
export const isBlocked = (run: Run): boolean => run.status === 'requires_action';
/** A cancel was accepted, and the worker that executes the run has yet to close it. */
export const isCancelling = (run: Run): boolean => run.status === 'cancelling';
/** Its time is over, so it should be closed as expired. A run that is being cancelled ends as cancelled instead. */
export function isOverdue(run: Run, now: number): boolean {
  return !isTerminal(run) && !isCancelling(run) && run.expires_at !== null && now >= run.expires_at;
}

/** The calls the client has yet to answer; empty unless there is a run and it is blocked. */
export function pendingCalls(run: Run | null): readonly RequiredCall[] {
  return run?.required_action?.submit_tool_outputs.tool_calls ?? [];
}

/**
 * The state after `event`. `state` is null only before `run.queued`.
 * @throws {IllegalTransition} when the table or an invariant forbids the event.
 */
export function apply(state: RunState | null, event: RunEvent): Applied {
  const transition = TRANSITIONS[event.type];
  const status: From = state === null ? 'new' : state.run.status;
  if (!transition.from.includes(status)) {
    throw new IllegalTransition(event.type, status, `only ${transition.from.join(', ')} may`);
  }
  if (event.type === 'run.queued') return begin(event.run, event.origin);
  if (state === null) throw new IllegalTransition(event.type, status, 'there is no run yet');
  // Before all others: it comes for every token, in every process that follows the run.
  if (event.type === 'message.delta' && state.message !== null)
    return withMessage(state, saidMore(state.message, event));
  return isRunEvent(event)
    ? applyToRun(state, event, transition.to ?? state.run.status)
    : applyToPart(state, event, status);
}

/** Folds `events` into `state`, in order. */
export function applyAll(state: RunState, events: readonly RunEvent[]): RunState {
  return events.reduce((current, event) => apply(current, event).state, state);
}

type OwnEvent = Exclude<Extract<RunEvent, { type: `run.${string}` }>, { type: 'run.queued' }>;
type PartEvent = Exclude<RunEvent, { type: `run.${string}` }>;

const isRunEvent = (event: RunEvent): event is OwnEvent => event.type.startsWith('run.');

function begin(run: Run, origin: RunOrigin): Applied {
  const format = formatOf(run, origin);
  const state: RunState = {
    ...(format > 1 && { v: format }),
    run,
    origin,
    step: null,
    message: null,
    said: false,
    preface: null,
    thoughts: [],
    spent: NO_USAGE,
    owed: null,
    turn: 1,
    attempts: 0,
    calm_until_ms: 0,
  };
  return { state, subject: run };
}

function applyToRun(state: RunState, event: OwnEvent, status: RunStatus): Applied {
  requireClosed(state, event);
  const run = { ...state.run, status };
  const unthinking = { ...state, thoughts: [], asides: null };
  const ended = { ...run, required_action: null, expires_at: null, usage: state.spent };
  // What only its execution needed goes, and above all the secrets that came with the request.
  const origin = { ...state.origin, sealed: null, context: {} };
  const over = { ...unthinking, origin, preface: null, starts: [] };
  switch (event.type) {
    case 'run.started':
      return withRun({ ...unthinking, ...started(state, event.worker) }, { ...run, started_at: event.at });
    case 'run.released':
      // Giving the run back in good order is not a failure of the worker.
      return withRun(event.reason === 'shutdown' ? { ...unthinking, ...unstarted(state) } : unthinking, run);
    case 'run.steered':
      // What was answered before it stays, even if the worker is lost. Calls may be open that are left to the client.
      return withRun(state.step === null ? { ...unthinking, preface: null } : state, run);
    case 'run.cancelling':
      // The client of a cancelling run has nothing left to answer; an open step is closed by the events that follow.
      return withRun(state, { ...run, required_action: null });
    case 'run.blocked':
      return withRun(
        { ...state, owed: event.usage },
        { ...run, required_action: requiredAction(state, event) },
      );
    case 'run.resumed':
      return withRun(
        { ...state, ...unattempted(state), turn: state.turn + 1 },
        { ...run, required_action: null },
      );
    case 'run.cancelled':
      return withRun(over, { ...ended, cancelled_at: event.at });
    case 'run.completed':
      return withRun(over, { ...ended, completed_at: event.at });
    case 'run.incomplete':
      return withRun(over, { ...ended, incomplete_details: { reason: event.reason } });
    case 'run.failed':
      return withRun(over, { ...ended, failed_at: event.at, last_error: event.error });
    case 'run.expired':
      // The wire has no `expired_at`: the run keeps `expires_at`, which says when it expired.
      return withRun(over, { ...ended, expires_at: run.expires_at });
  }
}

/** R3, R4: which parts may be open when a run event arrives. */
function requireClosed(state: RunState, event: OwnEvent): void {
  // A cancel is accepted at any moment; the worker that executes the run closes the parts.
  if (event.type === 'run.cancelling') return;
  if (state.message !== null) throw new IllegalTransition(event.type, state.run.status, 'a message is open');
  const isOpenCalls = event.type === 'run.blocked' || (event.type === 'run.steered' && isBlocked(state.run));
  if (state.step !== null && !isOpenCalls)
    throw new IllegalTransition(event.type, state.run.status, 'a step is open');
}

function requiredAction(state: RunState, event: OwnEvent): NonNullable<Run['required_action']> {
  const calls = state.step === null ? [] : openCalls(state.step);
  if (calls.length === 0) throw new IllegalTransition(event.type, state.run.status, 'no tool was called');
  return { type: 'submit_tool_outputs', submit_tool_outputs: { tool_calls: calls.map(requiredCall) } };
}

function applyToPart(state: RunState, event: PartEvent, status: From): Applied {
  const { run, step, message } = state;
  const illegal = (why: string): never => {
    throw new IllegalTransition(event.type, status, why);
  };
  const openStep = (): RunStep => step ?? illegal('no step is open');
  const openMessage = (): Message => message ?? illegal('no message is open');
  switch (event.type) {
    case 'step.created':
      if (step !== null) return illegal('a step is open');
      return withStep(state, newStep(run, event));
    case 'step.completed': {
      const { outputs, at } = event;
      const details = openStep().step_details;
      if (details.type === 'message_creation') {
        return state.said
          ? closeStep(event, { status: 'completed', completed_at: at })
          : illegal('its message was never said');
      }
      if (outputs === null) return illegal('its calls have no outputs');
      const answered = details.tool_calls.map((call) =>
        isOpenCall(call) ? answerCall(call, outputOf(outputs, call.id)) : call,
      );
      const step_details = { type: 'tool_calls', tool_calls: answered } as const;
      return closeStep(event, { status: 'completed', completed_at: at, step_details });
    }
    case 'step.left':
      if (openCalls(openStep()).length === 0) return illegal('it has no open call');
      return closeStep(event, { status: 'completed', completed_at: event.at });
    case 'step.failed':
      return closeStep(event, failure(event));
    case 'step.cancelled':
      return closeStep(event, { status: 'cancelled', cancelled_at: event.at });
    case 'step.expired':
      return closeStep(event, { status: 'expired', expired_at: event.at });
    case 'step.dropped': {
      const subject = state.preface ?? illegal('no words came before the calls');
      return { state: { ...state, preface: null }, subject: { ...subject, ...failure(event) } };
    }
    case 'message.created':
      if (step?.step_details.type !== 'message_creation') return illegal('no message step is open');
      if (step.step_details.message_creation.message_id !== event.message_id)
        return illegal('the step names another');
      if (message !== null || state.said) return illegal('the step has its message already');
      return withMessage(state, newMessage(run, event));
    case 'message.delta':
      return withMessage(state, saidMore(openMessage(), event));
    case 'thought.delta': {
      const thoughts = thoughtMore(state.thoughts ?? [], event);
      return { state: { ...state, thoughts }, subject: run };
    }
    case 'thought.dropped':
      return { state: { ...state, thoughts: [] }, subject: run };
    case 'asides.told':
      return { state: { ...state, asides: { ...event.asides, step: openStep().id } }, subject: run };
    case 'message.completed':
      return closeMessage({ ...openMessage(), status: 'completed', completed_at: event.at });
    case 'message.incomplete':
      return closeMessage({
        ...openMessage(),
        status: 'incomplete',
        incomplete_at: event.at,
        incomplete_details: { reason: event.reason },
      });
    case 'tool.called': {
      const calls = toolCalls();
      if (event.index !== calls.length) return illegal(`the next call has index ${calls.length}`);
      if (calls.some(({ id }) => id === event.call_id))
        return illegal(`call ${event.call_id} was made already`);
      return withCalls(calledMore(calls, event, run.tools));
    }
    case 'tool.delta': {
      callAt(event.index);
      return withCalls(calledMore(toolCalls(), event));
    }
    case 'tool.output':
    case 'tool.answered': {
      const call = callAt(event.index);
      if (!isOpenCall(call)) return illegal(`call ${call.id} is answered already`);
      return withCalls(calledMore(toolCalls(), event));
    }
  }

  function outputOf(outputs: Readonly<Record<string, string>>, id: string): string {
    // Own keys only: a call may be named like something every object inherits.
    const output = Object.hasOwn(outputs, id) ? outputs[id] : undefined;
    return output ?? illegal(`call ${id} has no output`);
  }
  function toolCalls(): readonly StepCall[] {
    const details = openStep().step_details;
    return details.type === 'tool_calls' ? details.tool_calls : illegal('the open step writes a message');
  }
  function callAt(index: number): StepCall {
    return toolCalls()[index] ?? illegal(`there is no call ${index}`);
  }
  function withCalls(calls: readonly StepCall[]): Applied {
    return withStep(state, { ...openStep(), step_details: { type: 'tool_calls', tool_calls: calls } });
  }
  function closeStep({ usage }: { usage: Usage | null }, change: Partial<RunStep>): Applied {
    if (message !== null) return illegal('its message is open');
    // A step that the client answered can still expire with its run; a step closed for any other reason cannot.
    const expires_at = change.step_details === undefined ? null : openStep().expires_at;
    const subject = { ...openStep(), ...change, usage, expires_at };
    const isSaid = subject.status === 'completed' && state.said;
    return {
      state: {
        ...state,
        step: null,
        said: false,
        preface: isSaid ? subject : null,
        // Calls may follow the words, and the thoughts belong to them as well.
        thoughts: isSaid ? (state.thoughts ?? []) : [],
        asides: isSaid ? (state.asides ?? null) : null,
        owed: null,
        spent: addUsage(state.spent, usage ?? NO_USAGE),
      },
      subject,
    };
  }
  function closeMessage(subject: Message): Applied {
    return { state: { ...state, message: null, said: true }, subject };
  }
}

const withRun = (state: RunState, run: Run): Applied => ({ state: { ...state, run }, subject: run });
const withStep = (state: RunState, step: RunStep): Applied => ({ state: { ...state, step }, subject: step });
const withMessage = (state: RunState, message: Message): Applied => ({
  state: { ...state, message },
  subject: message,
});
