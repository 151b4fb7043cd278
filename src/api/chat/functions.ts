/**
 * The old form of tools, which many programs still speak: `functions`, `function_call`, and answers in the role
 * `function`. It has one call at a time, and no ids: an answer names its function. Read as tools; answers then have the
 * old form as well.
 */
import { z } from 'zod';
import { ApiError } from '../../errors.ts';
import type { ChatCall } from '../../runs/model.ts';
import type { FunctionTool, OfferedTool, ToolChoice } from '../../runs/thread.ts';
import * as shapes from '../http/shapes.ts';

/** `functions` of a request. */
export const oldFunctions = z
  .array(
    z.looseObject({
      name: shapes.functionName,
      description: z.string().nullish(),
      parameters: shapes.functionParameters,
    }),
  )
  .max(shapes.MAX_TOOLS)
  .superRefine(shapes.atMost(shapes.MAX_TOOLS_BYTES))
  .transform((list) =>
    list.map(({ name, description, parameters }): FunctionTool => ({
      type: 'function',
      function: {
        name,
        description: description ?? '',
        parameters: parameters ?? shapes.EMPTY_SCHEMA,
        strict: false,
      },
    })),
  )
  .nullish();

/** `function_call` of a request: which of them is to be called. */
export const oldChoice = z
  .union([z.enum(['none', 'auto']), z.looseObject({ name: z.string().min(1).max(64) })])
  .nullish();

/** The tools of a request and how they are to be used, whichever form it has. */
export interface AskedTools {
  readonly tools: readonly OfferedTool[];
  readonly toolChoice: ToolChoice;
  /** Null: the request does not say. */
  readonly parallelToolCalls: boolean | null;
  /** Whether calls are answered in the old form. */
  readonly isOld: boolean;
}

export interface BothForms {
  readonly tools?: readonly OfferedTool[] | null | undefined;
  readonly tool_choice: ToolChoice;
  readonly parallel_tool_calls?: boolean | null | undefined;
  readonly functions?: readonly FunctionTool[] | null | undefined;
  readonly function_call?: z.infer<typeof oldChoice>;
}

/** Reads the tools of a request. @throws {ApiError} 400 for a request with tools in both forms. */
export function toolsIn(given: BothForms): AskedTools {
  const { tools, functions, function_call: choice, parallel_tool_calls: parallel = null } = given;
  if (functions == null || functions.length === 0)
    return { tools: tools ?? [], toolChoice: given.tool_choice, parallelToolCalls: parallel, isOld: false };
  if (tools != null && tools.length > 0) {
    const text = "Give either 'tools' or 'functions', which is their old form, but not both.";
    throw new ApiError(400, text, { param: 'functions', code: 'invalid_value' });
  }
  const toolChoice: ToolChoice =
    typeof choice === 'object' && choice !== null
      ? { type: 'function', function: { name: choice.name } }
      : (choice ?? 'auto');
  // An answer of the old form has room for one call only.
  return { tools: functions, toolChoice, parallelToolCalls: false, isOld: true };
}

/** A call in the history of a client that knows no ids. */
export interface OldCall {
  readonly name: string;
  readonly call: ChatCall;
}

/** The id of the last unanswered call of that function, which is answered by this; null where there is none. */
export function calledBefore(open: OldCall[], name: string): string | null {
  const place = open.findLastIndex((one) => one.name === name);
  return open.splice(place, place < 0 ? 0 : 1)[0]?.call.id ?? null;
}
