/** What may be set for an upstream, and for a single model of it: what is said to it, and what it can do. */
import { z } from 'zod';

/** Without these a request would be another one. */
const NEVER_LEFT_OUT: readonly string[] = ['model', 'messages', 'tools'];
/** These are the caller's, or have a setting of their own. */
const NEVER_EXTRA: readonly string[] = [
  ...NEVER_LEFT_OUT,
  'stream',
  'tool_choice',
  'stream_options',
  'parallel_tool_calls',
  'n',
];

const fieldName = z
  .string()
  .regex(/^[\w$-]+(?:\.[\w$-]+)*$/, 'must be the name of a field, such as top_p or messages.name')
  .refine(
    (name) => !NEVER_LEFT_OUT.includes(name),
    `must not be ${NEVER_LEFT_OUT.join(' or ')}, which no request can do without`,
  );

const extraFields = z
  .record(z.string().min(1), z.json())
  .refine(
    (fields) => !Object.keys(fields).some((name) => NEVER_EXTRA.includes(name)),
    `must not have ${NEVER_EXTRA.join(' or ')}`,
  );

/** A setting that is missing is not known. */
export const sayingFields = {
  /** The field that holds the cap on tokens. */
  maxTokensField: z.enum(['max_completion_tokens', 'max_tokens']).optional(),
  /**
   * What becomes of system messages: `system` sends them as they are, `developer` under that name, `first` joined at
   * the beginning, `none` as the beginning of what the user says.
   */
  systemRole: z.enum(['system', 'developer', 'first', 'none']).optional(),
  /** Tokens that prompt and answer may have together. */
  contextTokens: z.int().min(256).optional(),
  tools: z.boolean().optional(),
  images: z.boolean().optional(),
  /** Whether `stream_options` is sent: always, or never; missing: when the caller asks for it. */
  streamOptions: z.boolean().optional(),
  /** Whether `parallel_tool_calls` is sent: always, or never; missing: only where it is false. */
  parallelToolCalls: z.boolean().optional(),
  /** False: `strict` of a tool is never sent. */
  strict: z.boolean().optional(),
  /** The ids of calls: nine letters and digits, or as the server wrote them. */
  callIds: z.enum(['nine', 'own']).optional(),
  /** Thoughts beside calls: sent back, sent empty where there are none, or never sent. */
  thoughts: z.enum(['keep', 'fill', 'drop']).optional(),
  /** Google's signatures of thoughts: the documented stand-in where one is missing. */
  signatures: z.enum(['keep', 'fill']).optional(),
  /** Fields that are never sent, by name or path. */
  omit: z.array(fieldName).optional(),
  /** Fields that are sent where the caller does not set them, and in place of those in `omit`. */
  extraBody: extraFields.optional(),
};

/** The same, checked. */
export type Saying = Readonly<z.infer<z.ZodObject<typeof sayingFields>>>;
