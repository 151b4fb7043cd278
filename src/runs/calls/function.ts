/**
 * Calls of functions, the only kind that every model server knows. The client answers calls of the functions it declared. The
 * server answers calls of its own tools, and calls of functions that no tool declares, because no client could.
 */
import type { FunctionTool, RequiredFunctionCall } from '../thread.ts';
import type { RemoteTool } from '../remote.ts';
import type { CallKind } from './kind.ts';

/** A call as a step shows it: the arguments are JSON text, as the model wrote it; the output is null until there is one. */
export interface FunctionCall {
  readonly id: string;
  readonly type: 'function';
  readonly function: { readonly name: string; readonly arguments: string; readonly output: string | null };
  /** What asked for its approval; missing where it needed none. */
  readonly approval_request_id?: string;
  /** The tool, where it is of a server that came with the request. */
  readonly remote?: RemoteTool;
}

export const functions: CallKind<FunctionCall, FunctionTool, RequiredFunctionCall> = {
  offers: (tool) => [tool],
  demands: (choice) => (choice.type === 'function' ? choice.function.name : null),

  begun: (id, name) => ({ id, type: 'function', function: { name, arguments: '', output: null } }),
  grown: (call, text) => ({
    ...call,
    function: { ...call.function, arguments: call.function.arguments + text },
  }),
  put: (call) => call,
  answered: (call, output) => ({ ...call, function: { ...call.function, output } }),
  isOpen: (call) => call.function.output === null,

  answeredBy: ({ function: { name } }, by) => (by.serves(name) || !by.declares(name) ? 'worker' : 'client'),
  calledFunction: ({ function: { name, arguments: text } }) => ({ name, arguments: text }),
  required: (call) => withoutOutput(call),

  asked: (call) => withoutOutput(call),
  output: (call) => call.function.output ?? '',

  shown: (call) => shown(call),
  growthDelta: (_call, text) => ({ function: { arguments: text } }),
  outputDelta: () => null,
  // The hosted API had no word for it; the completed step shows the output.
  answerDelta: () => null,
};

/** Which server made it is the Responses API's business. */
function shown(call: FunctionCall): object {
  const { remote, ...known } = call;
  return remote === undefined ? call : known;
}

function withoutOutput({
  id,
  type,
  function: { name, arguments: text },
}: FunctionCall): RequiredFunctionCall {
  return { id, type, function: { name, arguments: text } };
}
