/** The events around a call, by the type of its item. */
import { calledFunction, type StepCall } from '../../runs/calls/kinds.ts';
import { codeIn } from '../../runs/calls/written-code.ts';

/** The events that tell the arguments of a call, and the field of the last one that has them whole. */
export const ARGUMENTS: Readonly<Record<string, readonly [event: string, field: string]>> = {
  function_call: ['response.function_call_arguments', 'arguments'],
  custom_tool_call: ['response.custom_tool_call_input', 'input'],
  mcp_call: ['response.mcp_call_arguments', 'arguments'],
  code_interpreter_call: ['response.code_interpreter_call_code', 'code'],
};

/** Those after it is added. */
export function beginningsOf(type: string): readonly string[] {
  switch (type) {
    case 'mcp_call':
    case 'code_interpreter_call':
      return [`response.${type}.in_progress`];
    case 'web_search_call':
    case 'file_search_call':
      return [`response.${type}.in_progress`, `response.${type}.searching`];
    default:
      return [];
  }
}

/** Those before it is done. @param hasFailed whether its answer is an error */
export function endingsOf(type: string, hasFailed: boolean): readonly string[] {
  switch (type) {
    case 'mcp_call':
      return [`response.mcp_call.${hasFailed ? 'failed' : 'completed'}`];
    case 'web_search_call':
    case 'file_search_call':
      return [`response.${type}.completed`];
    case 'code_interpreter_call':
      return [`response.${type}.interpreting`, `response.${type}.completed`];
    default:
      return [];
  }
}

/** What is told of it piece by piece. */
export function argumentsOf(call: StepCall): string {
  return call.type === 'code_interpreter'
    ? codeIn(call.code_interpreter.arguments)
    : calledFunction(call).arguments;
}
