/** Which agent answers a chat turn: an assistant, by id or by its spoken name, or just a model. */
import { ApiError, notFound, unknownAgent } from '../errors.ts';
import type { ChatMessage } from '../runs/model.ts';
import type { Assistant, ToolResources } from '../runs/thread.ts';
import type { RunRequest } from './begin.ts';
import { jsonBytes, textBytes } from './budgets.ts';
import type { Means } from './means.ts';
import { toolName, toolNames } from '../runs/calls/kinds.ts';
import { canChoose } from './begin.ts';
import { resourcesOfRun } from './resources.ts';
import { approvalsOf, asServed, withPlugins } from './run-tools.ts';
import { PHOTO_TOOL } from './photo.ts';
import { isNamed, type ChatSettings, type ChatTurn } from './turn.ts';

/**
 * Instructions are written again with each step of a run, and are part of every prompt. This is four times what the
 * default context holds.
 */
const MAX_INSTRUCTIONS_BYTES = 2 * 1024 * 1024;
/** Further parameters, variables and secrets, which are written again as well. Predicted outputs are the largest known. */
const MAX_EXTRAS_BYTES = 512 * 1024;

/** The assistant id of runs of plain models, because the wire demands one. */
const NO_ASSISTANT = 'asst_none';

/**
 * The assistant that a turn asks for; null when it names a model.
 * @throws {ApiError} 404 for an assistant id that does not exist.
 */
export async function findAgent(
  { objects }: Means,
  project: string,
  name: string,
): Promise<Assistant | null> {
  if (name.startsWith('asst_')) {
    const assistant = await objects.assistants.recall(project, name);
    if (assistant === null) throw notFound('assistant', name);
    return assistant;
  }
  return objects.assistants.recallByName(project, name);
}

/**
 * As {@link findAgent}, but a name that a device said must exist: the model server could only answer that it knows no
 * such model.
 * @throws {ApiError} 404 also when such a name is no assistant, alias or model.
 */
export async function findAgentOf(
  services: Means,
  project: string,
  { agent: name, isSpoken }: Pick<ChatTurn, 'agent' | 'isSpoken'>,
): Promise<Assistant | null> {
  const { knowsModel } = services;
  const assistant = await findAgent(services, project, name);
  if (assistant !== null || !isSpoken) return assistant;
  if ((await knowsModel(name)) || (await knowsModel(`<${name}>`))) return null;
  throw unknownAgent(name);
}

/**
 * The run that a turn asks for.
 * @param threads the resources of its thread, where it has one and the agent's tools need them
 * @throws {ApiError} 400 when something is too large to be written with each step of the run.
 */
export function chatRun(
  { plugins, settings }: Means,
  turn: ChatTurn,
  agent: Assistant | null,
  threads: ToolResources | null,
): RunRequest {
  const declared = turn.tools.map(toolName);
  // A tool that the caller declares is the caller's, even when the server has a tool of that name.
  const of = withPlugins(agent?.tools ?? [], agent?.metadata['auto_tools'] ?? null, plugins);
  // A chat has no way to approve a call.
  const without = [...declared, ...approvalsOf([agent?.metadata['approve']], of.serverTools)];
  const agents = of.tools.filter((tool) => !toolNames([tool]).some((name) => without.includes(name)));
  const serverTools = toolNames(agents).filter((name) => plugins.answers(name));
  const own = asServed(agents, serverTools, plugins);
  // In a thread there is no place for a speaker's name.
  const isInstruction = (message: ChatMessage): boolean => turn.thread !== null || !isNamed(message);
  const system = turn.messages.flatMap((message) =>
    message.role === 'system' && isInstruction(message) ? [message.content] : [],
  );
  const instructions = [agent?.instructions ?? '', ...system].filter((text) => text !== '').join('\n');
  checkRepeated(instructions, turn);
  const tools = [...turn.tools, ...own];
  return {
    assistant_id: agent?.id ?? NO_ASSISTANT,
    model: agent?.model ?? turn.agent,
    instructions,
    tools,
    metadata: {},
    max_prompt_tokens: null,
    truncation_strategy: { type: 'auto', last_messages: null },
    ...settingsOf(turn.settings, agent),
    ...(turn.forgivesChoice === true &&
      !canChoose(turn.settings.toolChoice, tools) && { tool_choice: 'auto' }),
    lifetimeS: settings.runExpiresAfterS,
    origin: {
      backend_id: agent?.metadata['backend_id'] ?? null,
      server_tools: serverTools,
      ...resourcesOfRun(tools, agent?.tool_resources, threads),
      passed_on: turn.passedOn,
      context: turn.context,
      sealed: turn.sealed,
      ephemeral: turn.thread === null,
      offered_until_picture: [PHOTO_TOOL],
      ...(turn.toolsOptional && { tools_optional: true }),
      turn_key: turn.turnKey,
      ...(turn.waitMs !== undefined && { wait_ms: turn.waitMs }),
    },
  };
}

/** @throws {ApiError} 400 for what is too large to be written with each step of the run. */
function checkRepeated(instructions: string, { passedOn, context, sealed }: ChatTurn): void {
  const bytes = textBytes(instructions);
  if (bytes > MAX_INSTRUCTIONS_BYTES) {
    const text = `Invalid 'messages': instructions too large. System messages and the assistant's instructions may have ${MAX_INSTRUCTIONS_BYTES} bytes together, but these have ${bytes}. Documents belong into user messages.`;
    throw new ApiError(400, text, { param: 'messages', code: 'instructions_too_large' });
  }
  // Fields that are no parameters of OpenAI's go to the model server and to tools, and count once.
  const extra = jsonBytes({ ...passedOn, ...context }) + textBytes(sealed ?? '');
  if (extra <= MAX_EXTRAS_BYTES) return;
  const text = `The request is too large: beside its messages and tools it may have ${MAX_EXTRAS_BYTES} bytes, but it has ${extra}. Leave out what this server does not know.`;
  throw new ApiError(400, text, { code: 'request_too_large' });
}

/** Settings that the caller left out come from the assistant, or else from the upstream. */
function settingsOf(given: ChatSettings, agent: Assistant | null) {
  return {
    temperature: given.temperature ?? agent?.temperature ?? 1,
    top_p: given.topP ?? agent?.top_p ?? 1,
    reasoning_effort: given.reasoningEffort ?? agent?.reasoning_effort ?? null,
    response_format: given.responseFormat ?? agent?.response_format ?? 'auto',
    tool_choice: given.toolChoice,
    parallelToolCalls: given.parallelToolCalls,
    max_completion_tokens: given.maxCompletionTokens,
  };
}
