/** The body of `POST /responses`: which parameters it has, and what they mean for a run. Keys that are not known are ignored. */
import { z } from 'zod';
import { ApiError } from '../../errors.ts';
import type { ResponseFormat } from '../../runs/thread.ts';
import * as shapes from '../http/shapes.ts';
import { toolChoice, tools } from './tools.ts';

const MAX_ITEMS = 10_000;

/** An item of an input, read by its type in input.ts. Messages may leave their type out. */
const givenItem = z.looseObject({ type: z.string().nullish() });
export type GivenItem = z.infer<typeof givenItem>;

const input = z
  .union([z.string(), z.array(givenItem).max(MAX_ITEMS)])
  .nullish()
  .transform((value): readonly GivenItem[] => {
    if (typeof value !== 'string') return value ?? [];
    return [{ type: 'message', role: 'user', content: value }];
  });

const format = z.looseObject({ type: z.string().min(1) }).superRefine(shapes.atMost(shapes.MAX_SCHEMA_BYTES));

export const body = z.looseObject({
  model: z.string().min(1).max(256).nullish(),
  input,
  instructions: z.string().max(shapes.MAX_INSTRUCTIONS_LENGTH).nullish(),
  previous_response_id: z.string().nullish(),
  conversation: z.union([z.string(), z.looseObject({ id: z.string() })]).nullish(),
  store: z.boolean().nullish(),
  background: z.boolean().nullish(),
  stream: z.boolean().nullish(),
  tools,
  tool_choice: toolChoice,
  parallel_tool_calls: z.boolean().nullish(),
  max_tool_calls: z.int().min(1).nullish(),
  text: z.looseObject({ format: format.nullish(), verbosity: z.string().max(64).nullish() }).nullish(),
  reasoning: z
    .looseObject({ effort: z.string().max(64).nullish(), summary: z.unknown().optional() })
    .nullish(),
  max_output_tokens: z.int().min(1).nullish(),
  truncation: z.enum(['auto', 'disabled']).nullish(),
  context_management: z
    .array(z.looseObject({ type: z.string(), compact_threshold: z.int().min(1).nullish() }))
    .max(16)
    .nullish(),
  temperature: shapes.temperature,
  top_p: shapes.topP,
  top_logprobs: z.int().min(0).max(20).nullish(),
  metadata: shapes.metadata,
  include: z.array(z.string()).nullish(),
  prompt: z
    .looseObject({
      id: z.string().min(1).max(256),
      version: z.string().nullish(),
      variables: z.record(z.string(), z.unknown()).nullish(),
    })
    .nullish(),
});

export type ResponseBody = z.infer<typeof body>;

/** The conversation that a request names; null for none. */
export function conversationIn({ conversation }: ResponseBody): string | null {
  return typeof conversation === 'string' ? conversation : (conversation?.id ?? null);
}

/** Parameters that go on to the model server as they came. */
const PASSED_ON = [
  'presence_penalty',
  'frequency_penalty',
  'seed',
  'stop',
  'top_k',
  'min_p',
  'repetition_penalty',
  'logit_bias',
  'chat_template_kwargs',
  'user',
  'safety_identifier',
  'prompt_cache_key',
  'prompt_cache_retention',
  'service_tier',
] as const;
/** Those that a response shows. */
const SHOWN = [
  'presence_penalty',
  'frequency_penalty',
  'user',
  'safety_identifier',
  'prompt_cache_key',
  'prompt_cache_retention',
  'service_tier',
  'truncation',
  'max_tool_calls',
  'top_logprobs',
  'include',
  'prompt',
] as const;

/** Logprobs of the answer's words are included where they are asked for so. */
const LOGPROBS = 'message.output_text.logprobs';

export function passedOn(given: ResponseBody): Readonly<Record<string, unknown>> {
  const fields = PASSED_ON.flatMap((name) => (given[name] == null ? [] : [[name, given[name]] as const]));
  const wantsLogprobs = given.include?.includes(LOGPROBS) === true || (given.top_logprobs ?? 0) > 0;
  const verbosity = given.text?.verbosity;
  return {
    ...Object.fromEntries(fields.filter(([name, value]) => name !== 'service_tier' || value !== 'auto')),
    ...(verbosity != null && { verbosity }),
    ...(wantsLogprobs && { logprobs: true, top_logprobs: given.top_logprobs ?? 0 }),
  };
}

/** What a response says again of its request, as far as its run does not say it. */
export function shownOf(given: ResponseBody): Readonly<Record<string, unknown>> {
  const fields = SHOWN.flatMap((name) => (given[name] == null ? [] : [[name, given[name]] as const]));
  const { text, reasoning, instructions } = given;
  return {
    ...Object.fromEntries(fields),
    ...(instructions == null && { instructions: null }),
    ...(text?.verbosity != null && { verbosity: text.verbosity }),
    ...(reasoning?.summary != null && { reasoning_summary: reasoning.summary }),
  };
}

const namedFormat = z.looseObject({
  name: z.string().min(1).max(64),
  schema: z.record(z.string(), z.unknown()),
  description: z.string().nullish(),
  strict: z.boolean().nullish(),
});

/**
 * The form of the answer in the words of chats, where a schema is nested.
 * @throws {ApiError} 400 for a schema without a name.
 */
export function formatOf({ text }: ResponseBody): ResponseFormat {
  const given = text?.format;
  if (given == null || given.type === 'text') return 'auto';
  if (given.type !== 'json_schema') return { ...given };
  const { type, ...fields } = given;
  const read = namedFormat.safeParse(fields);
  if (!read.success) {
    const param = `text.format.${String(read.error.issues[0]?.path[0] ?? 'schema')}`;
    throw new ApiError(400, `Missing required parameter: '${param}'.`, {
      param,
      code: 'missing_required_parameter',
    });
  }
  const { name, schema, description, strict } = read.data;
  return {
    type,
    json_schema: {
      name,
      schema,
      ...(description != null && { description }),
      ...(strict != null && { strict }),
    },
  };
}
