/**
 * The frames of the agent platform (Huawei's "execute an agent"): typed events, each with the ids of the request. The
 * type names are ours, because every public copy of that document lacks them: `agent_start`, `tool_start`, `tool_end`,
 * `message`, `error`, `end`.
 */
import type { ApiError } from '../../errors.ts';
import type { Passing } from '../../store/passing.ts';
import { encoded, type Encoder, type Texts } from '../http/encode.ts';
import type { RefusalOfPaths } from '../http/endpoint.ts';
import { calledFunction } from '../../runs/calls/kinds.ts';
import { extentOf, MAX_JSON_DEPTH } from '../../runs/json-extent.ts';
import type { TurnEvent } from '../../turns/turn-events.ts';

/** The ids that every event carries. */
export interface AgentIds {
  readonly request_id: string;
  readonly agent_id: string;
  readonly user_id: string;
  readonly conversation_id: string;
}

export interface AgentEvent extends AgentIds {
  readonly type: 'agent_start' | 'tool_start' | 'tool_end' | 'message' | 'error' | 'end';
  readonly data: Readonly<Record<string, unknown>>;
}

/** Makes the platform's events of what a run says, in order, after {@link begin}. */
class AgentAnswer {
  /** The run has ended or failed: no event follows. */
  isOver = false;
  readonly #ids: AgentIds;
  readonly #messageId: string;
  #text = '';

  constructor(ids: AgentIds) {
    this.#ids = ids;
    this.#messageId = `msg_${ids.request_id.slice('req_'.length)}`;
  }

  /** The first event of an answer. */
  begin(name: string): AgentEvent {
    return this.#event('agent_start', { id: this.#ids.agent_id, name, type: 'agent' });
  }

  tell(said: TurnEvent): readonly AgentEvent[] {
    const id = this.#messageId;
    switch (said.type) {
      case 'text': {
        const raw = { choices: [{ index: 0, delta: { role: 'assistant', content: said.text } }] };
        this.#text += said.text;
        return [this.#event('message', { id, content: said.text, url: {}, raw })];
      }
      case 'tool.start':
        return [this.#event('tool_start', { id: said.id, name: said.name, type: 'tool' })];
      case 'tool.end': {
        const response = parsed(said.output);
        const status = isFailure(response) ? 'failed' : 'success';
        const request = parsed(said.arguments);
        return [this.#event('tool_end', { id: said.id, name: said.name, status, request, response })];
      }
      case 'calls': {
        const names = said.calls.map((call) => calledFunction(call).name).join(', ');
        return this.#fail(
          `The agent wants to call ${names}, which this server cannot run. Make it a plugin of the server, or remove it from the agent.`,
        );
      }
      case 'end': {
        this.isOver = true;
        // Links come in fragments, so they are complete only now.
        const url = linksIn(this.#text);
        const links = url === null ? [] : [this.#event('message', { id, content: '', url, raw: {} })];
        return [...links, this.#event('end', { id, finish_reason: said.reason, usage: said.usage })];
      }
      case 'thought':
      case 'thought.dropped':
        // That platform has no event for thoughts.
        return [];
      case 'dropped':
      case 'failed':
        return this.#fail(said.error.message);
    }
  }

  #fail(message: string): readonly AgentEvent[] {
    this.isOver = true;
    return [this.#event('error', { error_code: CODES[502], error_msg: message })];
  }

  #event(type: AgentEvent['type'], data: AgentEvent['data']): AgentEvent {
    return { ...this.#ids, type, data };
  }
}

/** The answer as frames. */
export function agentFrames(batches: Passing<readonly TurnEvent[]>, ids: AgentIds, name: string): Texts {
  const answer = new AgentAnswer(ids);
  const encoder: Encoder<TurnEvent> = {
    encode: (said) => answer.tell(said).map(agentFrame).join(''),
    get isOver() {
      return answer.isOver;
    },
  };
  return encoded(batches, encoder, agentFrame(answer.begin(name)));
}

/** The answer's events, all of them. */
export async function agentEvents(
  batches: AsyncIterable<readonly TurnEvent[]>,
  ids: AgentIds,
  name: string,
): Promise<readonly AgentEvent[]> {
  const answer = new AgentAnswer(ids);
  const events = [answer.begin(name)];
  for await (const batch of batches) {
    for (const said of batch) if (!answer.isOver) events.push(...answer.tell(said));
    if (answer.isOver) break;
  }
  return events;
}

export const agentFrame = (event: AgentEvent): string => `data: ${JSON.stringify(event)}\n\n`;

/** One object for callers that do not stream: the whole message, and the events that led to it. */
export function agentObject(events: readonly AgentEvent[], ids: AgentIds): unknown {
  const content = events
    .filter((event) => event.type === 'message')
    .map((event) => String(event.data['content']))
    .join('');
  const last = events.findLast((event) => event.type === 'message')?.data;
  const data = { id: last?.['id'] ?? '', content, url: last?.['url'] ?? {} };
  return { ...ids, type: 'message', data, events };
}

/** The end of a stream that a fault of ours breaks off. */
export function agentFailure(ids: AgentIds): AgentEvent {
  return { ...ids, type: 'error', data: { error_code: CODES[502], error_msg: BROKEN_OFF } };
}

const BROKEN_OFF = 'The answer broke off. Ask again.';

const LINK = /https?:\/\/[^\s()<>"']{1,2000}\.(?:(png|jpe?g|gif|webp)|mp4|mov|webm)\b(?:\?[^\s()<>"']*)?/gi;

/** The pictures and videos that an answer links to; null when there are none. */
function linksIn(text: string): Readonly<Record<string, readonly string[]>> | null {
  const links = [...text.matchAll(LINK)];
  const images = links.filter(([, picture]) => picture !== undefined).map(([url]) => url);
  const videos = links.filter(([, picture]) => picture === undefined).map(([url]) => url);
  return links.length === 0 ? null : { images, videos };
}

/** That platform's codes: the product, then status and number, by status. */
const CODES = {
  400: 'AIAE.40001001',
  401: 'AIAE.40101001',
  404: 'AIAE.40401001',
  502: 'AIAE.50201001',
} as const;

/** Refusals under an agent's path have that platform's shape, even before any endpoint is reached. */
export const agentRefusals: RefusalOfPaths = {
  owns: (path) => /\/routes\/open\/[^/]+\/execute$/.test(path),
  refusal: agentError,
};

/** A refusal in that platform's shape, which has no field for the wrong parameter. */
export function agentError({ status, message, param }: ApiError): { status: number; body: unknown } {
  const known = status === 401 || status === 404 ? status : 400;
  const where = param === null || message.includes(param) ? '' : ` (${param})`;
  const error_msg = message + where;
  // It has no code for an overloaded server; its clients read the status first.
  if (status === 429) return { status, body: { error_code: CODES[502], error_msg } };
  return status >= 500
    ? { status: 500, body: { error_code: CODES[502], error_msg } }
    : { status: known, body: { error_code: CODES[known], error_msg } };
}

/** The value of JSON text, if it can be written again; otherwise the text itself. */
function parsed(text: string): unknown {
  try {
    return extentOf(text).depth > MAX_JSON_DEPTH ? { text } : JSON.parse(text);
  } catch {
    return { text };
  }
}

function isFailure(response: unknown): boolean {
  return typeof response === 'object' && response !== null && 'error' in response;
}
