/** The model that the clients of this folder meet: that of the chat clients, which also thinks aloud and hands over. */
import { calls, finish, says, text, type Script, type UpstreamRequest } from '../../support/upstream.ts';
import { answer } from '../chat/model.ts';

/** The settings of the service for clients that hand over sealed items, and MCP servers of the tests. */
export const SEALED = {
  UPSTREAM_RETRIES: '0',
  SECRET: 'the secret of these tests',
  ALLOW_HOSTS: '127.0.0.1',
} as const;

/** The call by which an agent of OpenAI's Agents SDK hands over to the one that is called Specialist. */
const TRANSFER = 'transfer_to_specialist';
/** A call of a custom tool, whose text comes in two pieces. */
const CUSTOM_CALL: Script = [
  custom({ id: 'call_custom', type: 'custom', custom: { name: 'weather', input: 'in ' } }),
  custom({ custom: { input: 'Taipei' } }),
  finish('tool_calls'),
];
const THOUGHT = { type: 'chunk', delta: { reasoning_content: 'Let me see.' }, finish: null } as const;

export function respond(request: UpstreamRequest): Script | undefined {
  if (request.text === 'think') return [THOUGHT, text('I have thought.'), finish('stop')];
  if (request.text === 'custom' && request.outputs.length === 0) return CUSTOM_CALL;
  if (request.text === 'custom') return says('It is ', request.outputs.join(), '.');
  if (request.text === 'remove the tea' && request.outputs.length === 0)
    return calls([{ name: 'remove', arguments: { q: 'tea' } }]);
  if (request.text === 'remove the tea') return says(request.outputs.join());
  const canTransfer = JSON.stringify(request.body.tools ?? [])
    .toLowerCase()
    .includes(TRANSFER);
  if (request.text === 'hand over' && canTransfer) return calls([{ name: nameOf(request), arguments: {} }]);
  return answer(request);
}

/** Each language spells it in its own way. */
function nameOf({ body }: UpstreamRequest): string {
  const [name = TRANSFER] = new RegExp(TRANSFER, 'i').exec(JSON.stringify(body.tools)) ?? [];
  return name;
}

function custom(call: object): Script[number] {
  return { type: 'chunk', delta: { tool_calls: [{ index: 0, ...call }] }, finish: null };
}
