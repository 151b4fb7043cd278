/** The tools of a chat request: functions, and custom tools, which only some model servers take. */
import { z } from 'zod';
import type { CustomTool, FunctionTool, ToolChoice } from '../../runs/thread.ts';
import * as shapes from '../http/shapes.ts';
import { isRecord } from '../../runs/record.ts';

/** The model server checks what belongs to one; here only its name matters. */
const customTool = z.looseObject({
  type: z.literal('custom'),
  custom: z.looseObject({ name: shapes.functionName, description: z.string().nullish() }),
});

/** `tools` of a request, as they are stored. */
export const tools = z.preprocess(
  withoutExtras,
  z
    .array(z.union([shapes.functionTool, customTool, shapes.hostedTool]))
    .max(shapes.MAX_TOOLS)
    .superRefine(shapes.atMost(shapes.MAX_TOOLS_BYTES))
    .transform((list) =>
      list.map((tool, index) =>
        tool.type === 'custom' ? storedCustom(tool) : shapes.storedTool(tool, index),
      ),
    )
    .nullish(),
);

function storedCustom({ custom }: z.infer<typeof customTool>): CustomTool {
  const { description, ...others } = custom;
  return { type: 'custom', custom: { ...others, ...(description != null && { description }) } };
}

/** `tool_choice` of a request. */
export const toolChoice = z
  .union([
    shapes.choiceWord,
    shapes.chosenFunction,
    z.strictObject({ type: z.literal('custom'), custom: z.strictObject({ name: z.string().min(1) }) }),
    z.looseObject({
      type: z.literal('allowed_tools'),
      allowed_tools: z.record(z.string(), z.unknown()).superRefine(shapes.atMost(shapes.MAX_SCHEMA_BYTES)),
    }),
    shapes.hostedTool,
  ])
  .nullish()
  .transform((value): ToolChoice => {
    if (value == null) return 'auto';
    if (typeof value === 'string') return value;
    if (value.type === 'allowed_tools') return { type: value.type, allowed_tools: value.allowed_tools };
    if (value.type === 'function' || value.type === 'custom') return value;
    throw shapes.hostedChoice(value.type);
  });

const functionKeys = ['name', 'description', 'parameters', 'strict'];

/** Tools without the fields that callers add for their caches or user interfaces: upstreams would refuse those. */
function withoutExtras(given: unknown): unknown {
  if (!Array.isArray(given)) return given;
  return given.map((tool: unknown) => {
    if (!isRecord(tool) || tool['type'] !== 'function' || !isRecord(tool['function'])) return tool;
    const kept = Object.entries(tool['function']).filter(([name]) => functionKeys.includes(name));
    return { type: 'function', function: Object.fromEntries(kept) };
  });
}

/** Whether a thread cannot hold what the model is to call: its clients know only functions. */
export function needsNoThread(list: readonly (FunctionTool | CustomTool)[], choice: ToolChoice): boolean {
  return (
    list.some(({ type }) => type === 'custom') || (typeof choice === 'object' && choice.type === 'custom')
  );
}
