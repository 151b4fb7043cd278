/**
 * Turns what a tool's file exports into a tool: checks it, fills in its limits and converts its parameters to JSON Schema.
 */
import { z } from 'zod';
import { extentOf, MAX_JSON_DEPTH } from '../runs/json-extent.ts';
import { ToolArgumentError, type JsonSchema, type ToolContext, type ToolDefinition } from '../runs/tool.ts';

const DEFAULT_TIMEOUT_MS = 10_000;
/** By default no run lives longer, so a call need not either. */
const MAX_TIMEOUT_MS = 600_000;
const DEFAULT_OUTPUT_BYTES = 256 * 1024;
/** What a model reads is cut far below this; it bounds what passes between processes. */
export const MAX_OUTPUT_BYTES = 4 * 1024 * 1024;

const definitionSchema = z.object({
  name: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be 1 to 64 letters, digits, _ or -'),
  description: z.string().min(1, 'must say what the tool does'),
  parameters: z.custom<z.ZodType>(isSchema, 'must be a schema of zod 4, for example z.object({})'),
  timeoutMs: z.int().min(1).max(MAX_TIMEOUT_MS).default(DEFAULT_TIMEOUT_MS),
  maxOutputBytes: z.int().min(1).max(MAX_OUTPUT_BYTES).default(DEFAULT_OUTPUT_BYTES),
  cacheS: z.int().min(0).default(0),
  isolated: z.boolean().default(true),
  answeredBy: z.enum(['worker', 'device']).default('worker'),
  run: z.custom<ToolDefinition['run']>((value) => typeof value === 'function', 'must be a function'),
});

/** Everything about a tool but its code; checked again when it comes from another process. */
export const descriptionSchema = definitionSchema
  .omit({ run: true, parameters: true })
  .extend({ parameters: z.record(z.string(), z.unknown()) });

/** Everything about a tool but its code, so that it can be sent between processes. */
export type ToolDescription = Readonly<z.infer<typeof descriptionSchema>>;

/** A tool of a file: its description and its code. */
export interface DefinedTool {
  readonly description: ToolDescription;
  /**
   * Checks the arguments and answers the call.
   * @throws {ToolArgumentError} when they do not fit.
   */
  run(args: unknown, context: ToolContext): Promise<unknown>;
}

/** The tool that `exported`, a file's default export, defines; or why it defines none. */
export function readDefinition(exported: unknown): DefinedTool | { readonly problem: string } {
  const parsed = definitionSchema.safeParse(exported);
  if (!parsed.success) return { problem: `its default export is not a tool (${issuesOf(parsed.error)})` };
  const { run: _, parameters, ...rest } = parsed.data;
  const schema = jsonSchema(parameters);
  if (schema === null) return { problem: 'its parameters are not an object: models send named arguments' };
  if (extentOf(JSON.stringify(schema)).depth > MAX_JSON_DEPTH)
    return { problem: `its parameters are nested deeper than ${MAX_JSON_DEPTH} levels of JSON Schema` };
  return {
    description: { ...rest, parameters: schema },
    run: async (args, context) => {
      const checked = await parameters.safeParseAsync(args ?? {});
      if (!checked.success) throw new ToolArgumentError(`Wrong arguments. ${issuesOf(checked.error)}`);
      // Called on the export itself, which may be an object whose `run` uses its state.
      const { run } = parsed.data;
      const value: unknown = await run.call(exported, checked.data, context);
      return value;
    },
  };
}

function jsonSchema(parameters: z.ZodType): JsonSchema | null {
  const { $schema: _, ...schema } = z.toJSONSchema(parameters, { io: 'input', unrepresentable: 'any' });
  return schema.type === 'object' ? schema : null;
}

function isSchema(value: unknown): boolean {
  return typeof value === 'object' && value !== null && '_zod' in value;
}

/** Where and what, for a person or a model: `city: expected string; days: too big`. */
function issuesOf(error: z.ZodError): string {
  const at = (path: readonly PropertyKey[]): string =>
    path.length === 0 ? '' : `${path.map(String).join('.')}: `;
  return error.issues.map(({ path, message }) => `${at(path)}${message}`).join('; ');
}
