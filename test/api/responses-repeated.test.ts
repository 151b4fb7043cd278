/** A request for a response that is sent again with its `Idempotency-Key` gets the response that the first sending made. */
import OpenAI from 'openai';
import { beforeEach, expect, test } from 'vitest';
import { withService } from '../support/with-service.ts';

const { service } = withService({ env: { CONTEXT_TOKENS: '2000000' } });

let client: OpenAI;

beforeEach(() => {
  client = new OpenAI({ baseURL: service.baseUrl, apiKey: 'none', maxRetries: 0 });
});

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

test('where two go on from one at the same moment: each its own', async () => {
  for (let round = 0; round < 5; round += 1) {
    const { id: previous } = await client.responses.create({ model: 'm', input: 'one' });
    const fork = async (name: string): Promise<string> => {
      const body = { model: 'm', input: name, previous_response_id: previous, stream: true } as const;
      const ids = new Set<string>();
      for await (const event of await client.responses.create(body, under(`${name} ${round}`)))
        if ('response' in event) ids.add(event.response.id);
      return [...ids].join();
    };
    const first = await Promise.all([fork('left'), fork('right')]);
    expect(first[0]).not.toBe(first[1]);
    expect(await Promise.all([fork('left'), fork('right')])).toEqual(first);
  }
});
