/**
 * Calls of custom tools, whose input is free text in place of JSON: a patch, a query, words of a grammar. Only chat clients
 * declare such tools, only some model servers know them, and the client answers their calls.
 */
import type { CustomTool, RequiredCustomCall } from '../thread.ts';
import type { CallKind } from './kind.ts';

/** A call as a step keeps it; the output is null until there is one. */
export interface CustomCall {
  readonly id: string;
  readonly type: 'custom';
  readonly custom: { readonly name: string; readonly input: string; readonly output: string | null };
}

export const customs: CallKind<CustomCall, CustomTool, RequiredCustomCall> = {
  offers: (tool) => [tool],
  demands: (choice) => (choice.type === 'custom' ? choice.custom.name : null),

  begun: (id, name) => ({ id, type: 'custom', custom: { name, input: '', output: null } }),
  grown: (call, text) => ({ ...call, custom: { ...call.custom, input: call.custom.input + text } }),
  put: (call) => call,
  answered: (call, output) => ({ ...call, custom: { ...call.custom, output } }),
  isOpen: (call) => call.custom.output === null,

  answeredBy: () => 'client',
  calledFunction: ({ custom: { name, input } }) => ({ name, arguments: input }),
  required: (call) => withoutOutput(call),

  asked: (call) => withoutOutput(call),
  output: (call) => call.custom.output ?? '',

  shown: (call) => call,
  growthDelta: (_call, text) => ({ custom: { input: text } }),
  outputDelta: () => null,
  answerDelta: () => null,
};

function withoutOutput({ id, type, custom: { name, input } }: CustomCall): RequiredCustomCall {
  return { id, type, custom: { name, input } };
}
