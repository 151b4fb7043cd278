/** A run as clients of the Assistants API ask for it: its bodies, and which value wins, the request's or the assistant's. */
import { z } from 'zod';
import { ApiError, echo } from '../../errors.ts';
import type { Assistant, Metadata, ToolResources } from '../../runs/thread.ts';
import type { RunRequest } from '../../turns/begin.ts';
import type { Means } from '../../turns/means.ts';
import { resourcesOfRun, storedIn } from '../../turns/resources.ts';
import { approvalsOf, withPlugins } from '../../turns/run-tools.ts';
import { MULTITASK, type Multitask } from '../../turns/settle.ts';
import * as shapes from './shapes.ts';

/** Any budget from 1 is accepted: the hosted API's documents and its validator disagreed about the minimum. */
const budget = z.int().min(1).max(2_147_483_647).nullish();
const MAX_ADDITIONAL_MESSAGES = 1_000;

const common = {
  assistant_id: z.string().min(1),
  model: z.string().min(1).max(256).nullish(),
  instructions: z.string().max(shapes.MAX_INSTRUCTIONS_LENGTH).nullish(),
  tools: shapes.tools.nullish(),
  tool_resources: shapes.namedResources,
  metadata: shapes.metadata,
  temperature: shapes.temperature,
  top_p: shapes.topP,
  stream: z.boolean().nullish(),
  max_prompt_tokens: budget,
  max_completion_tokens: budget,
  truncation_strategy: shapes.truncationStrategy,
  tool_choice: shapes.toolChoice,
  parallel_tool_calls: z.boolean().nullish(),
  response_format: shapes.responseFormat,
  reasoning_effort: shapes.reasoningEffort,
};

export const createRunBody = z.strictObject({
  ...common,
  additional_instructions: z.string().max(shapes.MAX_INSTRUCTIONS_LENGTH).nullish(),
  additional_messages: z.array(shapes.newMessage).max(MAX_ADDITIONAL_MESSAGES).nullish(),
});

export const createThreadAndRunBody = z.strictObject({
  ...common,
  thread: shapes.createThreadBody.nullish(),
});

export type RunInput = z.infer<z.ZodObject<typeof common>> & {
  readonly additional_instructions?: string | null | undefined;
};

/**
 * The run that a client asks for: which value wins, the request's or the assistant's.
 * @param sealed secrets of the request; null when it has none
 * @throws {ApiError} 400 for a lifetime beyond this server's limit.
 */
export function runRequest(
  { settings, plugins }: Pick<Means, 'settings' | 'plugins'>,
  input: RunInput,
  assistant: Assistant,
  sealed: string | null,
  /** Of the thread, where the run's tools need them. */
  threads: ToolResources | null = null,
): RunRequest {
  const metadata = input.metadata ?? {};
  const labelled = (name: string): string | null => metadata[name] ?? assistant.metadata[name] ?? null;
  const { tools, serverTools } = withPlugins(input.tools ?? assistant.tools, labelled('auto_tools'), plugins);
  const approvals = approvalsOf([assistant.metadata['approve'], metadata['approve']], serverTools);
  // In place of the assistant's, as at the hosted API.
  const own: ToolResources =
    input.tool_resources == null ? assistant.tool_resources : storedIn(input.tool_resources);
  return {
    assistant_id: assistant.id,
    model: input.model ?? assistant.model,
    instructions: instructions(input, assistant),
    tools,
    metadata,
    temperature: input.temperature ?? assistant.temperature,
    top_p: input.top_p ?? assistant.top_p,
    reasoning_effort: input.reasoning_effort ?? assistant.reasoning_effort,
    max_completion_tokens: input.max_completion_tokens ?? null,
    max_prompt_tokens: input.max_prompt_tokens ?? null,
    truncation_strategy: input.truncation_strategy,
    response_format: input.response_format ?? assistant.response_format,
    tool_choice: input.tool_choice,
    parallelToolCalls: input.parallel_tool_calls ?? null,
    lifetimeS: lifetimeS(metadata, settings.runExpiresAfterS),
    origin: {
      backend_id: labelled('backend_id'),
      server_tools: serverTools,
      ...(approvals.length > 0 && { approvals }),
      sealed,
      ...resourcesOfRun(tools, own, threads),
    },
  };
}

/**
 * What to do with the run that holds the thread: `metadata.multitask`. By default the new run is refused, as by the
 * hosted API.
 * @throws {ApiError} 400 for an unknown value.
 */
export function multitaskOf({ metadata }: RunInput): Multitask {
  const asked = metadata?.['multitask'];
  if (asked === undefined) return 'reject';
  const found = MULTITASK.find((known) => known === asked);
  if (found !== undefined) return found;
  const list = MULTITASK.map((known) => `'${known}'`).join(', ');
  const text = `Invalid 'metadata.multitask': '${echo(asked)}'. Supported values are: ${list}.`;
  throw new ApiError(400, text, { param: 'metadata.multitask', code: 'invalid_value' });
}

/** The run's instructions replace the assistant's, even when empty; additional instructions are appended to either. */
function instructions(input: RunInput, assistant: Assistant): string {
  const own = input.instructions ?? assistant.instructions ?? '';
  const additional = input.additional_instructions ?? '';
  return own === '' || additional === '' ? own + additional : `${own}\n${additional}`;
}

/** `metadata.expires_after_s` may shorten a run's life; the operator's limit cannot be exceeded. */
function lifetimeS(metadata: Metadata, limitS: number): number {
  const asked = metadata['expires_after_s'];
  if (asked === undefined) return limitS;
  const seconds = Number(asked);
  if (Number.isInteger(seconds) && seconds >= 1 && seconds <= limitS) return seconds;
  const text = `Invalid 'metadata.expires_after_s': '${echo(asked)}'. Expected whole seconds from 1 to ${limitS}, this server's limit.`;
  throw new ApiError(400, text, { param: 'metadata.expires_after_s', code: 'invalid_value' });
}
