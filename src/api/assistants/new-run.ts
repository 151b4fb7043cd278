/** From a client's request and an assistant to a new run: which value wins, and which combinations make no sense. */
import { z } from 'zod';
import { ApiError, echo } from '../../errors.ts';
import { demandedFunction, offeredFunctions } from '../../runs/calls/kinds.ts';
import { PLAIN_ORIGIN, type RunOrigin } from '../../runs/event.ts';
import { queuedRun } from '../../runs/parts.ts';
import type { Assistant, Metadata, Run } from '../../runs/thread.ts';
import { createThreadBody } from './threads.ts';
import type { Call } from '../http/endpoint.ts';
import type { Services } from '../../turns/means.ts';
import { withPlugins } from '../../turns/run-tools.ts';
import * as shapes from '../http/shapes.ts';

/** Budgets from 1 on are taken: the hosted API's own floor was told differently by its documents and its validator. */
const budget = z.int().min(1).max(2_147_483_647).nullish();
const MAX_ADDITIONAL_MESSAGES = 1_000;

const common = {
  assistant_id: z.string().min(1),
  model: z.string().min(1).max(256).nullish(),
  instructions: z.string().max(shapes.MAX_INSTRUCTIONS_LENGTH).nullish(),
  tools: shapes.tools.nullish(),
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
  thread: createThreadBody.nullish(),
  tool_resources: shapes.toolResources,
});

export type RunInput = z.infer<z.ZodObject<typeof common>> & {
  readonly additional_instructions?: string | null | undefined;
};

interface Context extends Pick<Services, 'now' | 'settings' | 'plugins'>, Pick<Call, 'newId'> {
  readonly project: string;
  readonly threadId: string;
  readonly requestId: string;
  readonly sealed: string | null;
}

/**
 * A run of `assistant`, not yet stored. It copies everything it needs, so later changes of the assistant do not reach it.
 * @throws {ApiError} 400 for a tool choice that the tools cannot fulfil.
 */
export function newRun(
  input: RunInput,
  assistant: Assistant,
  { project, threadId, requestId, sealed, now, newId, settings, plugins }: Context,
): { run: Run; origin: RunOrigin } {
  const at = now();
  const metadata = input.metadata ?? {};
  const labelled = (name: string): string | null => metadata[name] ?? assistant.metadata[name] ?? null;
  const { tools, serverTools } = withPlugins(input.tools ?? assistant.tools, labelled('auto_tools'), plugins);
  checkToolChoice(input.tool_choice, tools);
  const run = queuedRun({
    id: newId('run'),
    created_at: at,
    assistant_id: assistant.id,
    thread_id: threadId,
    expires_at: at + lifetimeS(metadata, settings.runExpiresAfterS),
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
    parallel_tool_calls: input.parallel_tool_calls ?? settings.parallelToolCalls,
  });
  const origin: RunOrigin = {
    ...PLAIN_ORIGIN,
    project,
    request_id: requestId,
    backend_id: labelled('backend_id'),
    server_tools: serverTools,
    sealed,
  };
  return { run, origin };
}

/** The run's instructions replace the assistant's, also when empty; additional ones are appended to either. */
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

/** @throws {ApiError} 400 for a choice that the tools cannot fulfil. */
export function checkToolChoice(choice: Run['tool_choice'], tools: Run['tools']): void {
  const refuse = (text: string): never => {
    throw new ApiError(400, text, { param: 'tool_choice', code: 'invalid_value' });
  };
  if (choice === 'required' && tools.length === 0) {
    refuse("Invalid value for 'tool_choice': 'required' needs at least one tool in 'tools'.");
  }
  if (typeof choice !== 'object') return;
  const name = demandedFunction(choice);
  if (!offeredFunctions(tools).some((tool) => tool.function.name === name)) {
    refuse(`Tool choice '${echo(name)}' not found in 'tools' parameter.`);
  }
}
