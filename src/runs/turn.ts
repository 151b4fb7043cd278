/** One completion of a run: turns the parts that the model streams into events that are legal one after the other. Pure. */
import type { Asides, KeptAsides } from './asides.ts';
import type { ApprovedCall } from './approved.ts';
import type { Ask } from './ask.ts';
import type { CallIds } from './call-ids.ts';
import { citationOf } from './calls/file-search.ts';
import { answererOf, toolNames, typeOfCalls, type StepCall } from './calls/kinds.ts';
import { ending, INCOMPLETE, type Ending } from './ending.ts';
import { textEvent, type RunEvent } from './event.ts';
import { referencesIn, undrawn } from './hosted.ts';
import type { Clock, NewId } from './ids.ts';
import { Marks } from './marks.ts';
import type { ModelError, ModelPart, ModelRequest } from './model.ts';
import { callsOf, openCalls } from './parts.ts';
import { remoteTool, type RemoteTool } from './remote.ts';
import { apply, isExecuting, type RunState } from './run.ts';
import { thinker, type Thought } from './thoughts.ts';
import { estimateTokens } from './tokens.ts';
import { noSuchTool, safeName, toolNamed } from './tool-names.ts';
import { NO_USAGE, type ThreadItem, type Usage } from './thread.ts';

/** How often in one attempt the worker's own tools may answer; after that the model must answer without tools. */
export const MAX_TOOL_PASSES = 8;

/** What of a prompt matters here: the tools that the model is offered, and the prompt's size. */
interface Offer {
  readonly request: Pick<ModelRequest, 'tools'> & Partial<Pick<ModelRequest, 'tool_choice'>>;
  readonly estimatedTokens: number;
}

type Finish = Extract<ModelPart, { type: 'finish' }>;

interface TurnOptions {
  readonly now: Clock;
  readonly newId: NewId;
  readonly callIds: CallIds;
  /** Whether the model has to answer without tools. */
  readonly isLast: boolean;
  /** What the model sees of the thread. */
  readonly items: readonly ThreadItem[];
}

export class Turn {
  state: RunState;
  /** The messages and steps that this turn has closed, in order. */
  readonly closed: ThreadItem[] = [];
  /** What the model thought before the steps of calls among them, by their ids. */
  readonly thoughts = new Map<string, readonly Thought[]>();
  /** What its server said beside them, likewise. */
  readonly asides = new Map<string, KeptAsides>();
  /** The model has sent its finish part. */
  isOver = false;
  #estimatedTokens: number;
  readonly #now: Clock;
  readonly #newId: NewId;
  readonly #callIds: CallIds;
  #toolsAllowed: boolean;
  readonly #isLast: boolean;
  /** The tools of the run, and those of them that the model was offered. */
  readonly #declared: ReadonlySet<string>;
  #offered: readonly string[];
  /** A tool that the model called although none was allowed. */
  #refused: string | null = null;
  /** Finds what the answer refers to; null where there is nothing. */
  readonly #marks: Marks | null;
  /** Pictures that stand before the words of the answer. */
  readonly #images: readonly string[];
  #heard = '';
  #usage: Usage | null = null;

  constructor(
    state: RunState,
    { request, estimatedTokens }: Offer,
    { now, newId, callIds, isLast, items }: TurnOptions,
  ) {
    this.state = state;
    this.#isLast = isLast;
    const marks = new Marks(referencesIn(items, citationOf));
    this.#marks = marks.isNeeded ? marks : null;
    this.#images = undrawn(state.run.id, items);
    this.#declared = new Set(toolNames(state.run.tools));
    this.#now = now;
    this.#newId = newId;
    this.#callIds = callIds;
    this.#offered = toolNames(request.tools);
    this.#toolsAllowed = request.tools.length > 0 && request.tool_choice !== 'none';
    this.#estimatedTokens = estimatedTokens;
  }

  /** Whether the turn has called tools. */
  #hasCalled(): boolean {
    return this.state.step?.type === 'tool_calls';
  }

  /** Whether it is a tool of the run. */
  isDeclared(name: string): boolean {
    return this.#declared.has(name);
  }

  /** The answer to a call of a tool that was never declared: no client could answer it. */
  noSuchTool(name: string): unknown {
    return noSuchTool(name, this.#offered);
  }

  /**
   * The calls that the worker answers itself, with their place in the step: calls of its own tools and of undeclared ones.
   */
  ownCalls(): readonly { readonly index: number; readonly call: StepCall }[] {
    const { step, run } = this.state;
    if (step === null || !isExecuting(run)) return [];
    return callsOf(step)
      .map((call, index) => ({ index, call }))
      .filter(({ call }) => answererOf(call, this.state) === 'worker');
  }

  /** The worker has answered its calls: the step is complete, or the rest is for the client to answer. */
  answered(): readonly RunEvent[] {
    const at = this.#now();
    const { step } = this.state;
    const rest = step === null ? [] : openCalls(step);
    if (rest.length > 0) return this.say(this.#leftToClient(at, this.#usage));
    return this.say([{ type: 'step.completed', at, usage: this.#usage, outputs: {} }]);
  }

  /** Calls that were approved, as a step of their own. No model has to be asked for them. */
  make(approved: readonly ApprovedCall[]): readonly RunEvent[] {
    const made = approved.flatMap(({ name, arguments: text, approval }, index): RunEvent[] => [
      { type: 'tool.called', index, call_id: approval, name, approval, ...this.#remote(name) },
      { type: 'tool.delta', index, arguments: text },
    ]);
    return this.say([...this.#openCallStep(), ...made]);
  }

  #remote(name: string): { readonly remote?: RemoteTool } {
    const remote = remoteTool(this.state.origin, name);
    return remote === null ? {} : { remote };
  }

  hear(part: ModelPart): readonly RunEvent[] {
    switch (part.type) {
      case 'text':
        this.#heard += part.text;
        // Text after tool calls is dropped: the wire has no place for it.
        if (this.#hasCalled()) return [];
        return this.say([...this.#openMessage(), ...this.#said(part)]);
      case 'thought': {
        this.#heard += part.text;
        const { field, text } = part;
        return this.say([{ type: 'thought.delta', field, text }]);
      }
      case 'again':
        this.#heard = '';
        return this.say([{ type: 'thought.dropped' }]);
      case 'call': {
        const name = toolNamed(part.name, this.#declared) ?? safeName(part.name);
        if (!this.#toolsAllowed) this.#refused ??= name;
        if (!this.#wanted(part.index)) return [];
        this.#heard += part.name;
        const { index } = part;
        const kind = typeOfCalls(name, this.state);
        const called: RunEvent = {
          type: 'tool.called',
          index,
          call_id: this.#callIds.take(part.id),
          name,
          ...(kind !== 'function' && { kind }),
          ...this.#remote(name),
        };
        return this.say([...this.#openCallStep(), called]);
      }
      case 'arguments': {
        if (!this.#wanted(part.index)) return [];
        this.#heard += part.text;
        return this.say([{ type: 'tool.delta', index: part.index, arguments: part.text }]);
      }
      case 'finish':
        this.isOver = true;
        this.#usage = part.usage ?? this.#estimate();
        return this.say([...this.#asides(part.asides), ...this.#finish(part.reason, this.#usage)]);
    }
  }

  /** Fragments: of a message that is open, of calls that were announced, of thoughts. */
  adds({ type }: ModelPart): boolean {
    return type === 'text' ? this.state.message !== null : type === 'arguments' || type === 'thought';
  }

  /** Whether anything of the answer was passed on; thoughts can be taken back. */
  get hasBegun(): boolean {
    return this.state.step !== null || this.closed.length > 0;
  }

  /** The turn begins again with another prompt. */
  begins({ request, estimatedTokens }: Ask): readonly RunEvent[] {
    this.#offered = toolNames(request.tools);
    this.#toolsAllowed = request.tools.length > 0 && request.tool_choice !== 'none';
    this.#estimatedTokens = estimatedTokens;
    return this.state.thoughts?.length ? this.hear({ type: 'again' }) : [];
  }

  fail({ code, message, retryAfterMs, facts }: ModelError): readonly RunEvent[] {
    const how = { type: 'failed', error: { code, message }, retryAfterMs, facts } as const;
    // What was said until then has been paid for.
    const usage = this.#usage ?? (this.hasBegun ? this.#estimate() : this.state.owed);
    return this.say([...this.#rest(), ...ending(this.state, how, this.#now(), usage)]);
  }

  /** Every event is folded here before it is yielded, so an illegal one never leaves this file. */
  say(events: readonly RunEvent[]): readonly RunEvent[] {
    for (const event of events) {
      const { thoughts, asides, run, origin } = this.state;
      const { state, subject } = apply(this.state, event);
      this.state = state;
      const isClosed = event.type === 'message.completed' || event.type === 'step.completed';
      if (isClosed && subject.object !== 'thread.run') this.closed.push(subject);
      if (event.type !== 'step.completed') continue;
      if (thoughts?.length) this.thoughts.set(subject.id, thoughts);
      if (asides?.step === subject.id)
        this.asides.set(subject.id, { ...asides, by: thinker(run.model, origin.backend_id) });
    }
    return events;
  }

  /** What is told of a piece of the answer. One that may become a mark is held back, as are its logprobs. */
  #said(part: Extract<ModelPart, { type: 'text' }>): readonly RunEvent[] {
    if (this.#marks === null) return [textEvent(part, this.state.origin)];
    const { text, annotations } = this.#marks.hear(part.text);
    if (text === '' && part.logprobs === undefined) return [];
    const event = textEvent({ ...part, text }, this.state.origin);
    return [annotations.length === 0 ? event : { ...event, annotations }];
  }

  /** What was held back of the open message. */
  #rest(): readonly RunEvent[] {
    const { text = '', annotations = [] } = (this.state.message && this.#marks?.end()) ?? {};
    return text === ''
      ? []
      : [{ type: 'message.delta', text, ...(annotations.length > 0 && { annotations }) }];
  }

  /** Checked here because models ignore these limits: no tools, or one call at a time. */
  #wanted(index: number): boolean {
    return this.#toolsAllowed && (index === 0 || this.state.run.parallel_tool_calls);
  }

  #openMessage(): readonly RunEvent[] {
    if (this.state.message !== null) return [];
    const at = this.#now();
    const message_id = this.#newId('msg');
    return [
      { type: 'step.created', at, step_id: this.#newId('step'), message_id },
      { type: 'message.created', at, message_id, ...(this.#images.length > 0 && { images: this.#images }) },
    ];
  }

  #openCallStep(): readonly RunEvent[] {
    if (this.#hasCalled()) return [];
    const at = this.#now();
    const created: RunEvent = { type: 'step.created', at, step_id: this.#newId('step'), message_id: null };
    if (this.state.message === null) return [created];
    // Text and calls of one completion are two steps on the wire; the last one accounts for the tokens of both.
    return [
      ...this.#rest(),
      { type: 'message.completed', at },
      { type: 'step.completed', at, usage: NO_USAGE, outputs: null },
      created,
    ];
  }

  /** Calls that were dropped leave no asides. */
  #asides(said: Asides | undefined): readonly RunEvent[] {
    const { step } = this.state;
    if (said === undefined || step === null) return [];
    const made = Object.entries(said.calls).filter(([index]) => Number(index) < callsOf(step).length);
    return [{ type: 'asides.told', asides: { message: said.message, calls: Object.fromEntries(made) } }];
  }

  #finish(reason: Finish['reason'], usage: Usage): readonly RunEvent[] {
    const at = this.#now();
    if (reason === 'stop' && this.#hasCalled()) {
      return this.ownCalls().length > 0 ? [] : this.#leftToClient(at, usage);
    }
    if (reason === 'stop' && this.#refused !== null && this.state.message === null) {
      return ending(this.state, this.#onlyCalled(this.#refused), at);
    }
    if (reason === 'stop') {
      return [
        ...this.#messageWithText(),
        { type: 'message.completed', at },
        { type: 'step.completed', at, usage, outputs: null },
        { type: 'run.completed', at },
      ];
    }
    const incomplete: RunEvent = { type: 'run.incomplete', at, reason: INCOMPLETE[reason].run };
    if (this.#hasCalled()) {
      const message = 'The model stopped before its tool calls were complete.';
      return [{ type: 'step.failed', at, usage, error: { code: 'server_error', message } }, incomplete];
    }
    return [
      ...this.#messageWithText(),
      { type: 'message.incomplete', at, reason: INCOMPLETE[reason].message, dropped: false },
      { type: 'step.completed', at, usage, outputs: null },
      incomplete,
    ];
  }

  /** The open calls are the client's: the run waits for their outputs, or leaves them. */
  #leftToClient(at: number, usage: Usage | null): readonly RunEvent[] {
    if (this.state.origin.leaves_calls !== true) return [{ type: 'run.blocked', at, usage }];
    return [
      { type: 'step.left', at, usage },
      { type: 'run.completed', at },
    ];
  }

  /** The model had to answer in words, and did not: a run that completed now would have no answer. */
  #onlyCalled(name: string): Ending {
    const why = this.#isLast
      ? `after ${MAX_TOOL_PASSES} rounds of tool calls, in place of an answer`
      : 'although it may call none now, and said nothing else';
    const message = `The model called the tool '${name}' ${why}.`;
    // The model may have made the name up.
    const facts = { reason: `The model called a tool ${why}.` };
    return { type: 'failed', error: { code: 'server_error', message }, facts };
  }

  /** An answer without a word is a message with one empty text: clients crash on messages without parts. */
  #messageWithText(): readonly RunEvent[] {
    if (this.state.message !== null) return this.#rest();
    return [...this.#openMessage(), { type: 'message.delta', text: '' }];
  }

  /** The upstream did not report the usage, and a finished run must show it. */
  #estimate(): Usage {
    const completion = estimateTokens(this.#heard);
    return {
      ...NO_USAGE,
      prompt_tokens: this.#estimatedTokens,
      completion_tokens: completion,
      total_tokens: this.#estimatedTokens + completion,
    };
  }
}
