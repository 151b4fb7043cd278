/** `context_management`: a conversation is compacted before it has more tokens than a request allows. */
import OpenAI from 'openai';
import { beforeEach, describe, expect, test } from 'vitest';
import { gate, refuses, says } from '../support/upstream.ts';
import { withSharedService } from '../support/shared-service.ts';

const { upstream, service } = withSharedService({ SECRET: 'the secret of these tests' });

let client: OpenAI;

beforeEach(() => {
  client = new OpenAI({ baseURL: service.baseUrl, apiKey: 'none', maxRetries: 0 });
});

const LONG = 'tea '.repeat(400);
const context_management = [{ type: 'compaction', compact_threshold: 300 }];
const types = ({ output }: OpenAI.Responses.Response) => output.map(({ type }) => type);

/** The model sums up where it is asked to, and otherwise says what it was told. */
function sumsUp(): void {
  upstream.reply(({ body, text }) =>
    text.startsWith('Write the summary')
      ? says('They talked about tea.')
      : says(body.messages.map(({ content }) => JSON.stringify(content).slice(0, 80)).join('|')),
  );
}

describe('a chain', () => {
  test('goes on from a summary once it is long, which later responses go on from as well', async () => {
    sumsUp();
    const first = await client.responses.create({ model: 'm', input: LONG, context_management });
    expect(types(first)).toEqual(['message']);
    const previous_response_id = first.id;
    const stream = client.responses.stream({
      model: 'm',
      input: 'and now?',
      previous_response_id,
      context_management,
    });
    const added: unknown[] = [];
    for await (const event of stream)
      if (event.type === 'response.output_item.added') added.push([event.output_index, event.item.type]);
    const second = await stream.finalResponse();
    expect(added).toEqual([
      [0, 'compaction'],
      [1, 'message'],
    ]);
    expect(second.output_text).toBe(
      '"Summary of the conversation so far:\\nThey talked about tea."|"and now?"',
    );
    expect(await client.responses.retrieve(second.id)).toMatchObject({
      output: [{ type: 'compaction', id: second.output[0]?.id }, { type: 'message' }],
    });
    const third = await client.responses.create({
      model: 'm',
      input: 'thanks',
      previous_response_id: second.id,
      context_management,
    });
    expect(types(third)).toEqual(['message']);
    expect(third.output_text).toMatch(/^"Summary of .*thanks"$/);
    const inputs = await client.responses.inputItems.list(second.id);
    expect(inputs.data).toHaveLength(1);
  });

  test('that cannot be summed up goes on as it is', async () => {
    upstream.reply(({ text }) =>
      text.startsWith('Write the summary') ? refuses(400, 'no summaries') : says('fine'),
    );
    const { id } = await client.responses.create({ model: 'm', input: LONG });
    const next = await client.responses.create({
      model: 'm',
      input: 'and now?',
      previous_response_id: id,
      context_management,
    });
    expect(next).toMatchObject({ status: 'completed', output_text: 'fine' });
    expect(types(next)).toEqual(['message']);
  });
});

test('a conversation keeps its summary as an item', async () => {
  sumsUp();
  const { id: conversation } = await client.conversations.create({
    items: [{ type: 'message', role: 'user', content: LONG }],
  });
  const response = await client.responses.create({
    model: 'm',
    input: 'and now?',
    conversation,
    context_management,
  });
  expect(types(response)).toEqual(['compaction', 'message']);
  const items = await client.conversations.items.list(conversation, { order: 'asc' });
  expect(items.data.map(({ type }) => type)).toEqual(['message', 'compaction', 'message', 'message']);
  expect(items.data[1]?.id).toBe(response.output[0]?.id);
});

test('what joins a conversation while it is summed up is not lost', async () => {
  const holds = gate();
  const asked: string[] = [];
  upstream.reply(({ body, text }) => {
    asked.push(text);
    if (text.startsWith('Write the summary')) return [holds, ...says('They talked about tea.')];
    return says(JSON.stringify(body.messages));
  });
  const { id: conversation } = await client.conversations.create({
    items: [{ type: 'message', role: 'user', content: LONG }],
  });
  const creating = client.responses.create({
    model: 'm',
    input: 'and now?',
    conversation,
    context_management,
  });
  await holds.reached;
  const items = [{ type: 'message' as const, role: 'user' as const, content: 'MY ACCOUNT IS 4711' }];
  await client.conversations.items.create(conversation, { items });
  holds.open();
  const response = await creating;
  expect(response.output_text).toContain('4711');
  expect(asked.filter((text) => text.startsWith('Write the summary'))).toHaveLength(1);
});

test('a conversation that is busy is not summed up', async () => {
  const holds = gate();
  const asked: string[] = [];
  upstream.reply(({ text }) => {
    asked.push(text);
    return text === 'wait' ? [holds, ...says('x')] : says('x');
  });
  const { id: conversation } = await client.conversations.create({
    items: [{ type: 'message', role: 'user', content: LONG }],
  });
  const { id } = await client.responses.create({ model: 'm', input: 'wait', conversation, background: true });
  await holds.reached;
  const refused = client.responses.create({
    model: 'm',
    input: 'and now?',
    conversation,
    context_management,
  });
  await expect(refused).rejects.toMatchObject({ code: 'conversation_locked' });
  holds.open();
  await client.responses.cancel(id);
  expect(asked).toEqual(['wait']);
});

test('a history that comes with the request is summed up before its last question', async () => {
  sumsUp();
  const response = await client.responses.create({
    model: 'm',
    store: false,
    input: [
      { role: 'user', content: LONG },
      { role: 'assistant', content: 'Yes.' },
      { role: 'user', content: 'and now?' },
    ],
    context_management,
  });
  expect(types(response)).toEqual(['compaction', 'message']);
  expect(response.output_text).toBe(
    '"Summary of the conversation so far:\\nThey talked about tea."|"and now?"',
  );
});

test('other kinds of management are ignored', async () => {
  sumsUp();
  const input = [{ role: 'user' as const, content: LONG }];
  const context = [{ type: 'of_a_newer_client' }, { type: 'compaction' }];
  const response = await client.responses.create({ model: 'm', input, context_management: context });
  expect(types(response)).toEqual(['message']);
});
