/** A turn as the body of `/chat/completions`. Null and empty fields are left out, because some servers refuse them. */
import type { ModelRequest } from '../runs/model.ts';
import type { OfferedTool } from '../runs/thread.ts';
import { FIT, fitMessages, type FitOptions } from './fit.ts';
import { fitParameters } from './fit-schema.ts';
import { isRecord } from '../runs/record.ts';
import type { ModelSettings } from './settings.ts';
import { withoutCalls } from './without-calls.ts';

/** What is known about the model when it is asked. */
export interface KnownSettings extends ModelSettings {
  /** Fields that the server has refused, by path: not sent, whoever wants them. */
  readonly refused?: readonly string[];
}

/** The JSON body that asks for this turn, as a stream. @param model its name at the upstream */
export function chatBody(
  request: ModelRequest,
  model: string,
  settings: KnownSettings,
): Readonly<Record<string, unknown>> {
  const { omit = [], refused = [], extraBody = {}, maxTokensField = 'max_tokens' } = settings;
  const tools = toolsFor(request, settings);
  const messages =
    settings.tools === false && tools.length === 0 ? withoutCalls(request.messages) : request.messages;
  const { stream_options: asked, ...passedOn } = request.passed_on;
  const said = {
    ...passedOn,
    model,
    messages: fitMessages(messages, { ...fitOptions(settings), prefill: isContinued(request) }),
    stream: true,
    // Options of a stream are refused where the answer comes whole.
    ...(!omit.includes('stream') && usageOptions(asked, settings.streamOptions)),
    ...(tools.length > 0 && {
      tools: tools.map((tool) => wireTool(tool, settings.strict !== false)),
      // What the other choice means is the default beside tools, and servers without a parser of calls refuse the word.
      ...(request.tool_choice !== 'auto' && { tool_choice: request.tool_choice }),
      ...parallelCalls(request.parallel_tool_calls, settings.parallelToolCalls),
    }),
    ...(request.response_format !== 'auto' && { response_format: request.response_format }),
    ...given('temperature', request.temperature),
    ...given('top_p', request.top_p),
    ...given('reasoning_effort', request.reasoning_effort),
    ...given(maxTokensField, request.max_completion_tokens),
  };
  return without(joined(extraBody, without(said, omit)), refused);
}

/** The tools that are offered: none to a model that takes none. */
function toolsFor(
  request: ModelRequest,
  { tools, omit = [], refused = [] }: KnownSettings,
): readonly OfferedTool[] {
  if (tools === false) return [];
  // Where the choice cannot be said, leaving the tools out forbids calls as well.
  const isUnsaid = [...omit, ...refused].includes('tool_choice');
  return request.tool_choice === 'none' && isUnsaid ? [] : request.tools;
}

function fitOptions({ callIds, systemRole, thoughts, signatures, images }: ModelSettings): FitOptions {
  return {
    ...FIT,
    ...(callIds !== undefined && { callIds }),
    ...(thoughts !== undefined && { thoughts }),
    ...(signatures !== undefined && { signatures }),
    ...(images === false && { pictures: 'last' }),
    ...((systemRole === 'first' || systemRole === 'none') && { system: systemRole }),
    ...(systemRole === 'developer' && { systemName: systemRole }),
  };
}

/** @param asked what the caller said of `stream_options` */
function usageOptions(asked: unknown, isTaken: boolean | undefined): Readonly<Record<string, unknown>> {
  if (isTaken === true) return { stream_options: { ...(isRecord(asked) && asked), include_usage: true } };
  return isTaken === false || !isRecord(asked) ? {} : { stream_options: asked };
}

function parallelCalls(wanted: boolean, isTaken: boolean | undefined): Readonly<Record<string, unknown>> {
  const isSaid = isTaken ?? !wanted;
  return isSaid ? { parallel_tool_calls: wanted } : {};
}

/** Whether the caller asks the server to go on with the last answer, in the words of vLLM. */
function isContinued({ passed_on }: ModelRequest): boolean {
  return passed_on['continue_final_message'] === true || passed_on['add_generation_prompt'] === false;
}

function given(name: string, value: unknown): Readonly<Record<string, unknown>> {
  return value === null ? {} : { [name]: value };
}

/** Whether a message of the list has a picture, as they are kept or as they are sent. */
export function showsPicture(messages: unknown): boolean {
  return (
    Array.isArray(messages) &&
    messages.some((message: unknown) => {
      const content: unknown = isRecord(message) ? message['content'] : null;
      return Array.isArray(content) && content.some((part) => isRecord(part) && part['type'] === 'image_url');
    })
  );
}

/**
 * Servers that do not know `strict` refuse it; false is its default anyway, so it is left out. So is an empty description,
 * which is how none is stored.
 */
function wireTool(tool: OfferedTool, takesStrict: boolean): unknown {
  if (tool.type === 'custom') return tool;
  const { name, description, strict, ...rest } = tool.function;
  const parameters = fitParameters(rest.parameters);
  const described = { name, ...(description && { description }), ...rest, parameters };
  return { type: 'function', function: { ...described, ...(strict && takesStrict && { strict }) } };
}

/** Nested fields that may go by their last name alone. */
const SHORT: Readonly<Record<string, string>> = { strict: 'tools.function.strict', name: 'messages.name' };

/** The body without these fields. Paths lead through lists: `tools.function.strict` is a field of each tool. */
function without(
  body: Readonly<Record<string, unknown>>,
  paths: readonly string[],
): Readonly<Record<string, unknown>> {
  let left: unknown = body;
  for (const path of paths) left = cut(left, (SHORT[path] ?? path).split('.'));
  return isRecord(left) ? left : body;
}

function cut(value: unknown, [name, ...rest]: readonly string[]): unknown {
  if (name === undefined) return value;
  if (Array.isArray(value)) return value.map((each: unknown) => cut(each, [name, ...rest]));
  if (!isRecord(value) || !Object.hasOwn(value, name)) return value;
  if (rest.length > 0) return { ...value, [name]: cut(value[name], rest) };
  const { [name]: _cut, ...others } = value;
  return others;
}

/** Both, objects in them joined likewise; what `more` says wins. */
function joined(
  defaults: Readonly<Record<string, unknown>>,
  more: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const both = Object.entries(defaults).flatMap(([name, value]): [string, unknown][] => {
    if (!Object.hasOwn(more, name)) return [[name, value]];
    const other = more[name];
    return isRecord(value) && isRecord(other) ? [[name, joined(value, other)]] : [];
  });
  return { ...more, ...Object.fromEntries(both) };
}
