/**
 * Request shapes of the Assistants API, with the bounds of the hosted one; each schema turns what clients send into
 * what is stored. Null means "not given" for every optional field.
 */
import { z } from 'zod';
import { looseSchema } from '../../errors.ts';
import { DEFAULT_RANKING } from '../../runs/calls/file-search.ts';
import type { AssistantTool, FunctionTool, TruncationStrategy } from '../../runs/thread.ts';
import { chunking } from '../http/chunking.ts';
import {
  atMost,
  EMPTY_SCHEMA,
  functionTool,
  MAX_TOOLS,
  MAX_TOOLS_BYTES,
  metadata,
  refuse,
  storedTool,
} from '../http/shapes.ts';
import { newMessage } from './new-message.ts';

export { newMessage };
export * from '../http/shapes.ts';

const MAX_FIRST_MESSAGES = 10_000;
/** Of a store that is made on the way. */
const MAX_FIRST_FILES = 10_000;

const fileSearchTool = z.strictObject({
  type: z.literal('file_search'),
  file_search: z
    .strictObject({
      max_num_results: z.int().min(1).max(50).nullish(),
      // Lists of assistants show more in it than requests may have.
      ranking_options: z
        .looseObject({
          score_threshold: z.number().min(0).max(1).nullish(),
          ranker: z.enum(['auto', 'default_2024_08_21']).nullish(),
        })
        .nullish(),
    })
    .nullish(),
});
const codeInterpreterTool = z.strictObject({ type: z.literal('code_interpreter') });

/** A hosted tool by itself, as lists of assistants show it, as it is stored. */
export const listedHostedTool = z.union([fileSearchTool, codeInterpreterTool]).transform(hosted);

/** The tools of assistants and runs: a schema that would fail later, in the middle of a run, is refused now. */
export const tools = z
  .array(z.union([functionTool, fileSearchTool, codeInterpreterTool]))
  .max(MAX_TOOLS)
  .superRefine(atMost(MAX_TOOLS_BYTES))
  .transform((list): readonly AssistantTool[] =>
    list.map((tool, index) =>
      tool.type === 'function' ? strictly(storedTool(tool, index), index) : hosted(tool),
    ),
  );

/** @throws {ApiError} 400 for a schema that allows more than a strict one may. */
function strictly(tool: FunctionTool, index: number): FunctionTool {
  const { name, strict, parameters } = tool.function;
  if (!strict || parameters === EMPTY_SCHEMA || parameters['additionalProperties'] === false) return tool;
  throw looseSchema(name, `tools[${index}].function.parameters`);
}

/** With what the hosted API showed where a client had said nothing. */
function hosted(tool: z.infer<typeof fileSearchTool> | z.infer<typeof codeInterpreterTool>): AssistantTool {
  if (tool.type === 'code_interpreter') return tool;
  const { max_num_results: most, ranking_options: ranking } = tool.file_search ?? {};
  const ranking_options = {
    ranker: ranking?.ranker ?? DEFAULT_RANKING.ranker,
    score_threshold: ranking?.score_threshold ?? DEFAULT_RANKING.score_threshold,
  };
  return {
    type: tool.type,
    file_search: { ...(most != null && { max_num_results: most }), ranking_options },
  };
}

const fileIds = z.array(z.string().min(1).max(128));
const newStore = z.strictObject({
  file_ids: fileIds.max(MAX_FIRST_FILES).nullish(),
  chunking_strategy: chunking,
  metadata,
});

const codeFiles = z.strictObject({ file_ids: fileIds.max(20).nullish() }).nullish();
const storeIds = z.array(z.string()).max(1).nullish();

/** Resources of a run, in place of its assistant's: what is there already. */
export const namedResources = z
  .strictObject({
    code_interpreter: codeFiles,
    file_search: z.strictObject({ vector_store_ids: storeIds }).nullish(),
  })
  .nullish();

/** Resources as clients name them, or ask for a store with these files. */
export const toolResources = z
  .strictObject({
    code_interpreter: codeFiles,
    file_search: z
      .strictObject({
        vector_store_ids: storeIds,
        vector_stores: z.array(newStore).max(1).nullish(),
      })
      .superRefine((value, context) => {
        if (!value.vector_store_ids?.length || !value.vector_stores?.length) return;
        const message = "Give either 'vector_store_ids' or 'vector_stores'.";
        refuse(context, { code: 'invalid_value', message }, ['vector_stores']);
      })
      .nullish(),
  })
  .nullish();

export const truncationStrategy = z
  .strictObject({
    type: z.enum(['auto', 'last_messages']),
    last_messages: z.int().min(1).nullish(),
  })
  .superRefine((value, context) => {
    if (value.type !== 'last_messages' || value.last_messages != null) return;
    const message = "Missing required parameter: '{param}'. It says how many messages 'last_messages' keeps.";
    refuse(context, { code: 'missing_required_parameter', message }, ['last_messages']);
  })
  .nullish()
  .transform((value): TruncationStrategy => {
    if (value?.type !== 'last_messages') return { type: 'auto', last_messages: null };
    return { type: 'last_messages', last_messages: value.last_messages ?? null };
  });

/** What a thread is created from, alone or together with a run. */
export const createThreadBody = z.strictObject({
  messages: z.array(newMessage).max(MAX_FIRST_MESSAGES).nullish(),
  tool_resources: toolResources,
  metadata,
});
