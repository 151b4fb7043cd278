/** The routes of responses and conversations. */
import type { Random } from '../chaos/random.ts';
import { get, list, LONG, post, remove, some, type Routes } from './drafts.ts';
import { oneOf, type Known } from './known.ts';
import { deep } from './mutate.ts';

const responseId = (random: Random, known: Known): string =>
  random.chance(0.8) ? (oneOf(random, known.responses) ?? 'resp_none') : known.anyId(random);
const conversationId = (random: Random, known: Known): string =>
  random.chance(0.8) ? (oneOf(random, known.conversations) ?? 'conv_none') : known.anyId(random);

const words = (random: Random): string =>
  random.pick(['hi', '', '图', 'x'.repeat(random.pick([10, LONG])), '\u0000', '{{name}}']);

const part = (random: Random): unknown =>
  random.pick<unknown>([
    { type: 'input_text', text: words(random) },
    { type: 'output_text', text: words(random), annotations: [] },
    { type: 'refusal', refusal: 'no' },
    {
      type: 'input_image',
      image_url: 'data:image/png;base64,AAAA',
      detail: random.pick(['auto', 'high', 7]),
    },
    { type: 'input_image', file_id: 'file-none' },
    { type: 'input_file', file_data: 'AAAA', filename: 'a.pdf' },
    { type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav' } },
    { type: 'nothing' },
    7,
  ]);

const callId = (random: Random): string =>
  random.pick(['call_1', 'call_2', '', '__proto__', 'x'.repeat(300)]);

const item = (random: Random, known: Known): unknown =>
  random.pick<unknown>([
    { role: random.pick(['user', 'assistant', 'system', 'developer', 'tool']), content: words(random) },
    { type: 'message', role: 'user', content: [part(random), part(random)] },
    {
      type: 'function_call',
      call_id: callId(random),
      name: 'look_up',
      arguments: random.pick(['{}', '{', '']),
    },
    {
      type: 'function_call_output',
      call_id: callId(random),
      output: random.pick<unknown>([words(random), [part(random)], null]),
    },
    { type: 'custom_tool_call', call_id: callId(random), name: 'patch', input: words(random) },
    { type: 'custom_tool_call_output', call_id: callId(random), output: words(random) },
    { type: 'reasoning', summary: [], content: [{ type: 'reasoning_text', text: words(random) }] },
    { type: 'reasoning', summary: [], encrypted_content: words(random) },
    { type: 'compaction', encrypted_content: words(random) },
    { type: 'mcp_call', name: words(random), arguments: '{}', output: random.pick([words(random), null]) },
    { type: 'mcp_approval_request', id: 'mcpr_1', server_label: 'longrun', name: 'clock', arguments: '{' },
    {
      type: 'mcp_approval_response',
      approval_request_id: random.pick(['mcpr_1', 'mcpr_a-0_b', known.anyId(random)]),
      approve: random.pick<unknown>([true, false, 'yes']),
    },
    { type: 'item_reference', id: random.pick([known.anyId(random), 'msg_a_b', 'rs_a-0_b', 'fc_a-9999_b']) },
    { type: 'of_a_newer_client', any: deep(random.pick([1, 50])) },
    {},
    null,
  ]);

const items = (random: Random, known: Known): readonly unknown[] =>
  Array.from({ length: random.pick([0, 1, 2, 5, 25]) }, () => item(random, known));

const tool = (random: Random): unknown =>
  random.pick<unknown>([
    {
      type: 'function',
      name: random.pick(['look_up', '', 'x'.repeat(65)]),
      parameters: random.pick([null, {}, []]),
      strict: true,
    },
    { type: 'custom', name: 'patch', format: { type: 'grammar', syntax: 'lark', definition: 'a' } },
    { type: 'namespace', name: 'n', description: '', tools: [{ type: 'function', name: 'inner' }] },
    { type: 'web_search' },
    { type: 'file_search', vector_store_ids: ['vs_none'] },
    { type: 'code_interpreter', container: { type: 'auto' } },
    { type: 'computer_use' },
    { type: 'mcp', server_label: 'a', server_url: 'http://127.0.0.1:1', authorization: 'secret' },
    7,
  ]);

const response = (random: Random, known: Known): object => ({
  model: random.pick(['m', 'asst_none', '', null]),
  input: random.chance(0.6) ? words(random) : items(random, known),
  ...some(random, {
    stream: random.chance(0.5),
    background: random.chance(0.5),
    store: random.chance(0.5),
    instructions: words(random),
    previous_response_id: responseId(random, known),
    conversation: random.pick<unknown>([
      conversationId(random, known),
      { id: conversationId(random, known) },
      7,
    ]),
    tools: [tool(random), tool(random)],
    tool_choice: random.pick<unknown>([
      'auto',
      'required',
      'none',
      { type: 'function', name: 'look_up' },
      { type: 'allowed_tools', mode: 'auto', tools: [{ type: 'function', name: 'look_up' }] },
    ]),
    text: {
      format: random.pick<unknown>([
        { type: 'text' },
        { type: 'json_schema', name: 'a', schema: {} },
        { type: 'json_schema' },
      ]),
    },
    reasoning: { effort: random.pick(['low', '', null]) },
    include: random.pick<unknown>([['reasoning.encrypted_content'], ['nothing'], 'x']),
    metadata: random.pick<unknown>([
      {},
      { multitask: random.pick(['enqueue', 'interrupt', 'steer', 'never']) },
      null,
    ]),
    prompt: { id: known.anyId(random), variables: { name: 'Ada' } },
    max_output_tokens: random.pick([1, 0, 16]),
    client_metadata: { unknown: true },
  }),
});

export const RESPONSE_ROUTES: Routes = {
  'POST /v1/responses': [8, post(() => '/v1/responses', response)],
  'GET /v1/responses/:response_id': [
    4,
    get(
      (random, known) =>
        `/v1/responses/${responseId(random, known)}${random.pick(['', '?stream=true', '?stream=true&starting_after=3', '?starting_after=x'])}`,
    ),
  ],
  'POST /v1/responses/:response_id/cancel': [
    2,
    post(
      (random, known) => `/v1/responses/${responseId(random, known)}/cancel`,
      () => ({}),
    ),
  ],
  'DELETE /v1/responses/:response_id': [
    1,
    remove((random, known) => `/v1/responses/${responseId(random, known)}`),
  ],
  'GET /v1/responses/:response_id/input_items': [
    2,
    get((random, known) => `/v1/responses/${responseId(random, known)}/input_items${list(random, known)}`),
  ],
  'POST /v1/responses/input_tokens': [1, post(() => '/v1/responses/input_tokens', response)],
  'POST /v1/responses/compact': [1, post(() => '/v1/responses/compact', response)],
  'GET /v1/responses': [1, get(() => '/v1/responses')],
  'POST /v1/conversations': [
    3,
    post(
      () => '/v1/conversations',
      (random, known) => some(random, { items: items(random, known), metadata: { a: 'b' } }),
    ),
  ],
  'GET /v1/conversations/:conversation_id': [
    1,
    get((random, known) => `/v1/conversations/${conversationId(random, known)}`),
  ],
  'POST /v1/conversations/:conversation_id': [
    1,
    post(
      (random, known) => `/v1/conversations/${conversationId(random, known)}`,
      () => ({ metadata: { c: 'd' } }),
    ),
  ],
  'DELETE /v1/conversations/:conversation_id': [
    1,
    remove((random, known) => `/v1/conversations/${conversationId(random, known)}`),
  ],
  'POST /v1/conversations/:conversation_id/items': [
    3,
    post(
      (random, known) => `/v1/conversations/${conversationId(random, known)}/items`,
      (random, known) => ({ items: items(random, known) }),
    ),
  ],
  'GET /v1/conversations/:conversation_id/items': [
    3,
    get((random, known) => `/v1/conversations/${conversationId(random, known)}/items${list(random, known)}`),
  ],
  'GET /v1/conversations/:conversation_id/items/:item_id': [
    2,
    get((random, known) => `/v1/conversations/${conversationId(random, known)}/items/${known.anyId(random)}`),
  ],
  'DELETE /v1/conversations/:conversation_id/items/:item_id': [
    1,
    remove(
      (random, known) => `/v1/conversations/${conversationId(random, known)}/items/${known.anyId(random)}`,
    ),
  ],
};
