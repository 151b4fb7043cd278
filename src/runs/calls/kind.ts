/** What a kind of call must define. Each kind is one file of this folder; kinds.ts lists them. */
import type { ChatCall } from '../model.ts';
import type { FunctionTool, RequiredCall, ToolChoice } from '../thread.ts';

/** Who answers a call: the worker that executes the run, or the client, which submits an output. */
export type Answerer = 'worker' | 'client';

/** What decides who answers the calls of a run, by the name of a function. */
export interface Answerers {
  /** Whether a tool of the run offers it. */
  declares(name: string): boolean;
  /** Whether it is a tool of the server's that the worker runs itself. */
  serves(name: string): boolean;
}

/** The function that a call names, with the arguments as the model wrote them: running it answers the call. */
export interface CalledFunction {
  readonly name: string;
  readonly arguments: string;
}

/**
 * One kind of call. A call is kept as its step holds it, and may hold more than a step shows. These are methods rather
 * than function properties, so that a kind that knows only its own calls fits where calls of any kind are handled.
 */
export interface CallKind<Call, Tool> {
  /** The functions that offer the tool to a model: functions are all that every model knows. */
  offers(tool: Tool): readonly FunctionTool[];
  /** The name of the function that a tool choice of this kind demands. */
  demands(choice: Exclude<ToolChoice, string>): string;

  /** A call as the model begins it; `name` is a function that the model was offered. */
  begun(id: string, name: string): Call;
  /** The call with a further fragment of its arguments. */
  grown(call: Call, text: string): Call;
  answered(call: Call, output: string): Call;
  /** Whether it is still unanswered. */
  isOpen(call: Call): boolean;

  answeredBy(call: Call, by: Answerers): Answerer;
  calledFunction(call: Call | RequiredCall): CalledFunction;
  /** The call as a run demands an answer from its client. */
  required(call: Call): RequiredCall;

  /** The call as the model made it, for the next prompt, and the text that answers it. */
  asked(call: Call): ChatCall;
  output(call: Call): string;

  /** The call as a step shows it. */
  shown(call: Call): object;
  /** The delta of a stream when the call grows or is answered, without its index and type; null for none. */
  growthDelta(text: string): object | null;
  answerDelta(output: string): object | null;
}
