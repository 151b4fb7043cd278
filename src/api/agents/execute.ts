/** `/routes/open/{agent}/execute`: an agent at an address of its own, as Huawei's platform publishes agents. */
import { z } from 'zod';
import { ApiError, notFound } from '../../errors.ts';
import { randomText } from '../../runs/ids.ts';
import type { ChatMessage } from '../../runs/model.ts';
import type { Assistant } from '../../runs/thread.ts';
import { findAgent } from '../../turns/agent.ts';
import { converse } from '../../turns/conversation.ts';
import { Lookahead } from '../../turns/lookahead.ts';
import { ServerTiming } from '../../turns/server-timing.ts';
import type { TurnEvent } from '../../turns/turn-events.ts';
import type { ChatTurn } from '../../turns/turn.ts';
import {
  agentError,
  agentEvents,
  agentFailure,
  agentFrame,
  agentFrames,
  agentObject,
  type AgentEvent,
  type AgentIds,
} from './frames.ts';
import type { Call } from '../http/call.ts';
import { json, type Answer, type Endpoint } from '../http/endpoint.ts';
import { sealed } from '../../turns/seal-request.ts';
import type { Services } from '../http/services.ts';

const CONVERSATION_ID_LENGTH = 32;
const MAX_MEMORY_LENGTH = 10_000;
const variables = z
  .record(z.string().max(128), z.union([z.string().max(32_768), z.number(), z.boolean()]))
  .nullish();

const body = z.looseObject({
  query: z.string().min(1),
  memory: z
    .array(
      z.looseObject({
        role: z.enum(['user', 'assistant', 'tool']),
        content: z.string().nullish(),
        tool_calls: z
          .array(
            z.looseObject({
              id: z.string(),
              function: z.looseObject({ name: z.string(), arguments: z.string() }),
            }),
          )
          .nullish(),
        tool_call_id: z.string().nullish(),
      }),
    )
    .max(MAX_MEMORY_LENGTH)
    .nullish(),
  user_id: z.string().max(128).nullish(),
  conversation_id: z.string().max(128).nullish(),
  variables: z.looseObject({ common_variables: variables, sensitive_variables: variables }).nullish(),
  stream: z.boolean().nullish(),
});

type ExecuteBody = z.infer<typeof body>;

export function agentEndpoints(services: Services): readonly Endpoint[] {
  const execute = async (call: Call): Promise<Answer> => {
    const given = call.body(body);
    const name = call.part('agent');
    const agent = await findAgent(services, call.project, name);
    if (agent === null) throw notFound('assistant', name);
    if (given.stream !== false) services.admission.admitStream(call.gone);
    const ids: AgentIds = {
      request_id: call.requestId,
      agent_id: agent.id,
      user_id: given.user_id || call.caller,
      conversation_id: given.conversation_id || randomText(CONVERSATION_ID_LENGTH),
    };
    const ahead = new Lookahead(
      await converse(
        services,
        call,
        turnOf(services, call, given, agent, ids),
        new ServerTiming(services.figures.firstWord),
      ),
      isHeard,
    );
    // Begun at once, so that a caller that hangs up at `agent_start` is noticed as well.
    await ahead.peek(0);
    const shown = agent.name ?? name;
    if (given.stream === false) return whole(await agentEvents(ahead.read(), ids, shown), ids);
    const frames = agentFrames(ahead.read(), ids, shown);
    return { type: 'events', frames, failure: agentFrame(agentFailure(ids)) };
  };
  return [
    {
      method: 'POST',
      path: '/routes/open/:agent/execute',
      handle: execute,
      refusal: agentError,
      repeatsItself: true,
    },
  ];
}

function whole(events: readonly AgentEvent[], ids: AgentIds): Answer {
  const failed = events.find((event) => event.type === 'error');
  return failed === undefined ? json(agentObject(events, ids)) : json(failed.data, 500);
}

/** These callers hear of tool calls as well. */
const isHeard = (_event: TurnEvent): _event is TurnEvent => true;

function turnOf(
  services: Services,
  call: Call,
  given: ExecuteBody,
  agent: Assistant,
  ids: AgentIds,
): ChatTurn {
  const memory = (given.memory ?? []).map(toMessage);
  const common = textValues(given.variables?.common_variables);
  const messages: ChatMessage[] = [...facts(common), ...memory, { role: 'user', content: given.query }];
  return {
    agent: agent.id,
    isSpoken: false,
    messages,
    tools: [],
    toolsOptional: false,
    settings: {
      toolChoice: 'auto',
      parallelToolCalls: null,
      responseFormat: null,
      temperature: null,
      topP: null,
      reasoningEffort: null,
      maxCompletionTokens: null,
    },
    passedOn: {},
    context: common,
    sealed: sealed(services, call, sensitive(given, agent)),
    caller: given.user_id ? { user: given.user_id, device: null } : null,
    // A memory that the caller sends takes precedence over what we remember.
    thread: memory.length > 0 ? null : JSON.stringify([agent.id, ids.user_id, ids.conversation_id]),
    madeUp: given.user_id ? '' : ids.user_id,
    turnKey: call.header('idempotency-key') ?? call.requestId,
    multitask: 'interrupt',
    onDisconnect: 'cancel',
    answersCalls: false,
    photoCaller: null,
  };
}

/** @throws {ApiError} 400 when the agent declares a variable (metadata `sensitive_variables`) that is not given. */
function sensitive(given: ExecuteBody, agent: Assistant): Readonly<Record<string, string>> {
  const values = textValues(given.variables?.sensitive_variables);
  const declared = (agent.metadata['sensitive_variables'] ?? '').split(',').map((name) => name.trim());
  for (const name of declared) {
    if (name === '' || Object.hasOwn(values, name)) continue;
    const param = `variables.sensitive_variables.${name}`;
    throw new ApiError(400, `Missing required parameter: '${param}'. This agent declares it.`, { param });
  }
  return values;
}

function facts(common: Readonly<Record<string, string>>): readonly ChatMessage[] {
  const lines = Object.entries(common).map(([name, value]) => `${name}: ${value}`);
  return lines.length === 0 ? [] : [{ role: 'system', content: lines.join('\n') }];
}

function textValues(given: z.infer<typeof variables>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(given ?? {}).map(([name, value]) => [name, String(value)]));
}

function toMessage(given: NonNullable<ExecuteBody['memory']>[number], index: number): ChatMessage {
  const { role, content, tool_calls: calls, tool_call_id: callId } = given;
  if (role === 'tool' && callId) return { role, tool_call_id: callId, content: content ?? '' };
  if (role === 'assistant' && calls && calls.length > 0) {
    const tool_calls = calls.map(({ id, function: { name, arguments: text } }) => ({
      id,
      type: 'function' as const,
      function: { name, arguments: text },
    }));
    return { role, content: content || null, tool_calls };
  }
  const param = `memory[${index}].${role === 'tool' ? 'tool_call_id' : 'content'}`;
  if (role === 'tool' || !content)
    throw new ApiError(400, `Missing required parameter: '${param}'.`, { param });
  return { role, content };
}
