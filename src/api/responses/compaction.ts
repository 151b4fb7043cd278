/**
 * Compaction: what was said so far becomes one item that stands for all of it. The model writes a summary in a run like any
 * other, and the client keeps that sealed: it says nothing to others, and this server takes it for what it says.
 */
import { ApiError } from '../../errors.ts';
import type { StoredRun } from '../../store/runs.ts';
import type { Call } from '../http/call.ts';
import { json, type Endpoint } from '../http/endpoint.ts';
import type { Services } from '../http/services.ts';
import { agentOf, missing } from './create.ts';
import { itemId, responseId } from './ids.ts';
import { checkedItem } from './input.ts';
import { placeBeside } from './place.ts';
import { resolved } from './references.ts';
import { body, conversationIn, type ResponseBody } from './request.ts';
import { usageOf } from './response.ts';
import { beginSummary, summaryIn } from './summary.ts';
import { whole } from './whole.ts';

export function compactEndpoint(services: Services): Endpoint {
  return {
    method: 'POST',
    path: '/responses/compact',
    handle: async (call) => {
      const given = call.body(body);
      if (given.model == null) throw missing('model');
      const { seal } = services;
      if (seal === null) throw noSecret();
      const stored = await begun(services, call, given);
      const { output, state } = await whole(services, call, stored);
      const summary = summaryIn(output);
      if (summary === '') throw noSummary();
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

async function begun(services: Services, call: Call, given: ResponseBody): Promise<StoredRun> {
  const { previous_response_id: previous = null } = given;
  const conversation = conversationIn(given);
  if (given.input.length === 0 && previous === null && conversation === null) throw missing('input');
  const agent = await agentOf(services, call, given);
  const checked = given.input.map((item, index) => checkedItem(item, `input[${index}]`));
  const place = await placeBeside(services, call, { previous, conversation });
  const items = await resolved(services, call, checked, 'input');
  return beginSummary(services, call, { given, agent, place, items });
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
