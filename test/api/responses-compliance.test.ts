/**
 * What the suite of Open Responses checks, with schemas as strict as its own: every key of every object, over HTTP and
 * WebSockets. `test/api/responses-socket.test.ts` says more of the connections themselves.
 */
import { describe, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { calls, says } from '../support/upstream.ts';
import { SocketClient } from '../support/web-socket.ts';
import { withSharedService } from '../support/shared-service.ts';

const { upstream, service, wire } = withSharedService({ SECRET: 'the secret of these tests' });

const count = z.int().nonnegative();
const usage = z.strictObject({
  input_tokens: count,
  input_tokens_details: z.strictObject({ cached_tokens: count, cache_write_tokens: count }),
  output_tokens: count,
  output_tokens_details: z.strictObject({ reasoning_tokens: count }),
  total_tokens: count,
});
const status = z.enum(['in_progress', 'completed', 'incomplete']);
const outputText = z.strictObject({
  type: z.literal('output_text'),
  text: z.string(),
  annotations: z.tuple([]),
  logprobs: z.tuple([]),
});
const message = z.strictObject({
  type: z.literal('message'),
  id: z.string().startsWith('msg_'),
  role: z.literal('assistant'),
  status,
  content: z.array(outputText),
});
const call = z.strictObject({
  type: z.literal('function_call'),
  id: z.string().startsWith('fc_'),
  call_id: z.string().min(1),
  name: z.string(),
  arguments: z.string(),
  status,
});
const item = z.discriminatedUnion('type', [message, call]);
const functionTool = z.strictObject({
  type: z.literal('function'),
  name: z.string(),
  description: z.string().nullable(),
  parameters: z.looseObject({}).nullable(),
  strict: z.boolean().nullable(),
});
const responseSchema = z.strictObject({
  id: z.string().startsWith('resp_'),
  object: z.literal('response'),
  created_at: count,
  completed_at: count.nullable(),
  status: z.enum(['queued', 'in_progress', 'completed', 'incomplete', 'failed', 'cancelled']),
  incomplete_details: z.strictObject({ reason: z.string() }).nullable(),
  error: z.strictObject({ code: z.string(), message: z.string() }).nullable(),
  model: z.string(),
  instructions: z.string().nullable(),
  previous_response_id: z.string().nullable(),
  conversation: z.strictObject({ id: z.string().startsWith('conv_') }).nullable(),
  output: z.array(item),
  tools: z.array(functionTool),
  tool_choice: z.enum(['none', 'auto', 'required']),
  parallel_tool_calls: z.boolean(),
  truncation: z.enum(['auto', 'disabled']),
  text: z.strictObject({ format: z.strictObject({ type: z.literal('text') }) }),
  temperature: z.number(),
  top_p: z.number(),
  top_logprobs: count,
  presence_penalty: z.number(),
  frequency_penalty: z.number(),
  reasoning: z.strictObject({ effort: z.string().nullable(), summary: z.string().nullable() }).nullable(),
  usage: usage.nullable(),
  max_output_tokens: count.nullable(),
  max_tool_calls: count.nullable(),
  store: z.boolean(),
  background: z.boolean(),
  service_tier: z.string(),
  metadata: z.record(z.string(), z.string()),
  safety_identifier: z.string().nullable(),
  prompt_cache_key: z.string().nullable(),
  prompt_cache_retention: z.string().nullable(),
  user: z.string().nullable(),
});

const numbered = { sequence_number: count };
const ofOutput = { ...numbered, output_index: count };
const ofItem = { ...ofOutput, item_id: z.string() };
const ofPart = { ...ofItem, content_index: count };
const event = <T extends string>(type: T, shape: z.core.$ZodLooseShape) =>
  z.strictObject({ type: z.literal(`response.${type}`), ...shape });
const eventSchema = z.discriminatedUnion('type', [
  event('created', { ...numbered, response: responseSchema }),
  event('in_progress', { ...numbered, response: responseSchema }),
  event('output_item.added', { ...ofOutput, item }),
  event('content_part.added', { ...ofPart, part: outputText }),
  event('output_text.delta', { ...ofPart, delta: z.string(), logprobs: z.tuple([]) }),
  event('output_text.done', { ...ofPart, text: z.string(), logprobs: z.tuple([]) }),
  event('content_part.done', { ...ofPart, part: outputText }),
  event('function_call_arguments.delta', { ...ofItem, delta: z.string() }),
  event('function_call_arguments.done', { ...ofItem, name: z.string(), arguments: z.string() }),
  event('output_item.done', { ...ofOutput, item }),
  event('completed', { ...numbered, response: responseSchema }),
]);

/** One red dot. */
const PICTURE =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC';
const said = (role: string, content: unknown): object => ({ type: 'message', role, content });
const lookUp = {
  type: 'function',
  name: 'look_up',
  parameters: { type: 'object', properties: { word: { type: 'string' } }, required: ['word'] },
};

/** What the model heard of the request that was sent last. */
function hearing(): () => readonly unknown[] {
  let heard: readonly unknown[] = [];
  upstream.reply((request) => {
    heard = request.body.messages;
    return says('Heard.');
  });
  return () => heard;
}

describe('a response has every key, and the model hears', () => {
  test.each([
    ['one message', [said('user', 'hello')], [{ role: 'user', content: 'hello' }]],
    [
      'a system message',
      [said('system', 'Speak like a pirate.'), said('user', 'hello')],
      [
        { role: 'system', content: 'Speak like a pirate.' },
        { role: 'user', content: 'hello' },
      ],
    ],
    [
      'several turns',
      [said('user', 'I am Ada.'), said('assistant', 'Hello Ada.'), said('user', 'Who am I?')],
      [
        { role: 'user', content: 'I am Ada.' },
        { role: 'assistant', content: 'Hello Ada.' },
        { role: 'user', content: 'Who am I?' },
      ],
    ],
    [
      'answers with their phases',
      [
        said('user', 'Two and two?'),
        { ...said('assistant', 'I look it up.'), phase: 'commentary' },
        { ...said('assistant', 'It is four.'), phase: 'final_answer' },
        said('user', 'Again?'),
      ],
      [
        { role: 'user', content: 'Two and two?' },
        { role: 'assistant', content: expect.stringMatching(/I look it up\.\s+It is four\./) as unknown },
        { role: 'user', content: 'Again?' },
      ],
    ],
    [
      'a picture',
      [
        said('user', [
          { type: 'input_text', text: 'What is it?' },
          { type: 'input_image', image_url: PICTURE },
        ]),
      ],
      [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is it?' },
            { type: 'image_url', image_url: expect.objectContaining({ url: PICTURE }) as unknown },
          ],
        },
      ],
    ],
  ])('%s', async (_, input, heard) => {
    const messages = hearing();
    const response = responseSchema.parse(await wire.ok('POST', '/responses', { model: 'm', input }));
    expect(response).toMatchObject({
      status: 'completed',
      output: [{ type: 'message', status: 'completed', content: [{ text: 'Heard.' }] }],
    });
    expect(messages()).toMatchObject(heard);
  });
});

test('a call is an item of its own, and its function is told with every key', async () => {
  upstream.reply(() => calls([{ name: 'look_up', arguments: { word: 'tea' } }]));
  const body = { model: 'm', input: 'look up tea', tools: [lookUp] };
  const response = responseSchema.parse(await wire.ok('POST', '/responses', body));
  expect(response.output).toMatchObject([
    { type: 'function_call', name: 'look_up', arguments: '{"word":"tea"}', status: 'completed' },
  ]);
});

describe('every event has every key', () => {
  const bodies = [
    ['of words', { model: 'm', input: 'count' }],
    ['of calls', { model: 'm', input: 'look up tea', tools: [lookUp] }],
  ] as const;

  test.each(bodies)('%s, in a stream that says when it is over', async (_, body) => {
    answer();
    const { text } = await wire.ask('POST', '/responses', { body: { ...body, stream: true } });
    const frames = text.split('\n\n');
    expect(frames.slice(-2)).toEqual(['data: [DONE]', '']);
    const events = frames.slice(0, -2).map((frame) => {
      const [, type, data = ''] = /^event: (.+)\ndata: (.+)$/.exec(frame) ?? [];
      const read = eventSchema.parse(JSON.parse(data));
      expect(read.type).toBe(type);
      return read;
    });
    expect(events.at(-1)).toMatchObject({ response: { status: 'completed' } });
  });

  test.each(bodies)('%s, over a WebSocket', async (_, body) => {
    answer();
    const client = await open();
    const events = (await client.create(body)).map((each) => eventSchema.parse(each));
    expect(events.at(-1)).toMatchObject({ response: { status: 'completed' } });
  });

  function answer(): void {
    upstream.reply(({ text }) =>
      text === 'count' ? says('1 ', '2 ', '3') : calls([{ name: 'look_up', arguments: { word: 'tea' } }]),
    );
  }
});

test('a compacted conversation has every key, and begins another one over a WebSocket', async () => {
  upstream.reply(() => says('The launch is on Tuesday.'));
  const compactSchema = z.strictObject({
    id: z.string().startsWith('resp_'),
    object: z.literal('response.compaction'),
    created_at: count,
    output: z.tuple([
      z.strictObject({
        type: z.literal('compaction'),
        id: z.string().startsWith('cmp_'),
        encrypted_content: z.string(),
      }),
    ]),
    usage,
  });
  const input = [said('user', 'We launch on Tuesday.'), said('assistant', 'Understood.')];
  const compacted = await wire.ok('POST', '/responses/compact', {
    model: 'm',
    input,
    prompt_cache_key: 'launch',
  });
  const { output } = compactSchema.parse(compacted);
  const messages = hearing();
  const client = await open();
  const events = await client.create({
    model: 'm',
    store: false,
    input: [...output, said('user', 'When?')],
  });
  expect(events.at(-1)).toMatchObject({
    type: 'response.completed',
    response: { previous_response_id: null },
  });
  expect(JSON.stringify(messages())).toMatch(/The launch is on Tuesday\..*When\?/);
});

async function open(): Promise<SocketClient> {
  const client = await SocketClient.open(`${service.url}/v1/responses`);
  onTestFinished(() => client.terminate());
  return client;
}
