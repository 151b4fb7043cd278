/**
 * The agent loop: asks the model and says what it does as events. It yields batches; whoever drives it commits each
 * one before asking for more, so nothing here happens twice in the log. No I/O of its own: model, clock, ids and
 * waiting are handed in.
 */
import type { RunEvent } from './event.ts';
import type { Clock, NewId } from './ids.ts';
import { ModelError, type Model, type ModelPart } from './model.ts';
import { buildPrompt, estimateTokens } from './prompt.ts';
import { ending } from './ending.ts';
import { apply, type RunState } from './run.ts';
import { NO_USAGE, type Run, type ThreadItem, type Usage } from './thread.ts';

export interface Execution {
  readonly model: Model;
  readonly now: Clock;
  readonly newId: NewId;
  /** Resolves at `unixMs`, or rejects with the signal's reason. */
  readonly until: (unixMs: number, signal: AbortSignal) => Promise<void>;
  /** Aborts the model call; the generator then throws the signal's reason and says nothing more. */
  readonly signal: AbortSignal;
  readonly contextTokens: number;
}

/**
 * Executes one turn of a run that has been started: from the prompt to an answer, to calls the client must answer, or
 * to a reason why not. After the last batch the run is blocked or ended.
 * @param items the thread, as {@link buildPrompt} takes it
 * @throws the signal's reason when aborted; anything else is a bug.
 */
export async function* execute(
  initial: RunState,
  items: readonly ThreadItem[],
  execution: Execution,
): AsyncGenerator<readonly RunEvent[], void> {
  const { model, now, signal } = execution;
  const prompt = buildPrompt(initial, items, execution.contextTokens);
  if (prompt.type === 'exhausted') {
    yield [{ type: 'run.incomplete', at: now(), reason: prompt.reason }];
    return;
  }
  const turn = new Turn(initial, prompt.estimatedTokens, execution);
  try {
    for await (const part of model.stream(prompt.request, signal)) {
      const events = turn.hear(part);
      if (part.type === 'finish' && turn.calls()) await execution.until(initial.calm_until_ms, signal);
      if (events.length > 0) yield events;
    }
    if (!turn.isOver)
      throw new ModelError('server_error', 'The model stopped without saying that it was done.');
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    yield turn.fail(error);
  }
}

type Finish = Extract<ModelPart, { type: 'finish' }>;

/** One completion: turns the parts the model streams into events that are legal one after the other. */
class Turn {
  private state: RunState;
  private readonly estimatedTokens: number;
  private readonly now: Clock;
  private readonly newId: NewId;
  private readonly toolsAllowed: boolean;
  private heard = '';

  constructor(state: RunState, estimatedTokens: number, { now, newId }: Execution) {
    this.state = state;
    this.estimatedTokens = estimatedTokens;
    this.now = now;
    this.newId = newId;
    this.toolsAllowed = state.run.tools.length > 0 && state.run.tool_choice !== 'none';
  }

  /** The model has said how it ends. */
  isOver = false;

  /** Whether the turn has called tools. */
  calls(): boolean {
    return this.state.step?.type === 'tool_calls';
  }

  hear(part: ModelPart): readonly RunEvent[] {
    switch (part.type) {
      case 'text':
        this.heard += part.text;
        // Calls are made at the end of a completion; what a model mumbles behind them has no place on the wire.
        return this.calls()
          ? []
          : this.say([...this.openMessage(), { type: 'message.delta', text: part.text }]);
      case 'call': {
        if (!this.wanted(part.index)) return [];
        this.heard += part.name;
        const { index, id, name } = part;
        return this.say([...this.openCalls(), { type: 'tool.called', index, call_id: id, name }]);
      }
      case 'arguments': {
        if (!this.wanted(part.index)) return [];
        this.heard += part.text;
        return this.say([{ type: 'tool.delta', index: part.index, arguments: part.text }]);
      }
      case 'finish':
        this.isOver = true;
        return this.say(this.finish(part));
    }
  }

  fail({ code, message }: ModelError): readonly RunEvent[] {
    return ending(this.state, { type: 'failed', error: { code, message } }, this.now());
  }

  /** Models ignore what they are told: no tools, or one call at a time. */
  private wanted(index: number): boolean {
    return this.toolsAllowed && (index === 0 || this.state.run.parallel_tool_calls);
  }

  private openMessage(): readonly RunEvent[] {
    if (this.state.message !== null) return [];
    const at = this.now();
    const message_id = this.newId('msg');
    return [
      { type: 'step.created', at, step_id: this.newId('step'), message_id },
      { type: 'message.created', at, message_id },
    ];
  }

  private openCalls(): readonly RunEvent[] {
    if (this.calls()) return [];
    const at = this.now();
    const created: RunEvent = { type: 'step.created', at, step_id: this.newId('step'), message_id: null };
    if (this.state.message === null) return [created];
    // Text and calls of one completion are two steps on the wire; the last one accounts for the tokens of both.
    return [
      { type: 'message.completed', at },
      { type: 'step.completed', at, usage: NO_USAGE, outputs: null },
      created,
    ];
  }

  private finish({ reason, usage: reported }: Finish): readonly RunEvent[] {
    const at = this.now();
    const usage = reported ?? this.estimate();
    if (reason === 'stop' && this.calls()) return [{ type: 'run.blocked', at, usage }];
    if (reason === 'stop') {
      return [
        ...this.messageWithText(),
        { type: 'message.completed', at },
        { type: 'step.completed', at, usage, outputs: null },
        { type: 'run.completed', at },
      ];
    }
    const incomplete: RunEvent = { type: 'run.incomplete', at, reason: INCOMPLETE[reason].run };
    if (this.calls()) {
      const message = 'The model stopped before its tool calls were complete.';
      return [{ type: 'step.failed', at, usage, error: { code: 'server_error', message } }, incomplete];
    }
    return [
      ...this.messageWithText(),
      { type: 'message.incomplete', at, reason: INCOMPLETE[reason].message, dropped: false },
      { type: 'step.completed', at, usage, outputs: null },
      incomplete,
    ];
  }

  /** An answer without a word is a message with one empty text: clients crash on messages without parts. */
  private messageWithText(): readonly RunEvent[] {
    return this.state.message === null ? [...this.openMessage(), { type: 'message.delta', text: '' }] : [];
  }

  /** The upstream did not say what the turn cost, and a finished run must. */
  private estimate(): Usage {
    const completion = estimateTokens(this.heard);
    return {
      ...NO_USAGE,
      prompt_tokens: this.estimatedTokens,
      completion_tokens: completion,
      total_tokens: this.estimatedTokens + completion,
    };
  }

  /** Every event is folded here before it is said, so an illegal one never leaves this file. */
  private say(events: readonly RunEvent[]): readonly RunEvent[] {
    for (const event of events) this.state = apply(this.state, event).state;
    return events;
  }
}

const INCOMPLETE: Readonly<
  Record<
    Exclude<Finish['reason'], 'stop'>,
    { run: NonNullable<Run['incomplete_details']>['reason']; message: 'max_tokens' | 'content_filter' }
  >
> = {
  length: { run: 'max_completion_tokens', message: 'max_tokens' },
  content_filter: { run: 'content_filter', message: 'content_filter' },
};
