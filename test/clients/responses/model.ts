/** The model that the clients of this folder meet: that of the chat clients, which also thinks aloud and hands over. */
import { calls, finish, text, type Script, type UpstreamRequest } from '../../support/upstream.ts';
import { answer } from '../chat/model.ts';

/** The call by which an agent of OpenAI's Agents SDK hands over to the one that is called Specialist. */
const TRANSFER = 'transfer_to_specialist';
const THOUGHT = { type: 'chunk', delta: { reasoning_content: 'Let me see.' }, finish: null } as const;

export function respond(request: UpstreamRequest): Script | undefined {
  if (request.text === 'think') return [THOUGHT, text('I have thought.'), finish('stop')];
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
