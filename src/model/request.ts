/** A turn as the body of `/chat/completions`. Null and empty fields are left out, because some servers refuse them. */
import type { ChatPart, ModelRequest } from '../runs/model.ts';
import type { FunctionTool } from '../runs/thread.ts';
import { FIT, fitMessages } from './fit.ts';
import { fitParameters } from './fit-schema.ts';
import type { Route } from './upstreams.ts';

/** The JSON body that asks `route` for this turn, as a stream with usage. */
export function chatBody(request: ModelRequest, route: Route): Readonly<Record<string, unknown>> {
  return {
    ...request.passed_on,
    model: route.model,
    messages: fitMessages(request.messages, { ...FIT, prefill: isContinued(request) }),
    stream: true,
    stream_options: { include_usage: true },
    ...(request.tools.length > 0 && {
      tools: request.tools.map(wireTool),
      tool_choice: request.tool_choice,
      parallel_tool_calls: request.parallel_tool_calls,
    }),
    ...(request.response_format !== 'auto' && { response_format: request.response_format }),
    ...given('temperature', request.temperature),
    ...given('top_p', request.top_p),
    ...given('reasoning_effort', request.reasoning_effort),
    ...given(route.upstream.maxTokensField, request.max_completion_tokens),
  };
}

/** Whether the caller asks the server to go on with the last answer, in the words of vLLM. */
function isContinued({ passed_on }: ModelRequest): boolean {
  return passed_on['continue_final_message'] === true || passed_on['add_generation_prompt'] === false;
}

function given(name: string, value: unknown): Readonly<Record<string, unknown>> {
  return value === null ? {} : { [name]: value };
}

/** Whether the prompt has a picture. */
export function hasPicture({ messages }: ModelRequest): boolean {
  return messages.some(
    ({ content }) => Array.isArray(content) && content.some((part: ChatPart) => part.type === 'image_url'),
  );
}

/**
 * Servers that do not know `strict` refuse it; false is its default anyway, so it is left out. So is an empty description,
 * which is how none is stored.
 */
function wireTool({ function: { name, description, strict, ...rest } }: FunctionTool): unknown {
  const parameters = fitParameters(rest.parameters);
  const described = { name, ...(description && { description }) };
  return { type: 'function', function: { ...described, ...rest, parameters, ...(strict && { strict }) } };
}
