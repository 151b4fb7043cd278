/**
 * Request shapes that several protocols share, with the bounds of the hosted API; each schema turns what clients send
 * into what is stored. Null means "not given" for every optional field.
 */
import { z } from 'zod';
import { ApiError } from '../../errors.ts';
import { isEmptyList, schemaIn, withSchemaObjects } from '../../runs/schema-objects.ts';
import type { FunctionTool, Metadata, ResponseFormat, ToolChoice } from '../../runs/thread.ts';
import { jsonBytes } from '../../turns/budgets.ts';
import { DECIMAL, type CustomRefusal } from './validate.ts';

const MAX_METADATA_PAIRS = 16;
export const MAX_TOOLS = 128;
const MAX_NAME_LENGTH = 64;
export const MAX_CONTENT_PARTS = 1_000;
/**
 * Size of one schema as JSON. Every answer about a run repeats its schemas; OpenAI takes 120,000 characters of names
 * and values.
 */
export const MAX_SCHEMA_BYTES = 128 * 1024;
/**
 * Size of all tools together as JSON: enough for hundreds of ordinary tools, and small enough to write the whole run at
 * every poll.
 */
export const MAX_TOOLS_BYTES = 512 * 1024;
export const MAX_INSTRUCTIONS_LENGTH = 256_000;

export const metadata = z
  .unknown()
  // Counted before the pairs are checked, because each wrong pair would be reported separately.
  .superRefine((value, context) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return;
    const count = Object.keys(value).length;
    if (count <= MAX_METADATA_PAIRS) return;
    refuse(context, {
      code: 'object_above_max_properties',
      message: `Invalid '{param}': too many properties. Expected an object with at most ${MAX_METADATA_PAIRS} properties, but got an object with ${count} properties instead.`,
    });
  })
  .pipe(z.record(z.string().max(64), z.string().max(512)))
  .nullish()
  // An absent field leaves it unchanged; an explicit null empties it.
  .transform((value): Metadata | undefined => (value === null ? {} : value));

export const functionName = z
  .string()
  .min(1)
  .max(MAX_NAME_LENGTH)
  .regex(
    /^[A-Za-z0-9_-]+$/,
    "string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'",
  );
export const functionParameters = z
  .record(z.string(), z.unknown())
  .superRefine(atMost(MAX_SCHEMA_BYTES))
  .transform(withSchemaObjects)
  .nullish();

export const functionTool = z.strictObject({
  type: z.literal('function'),
  function: z.strictObject({
    name: functionName,
    description: z.string().nullish(),
    parameters: functionParameters,
    strict: z.boolean().nullish(),
  }),
});

/** The schema that the hosted API echoed for a function without one. */
export const EMPTY_SCHEMA = { type: 'object', properties: {} };

/** Tools of assistants: their shape is known, so that a chat that declares one is told where it belongs. */
export const hostedTool = z.looseObject({ type: z.enum(['code_interpreter', 'file_search']) });

/**
 * A tool as it is stored: with an empty description, an empty schema and `strict: false` where they were left out, because PHP's
 * classes insist on each. Whether a strict schema is strict enough is for the model server to check.
 * @throws {ApiError} 400 for a hosted tool, which only assistants have.
 */
export function storedTool(
  tool: z.infer<typeof functionTool> | z.infer<typeof hostedTool>,
  index: number,
): FunctionTool {
  if (tool.type !== 'function') throw ofAssistants(tool.type, `tools[${index}].type`);
  const { name, description, parameters, strict } = tool.function;
  return {
    type: 'function',
    function: {
      name,
      description: description ?? '',
      parameters: parameters ?? EMPTY_SCHEMA,
      strict: strict ?? false,
    },
  };
}

export const chosenFunction = z.strictObject({
  type: z.literal('function'),
  function: z.strictObject({ name: z.string().min(1).max(MAX_NAME_LENGTH) }),
});
export const choiceWord = z.enum(['none', 'auto', 'required']);

export const toolChoice = z
  .union([choiceWord, chosenFunction, hostedTool])
  .nullish()
  .transform((value): ToolChoice => {
    if (value == null) return 'auto';
    if (typeof value === 'string' || value.type === 'function') return value;
    return { type: value.type };
  });

export function hostedChoice(type: string): ApiError {
  return ofAssistants(type, 'tool_choice.type');
}

function ofAssistants(type: string, param: string): ApiError {
  const text = `The tool '${type}' belongs to assistants: create one that has it, and name the assistant as the model.`;
  return new ApiError(400, text, { param, code: 'unsupported' });
}

/** Echoed as given: nothing is changed but `[]` where a schema means `{}`. */
export const responseFormat = z
  .union([
    z.literal('auto'),
    z.strictObject({ type: z.literal('text') }),
    z.strictObject({ type: z.literal('json_object') }),
    z.strictObject({
      type: z.literal('json_schema'),
      json_schema: z.strictObject({
        name: z.string().min(1).max(MAX_NAME_LENGTH),
        description: z.string().nullish(),
        schema: z.record(z.string(), z.unknown()).transform(withSchemaObjects).nullish(),
        strict: z.boolean().nullish(),
      }),
    }),
  ])
  .superRefine(atMost(MAX_SCHEMA_BYTES))
  .nullish()
  .transform((value): ResponseFormat | undefined => value ?? undefined);

/** A format as it is passed on: the model server knows its own formats and reports what is wrong with one. */
export const passedFormat = z
  .looseObject({ type: z.string().min(1) })
  .superRefine(atMost(MAX_SCHEMA_BYTES))
  .transform((format) => {
    const { json_schema: named } = format;
    if (typeof named !== 'object' || named === null || !('schema' in named)) return format;
    return { ...format, json_schema: { ...named, schema: schemaIn(named.schema) } };
  })
  .nullish();

const passedObject = z
  .unknown()
  .transform((value) => (isEmptyList(value) ? {} : value))
  .optional();

/** Fields that are passed on, and are objects. */
export const passedObjects = {
  logit_bias: passedObject,
  prompt_cache_options: passedObject,
  web_search_options: passedObject,
};

export const reasoningEffort = z.enum(['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max']).nullish();

export const temperature = z.number(DECIMAL).min(0, DECIMAL).max(2, DECIMAL).nullish();
export const topP = z.number(DECIMAL).min(0, DECIMAL).max(1, DECIMAL).nullish();

export const imageDetail = z.enum(['auto', 'low', 'high']).nullish();

export const imageUrl = z
  .string()
  .min(1)
  .superRefine((url, context) => {
    if (/^(https?:\/\/\S+|data:image\/[\w.+-]+;base64,[A-Za-z0-9+/=\s]+)$/i.test(url)) return;
    refuse(context, {
      code: 'invalid_value',
      message: "Invalid '{param}': expected an http(s) URL, or a base64 data URL of an image.",
    });
  });

export const listQuery = z.object({
  limit: z.coerce.number().int().min(1).max(100).default(20),
  order: z.enum(['asc', 'desc']).default('desc'),
  after: z.string().optional(),
  before: z.string().optional(),
});

/** Refuses values that are larger as JSON. */
export function atMost(maxBytes: number): (value: unknown, context: z.core.$RefinementCtx) => void {
  return (value, context) => {
    const bytes = jsonBytes(value);
    if (bytes <= maxBytes) return;
    refuse(context, {
      code: 'object_above_max_bytes',
      message: `Invalid '{param}': too large. Expected at most ${maxBytes} bytes of JSON, but got ${bytes} bytes instead.`,
    });
  };
}

export function refuse(context: z.core.$RefinementCtx, refusal: CustomRefusal, path: string[] = []): void {
  context.addIssue({ code: 'custom', path, params: { ...refusal } });
}
