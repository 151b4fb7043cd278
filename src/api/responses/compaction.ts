/**
 * Compaction: what was said so far becomes one item that stands for all of it. The model writes a summary in a run like any
 * other, and the client keeps that sealed: it says nothing to others, and this server takes it for what it says.
 */
import { ApiError } from '../../errors.ts';
import type { Assistant } from '../../runs/thread.ts';
import { begin, newRun } from '../../turns/begin.ts';
import type { Call } from '../http/call.ts';
import { json, type Endpoint } from '../http/endpoint.ts';
import type { Services } from '../http/services.ts';
import { agentOf, missing, unsealer } from './create.ts';
import { itemId, responseId } from './ids.ts';
import { checkedItem, toLine } from './input.ts';
import { placeBeside } from './place.ts';
import { resolved } from './references.ts';
import { body, type ResponseBody } from './request.ts';
import { usageOf } from './response.ts';
import { whole } from './responses.ts';
import { runRequest, toolsOf } from './run-request.ts';
import { checkSizes } from './sizes.ts';

const INSTRUCTIONS = `You are compacting a conversation so that it can go on in less space. Write a summary that takes its place: the
model that answers next sees the summary and nothing else of what came before.

Keep what later answers depend on: who the user is and what they want; facts, names, numbers, dates and identifiers exactly as they
were given; what was decided and why; what tools returned, as far as it still matters; what is done and what is still open; and how
the user wants to be answered. Leave out greetings and repetitions. Write in the language of the conversation, as plain statements,
and do not answer or continue it.`;
const ASK = 'Write the summary of the conversation above now.';

export function compactEndpoint(services: Services): Endpoint {
  return {
    method: 'POST',
    path: '/responses/compact',
    handle: async (call) => {
      const given = call.body(body);
      if (given.model == null) throw missing('model');
      const { seal } = services;
      if (seal === null) throw noSecret();
      const stored = await beginSummary(services, call, given);
      const { output, state } = await whole(services, call, stored);
      const summary = output.flatMap(({ content }) => textsIn(content)).join('\n');
      if (summary.trim() === '') throw noSummary();
      const { run } = state ?? stored.state;
      return json({
        id: responseId(run.id),
        object: 'response.compaction',
        created_at: run.created_at,
        output: [
          {
            id: itemId('cmp', run.id, { threadId: run.thread_id }),
            type: 'compaction',
            encrypted_content: seal.closeText(summary, call.project),
          },
        ],
        usage: run.usage && usageOf(run.usage),
      });
    },
  };
}

/** Begins the run that writes the summary. Nothing that is said in it joins what it is about. */
async function beginSummary(services: Services, call: Call, given: ResponseBody) {
  const { conversation, previous_response_id: previous = null, model } = given;
  const named = typeof conversation === 'string' ? conversation : (conversation?.id ?? null);
  if (given.input.length === 0 && previous === null && named === null) throw missing('input');
  const agent = await agentOf(services, call, given);
  const items = given.input.map((item, index) => checkedItem(item, `input[${index}]`));
  const place = await placeBeside(services, call, { previous, conversation: named });
  const making = { now: services.now(), unseal: unsealer(services, call.project) };
  const said = [
    ...(await resolved(services, call, items, 'input')),
    { type: 'message', role: 'user', content: ASK },
  ];
  const line = said.map((item) => toLine(making, call, place.threadId, item));
  checkSizes(services, line, 'input');
  const asked: ResponseBody = {
    ...given,
    instructions: INSTRUCTIONS,
    tools: null,
    tool_choice: null,
    text: null,
    metadata: undefined,
    prompt: null,
    truncation: 'auto',
  };
  const asker = agent && plain(agent);
  const request = runRequest(services, call, asked, {
    agent: asker,
    read: toolsOf(services, asked, asker, []),
    servers: [],
    model: agent?.model ?? model ?? '',
    place,
    inputs: line.length,
    isKept: false,
  });
  return begin(
    services,
    call,
    {
      ...newRun(services, call, place, request),
      thread: null,
      messages: line,
      input: [],
      ...(place.base !== undefined && { base: place.base }),
    },
    {
      // Nothing holds a thread of its own.
      whenBusy: async () => {},
      answer: (stored) => stored,
      comesBack: call.idempotencyKey !== null,
    },
  );
}

/** The assistant as a model: which one, and where it is. */
function plain(agent: Assistant): Assistant {
  const { auto_tools: _, ...metadata } = agent.metadata;
  return { ...agent, instructions: null, tools: [], response_format: 'auto', metadata };
}

function textsIn(content: unknown): readonly string[] {
  const parts: readonly unknown[] = Array.isArray(content) ? content : [];
  return parts.flatMap((part) =>
    typeof part === 'object' &&
    part !== null &&
    'type' in part &&
    part.type === 'output_text' &&
    'text' in part
      ? [String(part.text)]
      : [],
  );
}

function noSecret(): ApiError {
  const text =
    'This server compacts nothing, because its operator has set no SECRET to seal the summary with. Set SECRET for the API and the workers to the same long random text.';
  return new ApiError(400, text, { code: 'unsupported' });
}

function noSummary(): ApiError {
  const text = 'The model wrote no summary. Try again, or ask another model for it.';
  return new ApiError(502, text, { type: 'server_error', code: 'upstream_error' });
}
