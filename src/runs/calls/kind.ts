/** What a kind of call must define. Each kind is one file of this folder; kinds.ts lists them. */
import type { ChatCall } from '../model.ts';
import type { CodeAnswer, CodeOutput } from './code-interpreter.ts';
import type { FileSearchAnswer } from './file-search.ts';
import type { OfferedTool, RequiredCall, ToolChoice } from '../thread.ts';

/** Who answers a call: the worker that executes the run, or the client, which submits an output. */
export type Answerer = 'worker' | 'client';

/** What decides who answers the calls of a run, by the name of a function. */
export interface Answerers {
  /** Whether a tool of the run offers it. */
  declares(name: string): boolean;
  /** Whether it is a tool of the server's that the worker runs itself. */
  serves(name: string): boolean;
}

/**
 * The function that a call names, with the arguments as the model wrote them: running it answers the call. For a custom tool,
 * its name and input.
 */
export interface CalledFunction {
  readonly name: string;
  readonly arguments: string;
}

/** What a hosted tool answers besides its text for the model. */
export type HostedAnswer = FileSearchAnswer | CodeAnswer;

/** How calls are shown: whether with the texts that a search has found. */
export interface CallView {
  readonly withContents: boolean;
}

/**
 * One kind of call. A call is kept as its step holds it, and may hold more than a step shows. These are methods rather
 * than function properties, so that a kind that knows only its own calls fits where calls of any kind are handled.
 */
export interface CallKind<Call, Tool, Asked extends RequiredCall> {
  /** The tools that offer this one to a model: as a rule functions, which are all that every model knows. */
  offers(tool: Tool): readonly OfferedTool[];
  /** The name of the tool that a choice demands; null for a choice of another kind. */
  demands(choice: Exclude<ToolChoice, string>): string | null;

  /** A call as the model begins it; `name` is a function that the model was offered, and `tool` what offered it, where that is known. */
  begun(id: string, name: string, tool: Tool | null): Call;
  /** The call with a further fragment of its arguments. */
  grown(call: Call, text: string): Call;
  /** The call with what it has put out on the way. */
  put(call: Call, output: CodeOutput): Call;
  answered(call: Call, output: string, answer?: HostedAnswer): Call;
  /** Whether it is still unanswered. */
  isOpen(call: Call): boolean;

  answeredBy(call: Call, by: Answerers): Answerer;
  calledFunction(call: Call | Asked): CalledFunction;
  /** The call as a run demands an answer from its client. */
  required(call: Call): Asked;

  /** The call as the model made it, for the next prompt, and the text that answers it. */
  asked(call: Call): ChatCall;
  output(call: Call): string;

  /** The call as a step shows it. */
  shown(call: Call, view: CallView): object;
  /**
   * The delta of a stream when the call has grown by this text, has put this out, or is answered, without its index and type;
   * null for none.
   */
  growthDelta(call: Call, text: string): object | null;
  outputDelta(call: Call, output: CodeOutput): object | null;
  answerDelta(output: string): object | null;
}
