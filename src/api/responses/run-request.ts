/** A response as the run that it is: which value wins, the request's, the assistant's or the default. */
import { ApiError } from '../../errors.ts';
import type { RunOrigin } from '../../runs/event.ts';
import type { RemoteTarget } from '../../runs/remote.ts';
import type { Assistant } from '../../runs/thread.ts';
import type { RunRequest } from '../../turns/begin.ts';
import { resourcesOfRun } from '../../turns/resources.ts';
import { sealed } from '../../turns/seal-request.ts';
import type { Caller } from '../../turns/caller.ts';
import type { Services } from '../http/services.ts';
import { MAX_INSTRUCTIONS_LENGTH } from '../http/shapes.ts';
import type { Compacted } from './context-management.ts';
import type { ListedServer } from './mcp.ts';
import type { ResponsePlace } from './place.ts';
import { formatOf, passedOn, shownOf, type ResponseBody } from './request.ts';
import { readTools, type ReadTools } from './tools.ts';

/** The assistant id of runs of plain models, because the wire of the Assistants API demands one. */
const NO_ASSISTANT = 'asst_none';

export interface Circumstances {
  readonly agent: Assistant | null;
  /** What the request names: a model, or an assistant by its id or name. */
  readonly model: string;
  readonly place: ResponsePlace;
  /** How many items its input has. */
  readonly inputs: number;
  readonly isKept: boolean;
  readonly read: ReadTools;
  readonly servers: readonly ListedServer[];
  /** What stands for what was said before. */
  readonly compacted?: Compacted | null;
}

/** @throws {ApiError} 400 for variables that are too long. */
export function runRequest(
  services: Services,
  call: Caller,
  given: ResponseBody,
  circumstances: Circumstances,
): RunRequest {
  const { agent, model, read, servers } = circumstances;
  const metadata = given.metadata ?? {};
  const { tools } = read;
  return {
    assistant_id: agent?.id ?? NO_ASSISTANT,
    model: agent !== null && isNameOf(agent, model) ? agent.model : model,
    instructions: instructionsOf(given, agent),
    tools,
    metadata,
    ...samplingOf(given, agent),
    max_completion_tokens: given.max_output_tokens ?? null,
    max_prompt_tokens: null,
    truncation_strategy: { type: 'auto', last_messages: null },
    tool_choice: read.choice,
    parallelToolCalls: given.parallel_tool_calls ?? null,
    lifetimeS: services.settings.runExpiresAfterS,
    origin: {
      ...originOf(given, circumstances),
      sealed: sealed(services, call, {}, targetsOf(servers)),
      ...resourcesOfRun(tools, read.resources, agent?.tool_resources, circumstances.place.resources),
    },
  };
}

/** The tools of a request, or else of its assistant. @throws {ApiError} 400 for tools that are not there. */
export function toolsOf(
  { plugins }: Pick<Services, 'plugins'>,
  { tools, tool_choice: choice, metadata }: ResponseBody,
  agent: Assistant | null,
  servers: readonly ListedServer[],
): ReadTools {
  return readTools(tools ?? [], choice, {
    auto: metadata?.['auto_tools'] ?? agent?.metadata['auto_tools'] ?? null,
    approve: [metadata?.['approve'], agent?.metadata['approve']],
    ofAgent: tools == null ? (agent?.tools ?? []) : [],
    plugins,
    servers,
  });
}

const targetsOf = (servers: readonly ListedServer[]): Readonly<Record<string, RemoteTarget>> =>
  Object.fromEntries(servers.map(({ label, target }) => [label, target]));

/** Whether the model's name is the assistant's. */
function isNameOf({ id, name }: Assistant, model: string): boolean {
  return model === id || model.toLowerCase() === name?.toLowerCase();
}

function samplingOf(given: ResponseBody, agent: Assistant | null) {
  return {
    temperature: given.temperature ?? agent?.temperature ?? 1,
    top_p: given.top_p ?? agent?.top_p ?? 1,
    reasoning_effort: given.reasoning?.effort ?? agent?.reasoning_effort ?? null,
    response_format: given.text?.format == null ? (agent?.response_format ?? 'auto') : formatOf(given),
  };
}

function originOf(
  given: ResponseBody,
  { agent, place, inputs, isKept, read, compacted = null }: Circumstances,
): Partial<RunOrigin> {
  return {
    backend_id: agent?.metadata['backend_id'] ?? null,
    server_tools: read.serverTools,
    ...(read.approvals.length > 0 && { approvals: read.approvals }),
    ...(read.remotes.length > 0 && { remotes: read.remotes }),
    passed_on: passedOn(given),
    ephemeral: !isKept,
    leaves_calls: true,
    uncut: given.truncation !== 'auto',
    ...(given.max_tool_calls != null && { max_tool_calls: given.max_tool_calls }),
    response: {
      previous: place.previous,
      in_conversation: place.inConversation,
      background: given.background === true,
      inputs,
      shown: { ...shownOf(given), ...read.shown },
      ...(compacted !== null && {
        compaction: {
          id: compacted.item.id,
          encrypted_content: String(compacted.item.item['encrypted_content']),
        },
      }),
    },
  };
}

function variablesTooLong(): ApiError {
  const text = `Invalid 'prompt.variables': the instructions become too long with them. They may have ${MAX_INSTRUCTIONS_LENGTH} characters.`;
  return new ApiError(400, text, { param: 'prompt.variables', code: 'string_above_max_length' });
}

const VARIABLE = /\{\{\s*([\w.-]+)\s*\}\}/g;

/** The assistant's instructions, with the variables of the prompt filled in, and those of the request. */
function instructionsOf({ instructions, prompt }: ResponseBody, agent: Assistant | null): string {
  const variables = prompt?.variables ?? {};
  let length = 0;
  const filled = (agent?.instructions ?? '').replaceAll(VARIABLE, (whole, name: string) => {
    const value = Object.hasOwn(variables, name) ? variables[name] : undefined;
    const text = typeof value === 'string' || typeof value === 'number' ? String(value) : whole;
    length += text.length;
    if (length > MAX_INSTRUCTIONS_LENGTH) throw variablesTooLong();
    return text;
  });
  return [filled, instructions ?? ''].filter((text) => text !== '').join('\n');
}
