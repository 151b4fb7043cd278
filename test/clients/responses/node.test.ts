/** The official Node client over responses and conversations: its helpers, and every route of conversations. */
import OpenAI from 'openai';
import { zodResponsesFunction, zodTextFormat } from 'openai/helpers/zod';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { WEATHER_TEXT } from '../chat/model.ts';
import { withSharedService } from '../../support/shared-service.ts';
import { respond } from './model.ts';

const Weather = z.object({ city: z.string(), degrees: z.number() });
const City = z.object({ city: z.string() });
const weather = zodResponsesFunction({ name: 'weather', parameters: City });

const { upstream, service } = withSharedService({ UPSTREAM_RETRIES: '0' });

let client: OpenAI;
beforeAll(() => {
  client = new OpenAI({ baseURL: service.baseUrl, apiKey: 'any', maxRetries: 0 });
});
beforeEach(() => {
  upstream.reply(respond);
});

describe('responses', () => {
  /** Shows R-CREATE-04. */
  test('are parsed by a schema, whole and streamed', async () => {
    const asked = { model: 'm', input: 'json', text: { format: zodTextFormat(Weather, 'weather') } };
    const whole = await client.responses.parse(asked);
    expect(whole.output_parsed).toEqual({ city: 'Taipei', degrees: 31 });
    expect(whole.text?.format).toMatchObject({ type: 'json_schema', name: 'weather', strict: true });
    const streamed = await client.responses.stream(asked).finalResponse();
    expect(streamed.output_parsed).toEqual({ city: 'Taipei', degrees: 31 });
    expect(upstream.requests.at(-1)?.body['response_format']).toMatchObject({
      type: 'json_schema',
      json_schema: { name: 'weather', strict: true },
    });
  });

  /** Shows R-TOOL-01. */
  test('call strict functions, whose arguments are parsed, and go on with their outputs', async () => {
    const asked = { model: 'm', input: 'weather?', tools: [weather] };
    const whole = await client.responses.parse(asked);
    const calls = whole.output.filter((item) => item.type === 'function_call');
    expect(calls.map((call): unknown => call.parsed_arguments)).toEqual([
      { city: 'Taipei' },
      { city: '台南' },
    ]);
    const { output } = await client.responses.stream(asked).finalResponse();
    expect(output.map((item) => item.type)).toEqual(['function_call', 'function_call']);
    const outputs = calls.map((call) => ({
      type: 'function_call_output' as const,
      call_id: call.call_id,
      output: `sunny in ${City.parse(call.parsed_arguments).city}`,
    }));
    const answered = await client.responses.create({
      model: 'm',
      // Outputs may come in any order.
      input: outputs.toReversed(),
      previous_response_id: whole.id,
      tools: [weather],
    });
    expect(answered.output_text).toBe(WEATHER_TEXT);
  });

  /** Shows R-TOOL-02. */
  test('call custom tools with text, and go on with their outputs', async () => {
    const tools = [{ type: 'custom' as const, name: 'weather', description: 'The weather.' }];
    const asked = await client.responses.stream({ model: 'm', input: 'custom', tools }).finalResponse();
    const [call] = asked.output;
    expect(call).toMatchObject({ type: 'custom_tool_call', name: 'weather', input: 'in Taipei' });
    const call_id = call?.type === 'custom_tool_call' ? call.call_id : '';
    const output = { type: 'custom_tool_call_output' as const, call_id, output: 'sunny' };
    const answered = await client.responses.create({
      model: 'm',
      input: [output],
      previous_response_id: asked.id,
      tools,
    });
    expect(answered.output_text).toBe('It is sunny.');
  });

  /** Shows R-TOOL-03. */
  test('call functions of a namespace by their names', async () => {
    const inner = { type: 'function' as const, name: 'weather', parameters: null, strict: false };
    const namespace = {
      type: 'namespace' as const,
      name: 'cities',
      description: 'Of cities.',
      tools: [inner],
    };
    const asked = await client.responses.create({ model: 'm', input: 'weather?', tools: [namespace] });
    expect(asked.output).toMatchObject([
      { type: 'function_call', name: 'weather', namespace: 'cities' },
      { type: 'function_call', name: 'weather', namespace: 'cities' },
    ]);
    expect(asked.tools).toMatchObject([{ type: 'namespace', name: 'cities' }]);
  });

  /** Shows R-STREAM-06. */
  test('are streamed again by their id, whole and from a number on', async () => {
    const { id } = await client.responses.create({ model: 'm', input: 'hello', background: true });
    const final = await client.responses.stream({ response_id: id }).finalResponse();
    expect(final.output_text).toBe('You said: hello');
    const every = await Array.fromAsync(await client.responses.retrieve(id, { stream: true }));
    const rest = client.responses.stream({ response_id: id, starting_after: 4 });
    const numbers = (await Array.fromAsync(rest)).map((event) => event.sequence_number);
    expect(numbers).toEqual(every.slice(5).map((event) => event.sequence_number));
  });

  test('are counted before they are asked for', async () => {
    const { input_tokens: few } = await client.responses.inputTokens.count({ model: 'm', input: 'hello' });
    const { input_tokens: many } = await client.responses.inputTokens.count({
      model: 'm',
      input: 'hello '.repeat(100),
    });
    expect(few).toBeGreaterThan(0);
    expect(many).toBeGreaterThan(few);
  });
});

/** Shows R-CONV-01, R-CONV-02. */
test('a conversation is created, changed, filled, listed, emptied and deleted', async () => {
  const { conversations } = client;
  const { id } = await conversations.create({ metadata: { topic: 'tea' } });
  expect(await conversations.update(id, { metadata: { topic: 'milk' } })).toMatchObject({
    id,
    metadata: { topic: 'milk' },
  });
  const items = Array.from({ length: 20 }, (_, at) => ({ role: 'user' as const, content: `item ${at}` }));
  const added = await conversations.items.create(id, { items });
  expect(added.data).toHaveLength(20);
  await client.responses.create({ model: 'm', input: 'hello', conversation: { id } });
  const every = await Array.fromAsync(conversations.items.list(id, { order: 'asc', limit: 7 }));
  expect(every).toHaveLength(22);
  const newest = await conversations.items.list(id);
  expect(newest.data).toHaveLength(20);
  expect(newest.data[0]).toEqual(every.at(-1));
  const item = await conversations.items.retrieve(added.data[0]?.id ?? '', { conversation_id: id });
  expect(item).toEqual(added.data[0]);
  const left = await conversations.items.delete(item.id ?? '', { conversation_id: id });
  expect(left).toEqual(await conversations.retrieve(id));
  const gone = conversations.items.retrieve(item.id ?? '', { conversation_id: id });
  await expect(gone).rejects.toMatchObject({ status: 404 });
  expect(await conversations.delete(id)).toEqual({ id, object: 'conversation.deleted', deleted: true });
  await expect(conversations.retrieve(id)).rejects.toMatchObject({ status: 404 });
});
