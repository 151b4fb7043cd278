/** The Response object of the wire: every key always, as strict clients demand. */
import { offeredTools, type DeclaredTool } from '../../runs/calls/kinds.ts';
import type { RunOrigin } from '../../runs/event.ts';
import { isTerminal } from '../../runs/run.ts';
import { isRecord } from '../../runs/record.ts';
import type { ResponseFormat, Run, RunError, RunStatus, ToolChoice, Usage } from '../../runs/thread.ts';
import { conversationId, responseId } from './ids.ts';
import type { OutputItem } from './output.ts';

export type ResponseStatus = 'queued' | 'in_progress' | 'completed' | 'incomplete' | 'failed' | 'cancelled';

/** How a run stands, in the words of this API. A run that waits for its client is still in progress here. */
const STATUSES: Readonly<Record<RunStatus, ResponseStatus>> = {
  queued: 'queued',
  in_progress: 'in_progress',
  requires_action: 'in_progress',
  cancelling: 'in_progress',
  cancelled: 'cancelled',
  failed: 'failed',
  completed: 'completed',
  incomplete: 'incomplete',
  expired: 'failed',
};

/** Errors of runs that say none themselves. */
const ERRORS: Partial<Readonly<Record<RunStatus, RunError>>> = {
  expired: { code: 'server_error', message: 'The response took longer than this server allows.' },
};

/** A response. @param output what has been said and done so far */
export function responseObject(
  run: Run,
  origin: Pick<RunOrigin, 'response' | 'server_tools' | 'ephemeral'>,
  output: readonly OutputItem[],
  status: ResponseStatus = STATUSES[run.status],
): object {
  const {
    shown = {},
    previous = null,
    // A run of the Assistants API is always in one.
    in_conversation: inConversation = !origin.ephemeral,
    background = false,
  } = origin.response ?? {};
  const given = (name: string, otherwise: unknown): unknown => shown[name] ?? otherwise;
  return {
    id: responseId(run.id),
    object: 'response',
    created_at: run.created_at,
    completed_at: run.completed_at,
    status,
    background,
    error: run.last_error ?? ERRORS[run.status] ?? null,
    incomplete_details: incompleteOf(run),
    instructions: 'instructions' in shown ? shown['instructions'] : run.instructions,
    max_output_tokens: run.max_completion_tokens,
    max_tool_calls: given('max_tool_calls', null),
    model: run.model,
    output,
    parallel_tool_calls: run.parallel_tool_calls,
    previous_response_id: previous === null ? null : responseId(previous),
    conversation: inConversation ? { id: conversationId(run.thread_id) } : null,
    ...('prompt' in shown && { prompt: shown['prompt'] }),
    reasoning: { effort: run.reasoning_effort, summary: given('reasoning_summary', null) },
    service_tier: given('service_tier', 'default'),
    store: !origin.ephemeral,
    temperature: run.temperature,
    text: {
      format: flatFormat(run.response_format),
      ...('verbosity' in shown && { verbosity: shown['verbosity'] }),
    },
    tool_choice: given('tool_choice', choiceShown(run.tool_choice)),
    tools: given('tools', toolsShown(run.tools, origin.server_tools)),
    top_logprobs: given('top_logprobs', 0),
    top_p: run.top_p,
    truncation: given('truncation', 'disabled'),
    presence_penalty: given('presence_penalty', 0),
    frequency_penalty: given('frequency_penalty', 0),
    usage: isTerminal(run) && run.usage !== null ? usageOf(run.usage) : null,
    user: given('user', null),
    safety_identifier: given('safety_identifier', null),
    prompt_cache_key: given('prompt_cache_key', null),
    prompt_cache_retention: given('prompt_cache_retention', null),
    metadata: run.metadata,
  };
}

function incompleteOf({ incomplete_details: details }: Run): object | null {
  if (details === null) return null;
  return { reason: details.reason === 'content_filter' ? 'content_filter' : 'max_output_tokens' };
}

/** What was counted, in the words of this API. */
export function usageOf(usage: Usage): object {
  return {
    input_tokens: usage.prompt_tokens,
    input_tokens_details: { cached_tokens: usage.prompt_token_details.cached_tokens, cache_write_tokens: 0 },
    output_tokens: usage.completion_tokens,
    output_tokens_details: { reasoning_tokens: usage.completion_tokens_details.reasoning_tokens },
    total_tokens: usage.total_tokens,
  };
}

function flatFormat(format: ResponseFormat): object {
  if (format === 'auto') return { type: 'text' };
  const { json_schema: schema, ...rest } = format;
  if (!isRecord(schema)) return rest;
  return { ...rest, description: null, strict: null, ...schema };
}

function choiceShown(choice: ToolChoice): unknown {
  if (typeof choice === 'string') return choice;
  if (choice.type === 'function') return { type: 'function', name: choice.function.name };
  if (choice.type === 'custom') return { type: 'custom', name: choice.custom.name };
  return { type: choice.type };
}

/** The client's own tools: those of the server that the run has besides are not its declaration. */
function toolsShown(tools: readonly DeclaredTool[], serverTools: readonly string[]): readonly object[] {
  return offeredTools(tools).flatMap((tool): object[] => {
    if (tool.type === 'custom') return [{ type: 'custom', ...tool.custom }];
    const { name, description, parameters, strict } = tool.function;
    if (serverTools.includes(name)) return [];
    return [{ type: 'function', name, description: description || null, parameters, strict }];
  });
}

/** The event with which the stream of a run ends. */
export function endOf({ status }: Pick<Run, 'status'>): string {
  return END[status] ?? 'response.failed';
}

const END: Readonly<Record<string, string>> = {
  completed: 'response.completed',
  incomplete: 'response.incomplete',
  // The wire has no event for it, and its helpers stop at this one without a look at the status.
  cancelled: 'response.incomplete',
};
