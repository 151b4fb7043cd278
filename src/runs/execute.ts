/**
 * The agent loop: asks the model and turns what it does into events. It yields batches; the worker commits each one before
 * it asks for the next, so nothing appears twice in the log. No I/O of its own: model, clock and ids are handed in.
 */
import { CallIds } from './call-ids.ts';
import { answer, type Answering } from './answer.ts';
import { approvedCalls } from './approved.ts';
import { ask, type Lane } from './ask.ts';
import type { RunEvent } from './event.ts';
import type { Clock, NewId } from './ids.ts';
import { ContextRoom } from './context-room.ts';
import type { Model } from './model.ts';
import type { History } from './blocks.ts';
import { buildPrompt, type Prompt } from './prompt.ts';
import { ending, failedBy, tooLong } from './ending.ts';
import { offeredTools } from './calls/kinds.ts';
import { isExecuting, type RunState } from './run.ts';
import type { Run, ThreadItem } from './thread.ts';
import { MAX_TOOL_PASSES, Turn } from './turn.ts';

export interface Execution extends Answering {
  readonly model: Model;
  readonly now: Clock;
  readonly newId: NewId;
  /** Aborts the model call; the generator then throws the signal's reason and yields nothing more. */
  readonly signal: AbortSignal;
  /** Takes fragments at once; without it they are yielded like everything else. */
  readonly lane?: Lane;
  /**
   * What has joined the thread since this was asked last, behind all that was yielded, and the run as it is after that: it may go
   * on where it would have completed. Null where nothing has.
   */
  readonly joined?: () => Promise<Joined | null>;
  /** What the context of a model holds, answer included. */
  readonly contextTokens: (model: string, backendId: string | null, sealed: string | null) => number;
}

/** What clients sent while the run was executed. */
export interface Joined {
  readonly items: readonly ThreadItem[];
  readonly state: RunState;
}

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
  const approved = approvedCalls(run, items);
  if (approved.length > 0) {
    const options = { ...execution, callIds, isLast: false, items };
    const turn = new Turn(
      state,
      { request: { tools: offeredTools(run.tools) }, estimatedTokens: 0 },
      options,
    );
    yield turn.make(approved);
    yield* answer(turn, items, execution);
    await takeIn(turn);
  }
  let pass = 0;
  while (isExecuting(state.run)) {
    const first = pass === 0 && !hasDone(run, items);
    const isLast = pass === MAX_TOOL_PASSES;
    const [before, material] = [state, { ...history, items, thoughts, asides }];
    const promptFor = (contextTokens: number): Prompt =>
      buildPrompt(before, material, { contextTokens, first, last: isLast });
    const prompt = promptFor(room.of(state.spent.completion_tokens));
    if (prompt.type === 'too long') {
      yield ending(state, tooLong(prompt), execution.now());
      return;
    }
    if (prompt.type === 'exhausted') {
      yield [{ type: 'run.incomplete', at: execution.now(), reason: prompt.reason }];
      return;
    }
    if (prompt.request.messages.length === 0) {
      yield ending(state, failedBy(NOTHING_TO_ASK), execution.now());
      return;
    }
    const turn = new Turn(state, prompt, { ...execution, callIds, isLast, items });
    yield* ask(turn, prompt, execution, ({ estimatedTokens }, overflow) =>
      promptFor(room.after(estimatedTokens, overflow)),
    );
    if (turn.ownCalls().length > 0) yield* answer(turn, items, execution);
    // What was sent meanwhile may need as many rounds of calls as the first question.
    pass = (await takeIn(turn)) ? 0 : pass + 1;
    for (const [stepId, thought] of turn.thoughts) thoughts.set(stepId, thought);
    for (const [stepId, aside] of turn.asides) asides.set(stepId, aside);
  }

  /** Goes on from what the turn has said and done, and from what has joined it. @returns whether anything has */
  async function takeIn(turn: Turn): Promise<boolean> {
    const joined = (await execution.joined?.()) ?? null;
    state = joined?.state ?? turn.state;
    items = [...items, ...turn.closed, ...(joined?.items ?? [])];
    return joined !== null;
  }
}

/** Whether the run has finished a step of calls, perhaps in an earlier attempt. */
function hasDone({ id }: Run, items: readonly ThreadItem[]): boolean {
  return items.some(
    (item) => item.object === 'thread.run.step' && item.run_id === id && item.status === 'completed',
  );
}
