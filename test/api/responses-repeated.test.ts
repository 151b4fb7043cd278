/** A request for a response that is sent again with its `Idempotency-Key` gets the response that the first sending made. */
import OpenAI from 'openai';
import { beforeEach, expect, test } from 'vitest';
import { withService } from '../support/with-service.ts';

const { service } = withService({ env: { CONTEXT_TOKENS: '2000000' } });

let client: OpenAI;

beforeEach(() => {
  client = new OpenAI({ baseURL: service.baseUrl, apiKey: 'none', maxRetries: 0 });
});

/** How often two go on from one response: in most rounds both find it the last of its thread. */
const ROUNDS = 5;

const under = (key: string): OpenAI.RequestOptions => ({ headers: { 'idempotency-key': key } });

test('of the background, once it has ended: with what it says', async () => {
  // Below the limit of each part of a request, and together more than is kept of an answer for its repetitions.
  const parameters = { description: 'x'.repeat(120_000) };
  const tools = ['a', 'b', 'c', 'd'].map((name) => ({
    type: 'function' as const,
    name,
    parameters,
    strict: false,
  }));
  const instructions = '好'.repeat(200_000);
  const body = { model: 'm', input: 'hello', background: true, tools, instructions };
  const ask = async () => client.responses.create(body, under('of the background'));
  const { id, status } = await ask();
  expect(status).toBe('queued');
  await client.responses.stream({ response_id: id }).finalResponse();
  const again = await ask();
  expect(again).toEqual(await client.responses.retrieve(id));
  expect(again).toMatchObject({ status: 'completed', output_text: 'You said: hello' });
});

/** Goes on from a response; the id of what that makes. */
async function fork(previous_response_id: string, input: string): Promise<string> {
  const body = { model: 'm', input, previous_response_id, stream: true } as const;
  const ids = new Set<string>();
  for await (const event of await client.responses.create(body, under(`${input} ${previous_response_id}`)))
    if ('response' in event) ids.add(event.response.id);
  return [...ids].join();
}

test('where two go on from one at the same moment: each its own', async () => {
  for (let round = 0; round < ROUNDS; round += 1) {
    const { id } = await client.responses.create({ model: 'm', input: 'one' });
    const both = async () => Promise.all([fork(id, 'left'), fork(id, 'right')]);
    const first = await both();
    expect(first[0]).not.toBe(first[1]);
    expect(await both()).toEqual(first);
  }
});
