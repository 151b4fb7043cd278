/**
 * The agent loop: asks the model and turns what it does into events. It yields batches; the worker commits each one before
 * it asks for the next, so nothing appears twice in the log. No I/O of its own: model, clock and ids are handed in.
 */
import type { Asides, KeptAsides } from './asides.ts';
import { CallIds } from './call-ids.ts';
import { textEvent, type RunEvent } from './event.ts';
import type { Clock, NewId } from './ids.ts';
import { ask, type Ask, type Lane } from './ask.ts';
import { ContextRoom } from './context-room.ts';
import type { Model, ModelError, ModelPart } from './model.ts';
import { buildPrompt, type History, type Prompt } from './prompt.ts';
import { estimateTokens } from './tokens.ts';
import { ending, failedBy, INCOMPLETE, type Ending } from './ending.ts';
import { answererOf, calledFunction, toolNames, typeOfCalls, type StepCall } from './calls/kinds.ts';
import { callsOf, openCalls } from './parts.ts';
import { outputText } from './output-text.ts';
import { apply, isExecuting, type RunState } from './run.ts';
import { thinker, type Thought } from './thoughts.ts';
import { NO_USAGE, type Run, type ThreadItem, type Usage } from './thread.ts';
import { noSuchTool, safeName, toolNamed } from './tool-names.ts';
import type { RunTool } from './tool.ts';

export interface Execution {
  readonly model: Model;
  /** Runs the worker's own tools. */
  readonly runTool: RunTool;
  readonly now: Clock;
  readonly newId: NewId;
  /** The sensitive variables among the sealed secrets of a run. */
  readonly secretsIn: (sealed: string) => Readonly<Record<string, string>>;
  /** Aborts the model call; the generator then throws the signal's reason and yields nothing more. */
  readonly signal: AbortSignal;
  /** Takes fragments at once; without it they are yielded like everything else. */
  readonly lane?: Lane;
  /** What the context of a model holds, answer included. */
  readonly contextTokens: (model: string, backendId: string | null, sealed: string | null) => number;
}

/** How often in one attempt the worker's own tools may answer; after that the model must answer without tools. */
const MAX_TOOL_PASSES = 8;

const NOTHING_TO_ASK = {
  code: 'invalid_prompt',
  message:
    'There is nothing to ask the model: the thread has no message with any content, and the run no instructions. Add a message.',
} as const;

/**
 * Executes a run that has been started, from its prompt to an answer, to calls that the client must answer, or to a
 * failure. Calls of the worker's own tools are answered on the way, and the model is asked again. After the last batch
 * the run is blocked or ended.
 * @throws the signal's reason when aborted; anything else is a bug.
 */
export async function* execute(
  initial: RunState,
  history: History,
  execution: Execution,
): AsyncGenerator<readonly RunEvent[], void> {
  let state = initial;
  let { items } = history;
  const { run, origin } = initial;
  const room = new ContextRoom(
    execution.contextTokens(run.model, origin.backend_id, origin.sealed),
    run.max_completion_tokens,
  );
  const thoughts = new Map(history.thoughts);
  const asides = new Map(history.asides);
  const callIds = new CallIds(history, execution.newId);
  for (let pass = 0; isExecuting(state.run); pass++) {
    const first = pass === 0 && !hasDone(run, items);
    const isLast = pass === MAX_TOOL_PASSES;
    const [before, material] = [state, { ...history, items, thoughts, asides }];
    const promptFor = (contextTokens: number): Prompt =>
      buildPrompt(before, material, { contextTokens, first, last: isLast });
    const prompt = promptFor(room.of(state.spent.completion_tokens));
    if (prompt.type === 'exhausted') {
      yield [{ type: 'run.incomplete', at: execution.now(), reason: prompt.reason }];
      return;
    }
    if (prompt.request.messages.length === 0) {
      yield ending(state, failedBy(NOTHING_TO_ASK), execution.now());
      return;
    }
    const turn = new Turn(state, prompt, { ...execution, callIds, isLast });
    yield* ask(turn, prompt, execution, ({ estimatedTokens }, overflow) =>
      promptFor(room.after(estimatedTokens, overflow)),
    );
    if (turn.ownCalls().length > 0) yield* answer(turn, execution);
    state = turn.state;
    items = [...items, ...turn.closed];
    for (const [stepId, thought] of turn.thoughts) thoughts.set(stepId, thought);
    for (const [stepId, aside] of turn.asides) asides.set(stepId, aside);
  }
}

/** Whether the run has finished a step of calls, perhaps in an earlier attempt. */
function hasDone({ id }: Run, items: readonly ThreadItem[]): boolean {
  return items.some(
    (item) => item.object === 'thread.run.step' && item.run_id === id && item.status === 'completed',
  );
}

/** Runs the worker's own calls, all at once, and yields each answer as it comes. */
async function* answer(
  turn: Turn,
  { runTool, secretsIn, signal }: Execution,
): AsyncGenerator<readonly RunEvent[], void> {
  const { run, origin } = turn.state;
  const waiting = new Map(
    turn.ownCalls().map(({ index, call }) => {
      const asked = {
        project: origin.project,
        runId: run.id,
        threadId: run.thread_id,
        assistantId: run.assistant_id,
        callId: call.id,
        extras: origin.context,
        secrets: origin.sealed === null ? {} : secretsIn(origin.sealed),
      };
      const { name, arguments: text } = calledFunction(call);
      const output = turn.isDeclared(name)
        ? runTool(name, text, asked, signal)
        : Promise.resolve(turn.noSuchTool(name));
      return [index, output.then((value) => ({ index, text: outputText(value) }))];
    }),
  );
  while (waiting.size > 0) {
    const { index, text } = await Promise.race(waiting.values());
    signal.throwIfAborted();
    waiting.delete(index);
    yield turn.say([{ type: 'tool.answered', index, output: text }]);
  }
  yield turn.answered();
}

type Finish = Extract<ModelPart, { type: 'finish' }>;

interface TurnOptions extends Pick<Execution, 'now' | 'newId'> {
  readonly callIds: CallIds;
  /** Whether the model has to answer without tools. */
  readonly isLast: boolean;
}

/** One completion: turns the parts the model streams into events that are legal one after the other. */
class Turn {
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
  #heard = '';
  #usage: Usage | null = null;

  constructor(
    state: RunState,
    { request, estimatedTokens }: Ask,
    { now, newId, callIds, isLast }: TurnOptions,
  ) {
    this.state = state;
    this.#isLast = isLast;
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
    if (rest.length > 0) return this.say([{ type: 'run.blocked', at, usage: this.#usage }]);
    return this.say([{ type: 'step.completed', at, usage: this.#usage, outputs: {} }]);
  }

  hear(part: ModelPart): readonly RunEvent[] {
    switch (part.type) {
      case 'text':
        this.#heard += part.text;
        // Text after tool calls is dropped: the wire has no place for it.
        if (this.#hasCalled()) return [];
        return this.say([...this.#openMessage(), textEvent(part, this.state.origin)]);
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
        const kind = typeOfCalls(name, this.state.run.tools);
        const called: RunEvent = {
          type: 'tool.called',
          index,
          call_id: this.#callIds.take(part.id),
          name,
          ...(kind !== 'function' && { kind }),
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
    return this.say(ending(this.state, how, this.#now(), usage));
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
      { type: 'message.created', at, message_id },
    ];
  }

  #openCallStep(): readonly RunEvent[] {
    if (this.#hasCalled()) return [];
    const at = this.#now();
    const created: RunEvent = { type: 'step.created', at, step_id: this.#newId('step'), message_id: null };
    if (this.state.message === null) return [created];
    // Text and calls of one completion are two steps on the wire; the last one accounts for the tokens of both.
    return [
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
      return this.ownCalls().length > 0 ? [] : [{ type: 'run.blocked', at, usage }];
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
    return this.state.message === null ? [...this.#openMessage(), { type: 'message.delta', text: '' }] : [];
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
