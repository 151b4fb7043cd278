/** Who answers a chat turn: an assistant, by id or by its spoken name, or just a model. */
import { ApiError, notFound, unknownAgent } from '../errors.ts';
import { PLAIN_ORIGIN, type RunOrigin } from '../runs/event.ts';
import { queuedRun } from '../runs/parts.ts';
import type { Assistant, Run } from '../runs/thread.ts';
import { jsonBytes, textBytes } from './budgets.ts';
import type { Call } from '../api/http/endpoint.ts';
import { checkToolChoice } from '../api/assistants/new-run.ts';
import { withPlugins } from './run-tools.ts';
import type { Services } from './means.ts';
import { PHOTO_TOOL } from './photo.ts';
import type { ChatSettings, ChatTurn } from './turn.ts';

/** Written again with each step of a run, and part of every prompt; four times what the default context holds. */
const MAX_INSTRUCTIONS_BYTES = 2 * 1024 * 1024;
/** Further parameters, variables and secrets; written again as well. Predicted outputs are the largest known. */
const MAX_EXTRAS_BYTES = 512 * 1024;

/** Stands on runs of plain models, where the wire wants an assistant. */
const NO_ASSISTANT = 'asst_none';

/**
 * The assistant a turn asks for; null when it names a model.
 * @throws {ApiError} 404 for an assistant id that is nobody's.
 */
export async function findAgent(
  { objects }: Services,
  project: string,
  name: string,
): Promise<Assistant | null> {
  if (name.startsWith('asst_')) {
    const assistant = await objects.getAssistant(project, name);
    if (assistant === null) throw notFound('assistant', name);
    return assistant;
  }
  return objects.findAssistant(project, name);
}

/**
 * As {@link findAgent}. A name that a device said must be somebody's: the model server could only say that it does not know
 * a model of that name.
 * @throws {ApiError} 404 also for such a name that is no assistant's, alias or model.
 */
export async function findAgentOf(
  services: Services,
  project: string,
  { agent: name, isSpoken }: Pick<ChatTurn, 'agent' | 'isSpoken'>,
): Promise<Assistant | null> {
  const { knowsModel } = services;
  const assistant = await findAgent(services, project, name);
  if (assistant !== null || !isSpoken) return assistant;
  if ((await knowsModel(name)) || (await knowsModel(`<${name}>`))) return null;
  throw unknownAgent(name);
}

/** What a run is to be called, and where it is. */
export interface RunIds {
  readonly runId: string;
  readonly threadId: string;
}

/** The run that a turn is, not yet stored. */
export function chatRun(
  { now, settings, plugins }: Services,
  call: Call,
  turn: ChatTurn,
  agent: Assistant | null,
  { runId, threadId }: RunIds,
): { run: Run; origin: RunOrigin } {
  const at = now();
  const declared = turn.tools.map((tool) => tool.function.name);
  // A tool the caller declares is the caller's, also when the server has one of that name.
  const { tools: known } = withPlugins(agent?.tools ?? [], agent?.metadata['auto_tools'] ?? null, plugins);
  const own = known.filter((tool) => !declared.includes(tool.function.name));
  const system = turn.messages.flatMap((message) => (message.role === 'system' ? [message.content] : []));
  const instructions = [agent?.instructions ?? '', ...system].filter((text) => text !== '').join('\n');
  checkRepeated(instructions, turn);
  const tools = [...turn.tools, ...own];
  checkToolChoice(turn.settings.toolChoice, tools);
  const run = queuedRun({
    id: runId,
    created_at: at,
    assistant_id: agent?.id ?? NO_ASSISTANT,
    thread_id: threadId,
    expires_at: at + settings.runExpiresAfterS,
    model: agent?.model ?? turn.agent,
    instructions,
    tools,
    metadata: {},
    max_prompt_tokens: null,
    truncation_strategy: { type: 'auto', last_messages: null },
    ...settingsOf(turn.settings, agent),
    parallel_tool_calls: turn.settings.parallelToolCalls ?? settings.parallelToolCalls,
  });
  const origin: RunOrigin = {
    ...PLAIN_ORIGIN,
    project: call.project,
    request_id: call.requestId,
    backend_id: agent?.metadata['backend_id'] ?? null,
    server_tools: own.map((tool) => tool.function.name).filter((name) => plugins.answers(name)),
    passed_on: turn.passedOn,
    context: turn.context,
    sealed: turn.sealed,
    ephemeral: turn.thread === null,
    offered_until_picture: [PHOTO_TOOL],
    turn_key: turn.turnKey,
  };
  return { run, origin };
}

/** @throws {ApiError} 400 for what is too large to be written with each step of the run. */
function checkRepeated(instructions: string, { passedOn, context, sealed }: ChatTurn): void {
  const bytes = textBytes(instructions);
  if (bytes > MAX_INSTRUCTIONS_BYTES) {
    const text = `Invalid 'messages': instructions too large. System messages and the assistant's instructions may have ${MAX_INSTRUCTIONS_BYTES} bytes together, but these have ${bytes}. Documents belong into user messages.`;
    throw new ApiError(400, text, { param: 'messages', code: 'instructions_too_large' });
  }
  const extra = jsonBytes(passedOn) + jsonBytes(context) + textBytes(sealed ?? '');
  if (extra <= MAX_EXTRAS_BYTES) return;
  const text = `The request is too large: beside its messages and tools it may have ${MAX_EXTRAS_BYTES} bytes, but it has ${extra}. Leave out what this server does not know.`;
  throw new ApiError(400, text, { code: 'request_too_large' });
}

/** What the caller did not say, the assistant decides, and else the upstream. */
function settingsOf(given: ChatSettings, agent: Assistant | null) {
  return {
    temperature: given.temperature ?? agent?.temperature ?? 1,
    top_p: given.topP ?? agent?.top_p ?? 1,
    reasoning_effort: given.reasoningEffort ?? agent?.reasoning_effort ?? null,
    response_format: given.responseFormat ?? agent?.response_format ?? 'auto',
    tool_choice: given.toolChoice,
    max_completion_tokens: given.maxCompletionTokens,
  };
}
