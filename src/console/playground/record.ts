/**
 * What is known of a thread: its messages, its runs and their steps. Lists of the API and the events of runs go in; `timeline.ts`
 * says in which order all of it is shown. Whatever changes becomes a new object, so that only that is drawn anew.
 */
import { decoded } from '../api.ts';
import type { CodeCall, CodeOutput, Content, FunctionCall, Message, Run, Step, StepCall } from '../wire.ts';

/** A run and what it did. */
export interface Turn {
  readonly run: Run;
  /** In order; null until they are loaded. */
  readonly steps: readonly Step[] | null;
  /** What the model thought, by the place of the step that came of it. */
  readonly thoughts: readonly string[];
}

/** A piece of a content part or of a call: what comes is added to what is there. */
interface Piece {
  readonly index?: number;
}

interface MessageDelta {
  readonly id: string;
  readonly delta: { readonly content?: readonly (Content & Piece)[] };
}

interface StepDelta {
  readonly id: string;
  readonly delta: {
    readonly step_details?: { readonly tool_calls?: readonly (Partial<StepCall> & Piece)[] };
  };
}

interface ThoughtDelta {
  readonly delta: { readonly text: string };
}

export class ThreadRecord {
  /** In the order of the thread. */
  readonly messages = new Map<string, Message>();
  /** In the order in which they began. */
  readonly turns = new Map<string, Turn>();

  /** Messages that stand before all that are known. */
  putEarlier(messages: readonly Message[]): void {
    const known = [...this.messages.values()];
    this.messages.clear();
    for (const message of [...messages, ...known]) this.messages.set(message.id, message);
  }

  putMessage(message: Message): void {
    this.messages.set(message.id, message);
  }

  putRun(run: Run): void {
    const known = this.turns.get(run.id);
    this.turns.set(run.id, { steps: null, thoughts: [], ...known, run });
  }

  putSteps(runId: string, steps: readonly Step[]): void {
    this.#change(runId, () => ({ steps }));
  }

  /** Forgets what a run did, because all of it is about to be told again. */
  rewind(runId: string): void {
    this.#change(runId, () => ({ steps: [], thoughts: [] }));
  }

  /** The pictures that messages show. */
  get pictures(): ReadonlySet<string> {
    const parts = [...this.messages.values()].flatMap(({ content }) => content);
    return new Set(parts.flatMap((part) => (part.type === 'image_file' ? [part.image_file.file_id] : [])));
  }

  get lastTurn(): Turn | null {
    return [...this.turns.values()].at(-1) ?? null;
  }

  /** Takes in an event of a run. */
  take(runId: string, name: string, data: string): void {
    switch (name) {
      case 'thread.message.delta':
        return this.#growMessage(decoded<MessageDelta>(data));
      case 'thread.run.step.delta':
        return this.#growStep(runId, decoded<StepDelta>(data));
      case 'thread.run.thought.delta':
        return this.#think(runId, decoded<ThoughtDelta>(data).delta.text);
    }
    if (name.startsWith('thread.message.')) this.putMessage(decoded<Message>(data));
    else if (name.startsWith('thread.run.step.')) this.#putStep(runId, decoded<Step>(data));
    else if (name.startsWith('thread.run.')) this.putRun(decoded<Run>(data));
    if (name === 'thread.run.queued') this.#forgetBroken(runId);
  }

  /** A run that is queued again, after its worker was lost, says anew what it had not said to the end. */
  #forgetBroken(runId: string): void {
    for (const [id, { run_id, status }] of this.messages)
      if (run_id === runId && status === 'incomplete') this.messages.delete(id);
  }

  #change(runId: string, change: (turn: Turn) => Partial<Turn>): void {
    const turn = this.turns.get(runId);
    if (turn !== undefined) this.turns.set(runId, { ...turn, ...change(turn) });
  }

  #putStep(runId: string, step: Step): void {
    this.#change(runId, ({ steps }) => {
      const known = steps ?? [];
      const place = known.findIndex(({ id }) => id === step.id);
      return { steps: place === -1 ? [...known, step] : known.with(place, step) };
    });
  }

  #think(runId: string, text: string): void {
    this.#change(runId, ({ steps, thoughts }) => {
      const place = steps?.length ?? 0;
      const all = Array.from({ length: Math.max(thoughts.length, place + 1) }, (_, n) => thoughts[n] ?? '');
      return { thoughts: all.with(place, (all[place] ?? '') + text) };
    });
  }

  #growMessage({ id, delta }: MessageDelta): void {
    const message = this.messages.get(id);
    if (message === undefined) return;
    let { content } = message;
    for (const { index = 0, ...part } of delta.content ?? [])
      content = put(content, index, (known) => grownPart(known, part));
    this.messages.set(id, { ...message, content });
  }

  #growStep(runId: string, { id, delta }: StepDelta): void {
    const step = this.turns.get(runId)?.steps?.find((each) => each.id === id);
    if (step?.step_details.type !== 'tool_calls') return;
    let { tool_calls: calls } = step.step_details;
    for (const { index = 0, ...call } of delta.step_details?.tool_calls ?? [])
      calls = put(calls, index, (known) => grownCall(known, call));
    this.#putStep(runId, { ...step, step_details: { type: 'tool_calls', tool_calls: calls } });
  }
}

/** The list with one place changed. */
function put<T>(list: readonly T[], index: number, change: (known: T | undefined) => T): readonly T[] {
  return index < list.length ? list.with(index, change(list[index])) : [...list, change(undefined)];
}

function grownPart(known: Content | undefined, part: Content): Content {
  if (part.type !== 'text') return part;
  const before = known?.type === 'text' ? known.text : { value: '', annotations: [] };
  // Deltas leave out what they do not add.
  const more: Partial<typeof part.text> = part.text;
  const marks = more.annotations?.length ? [...before.annotations, ...more.annotations] : before.annotations;
  return { type: 'text', text: { value: before.value + (more.value ?? ''), annotations: marks } };
}

function grownCall(known: StepCall | undefined, piece: Partial<StepCall>): StepCall {
  const id = piece.id ?? known?.id ?? '';
  if (piece.type === 'code_interpreter')
    return grownCode(known?.type === 'code_interpreter' ? known : null, id, piece.code_interpreter ?? {});
  if (piece.type === 'file_search') return { id, type: piece.type, file_search: piece.file_search ?? {} };
  const before = known?.type === 'function' ? known : null;
  if (piece.type !== 'function') return grownFunction(before, id, {});
  const { function: more = {}, ...about } = piece;
  return grownFunction(before, id, more, about);
}

function grownCode(
  known: CodeCall | null,
  id: string,
  { input = '', outputs = [] }: Partial<CodeCall['code_interpreter']>,
): CodeCall {
  const before = known?.code_interpreter ?? { input: '', outputs: [] };
  let all = before.outputs;
  for (const output of outputs) all = put(all, placeOf(output), (last) => grownOutput(last, output));
  return { id, type: 'code_interpreter', code_interpreter: { input: before.input + input, outputs: all } };
}

const placeOf = ({ index = 0 }: CodeOutput & Piece): number => index;

const grownOutput = (last: CodeOutput | undefined, output: CodeOutput): CodeOutput =>
  last?.type === 'logs' && output.type === 'logs' ? { ...output, logs: last.logs + output.logs } : output;

function grownFunction(
  known: FunctionCall | null,
  id: string,
  more: Partial<FunctionCall['function']>,
  about: Partial<Omit<FunctionCall, 'function'>> = {},
): FunctionCall {
  const before = known?.function ?? { name: '', arguments: '' };
  return {
    ...known,
    ...about,
    id,
    type: 'function',
    function: {
      name: more.name ?? before.name,
      arguments: before.arguments + (more.arguments ?? ''),
      output: more.output ?? before.output ?? null,
    },
  };
}
