/**
 * Tools beside the usual ones: functions in their old form, which are asked as tools and answered in their own form, and
 * custom tools, whose input is free text.
 */
import OpenAI from 'openai';
import { beforeAll, describe, expect, test } from 'vitest';
import { answerOf, asking, hear, post, refusalOf } from '../support/chat.ts';
import { calls, finish, says, type Script } from '../support/upstream.ts';
import { withSharedService } from '../support/shared-service.ts';

const { upstream, service } = withSharedService({ UPSTREAM_RETRIES: '0' });

let openai: OpenAI;
beforeAll(() => {
  openai = new OpenAI({ baseURL: service.baseUrl, apiKey: 'any', maxRetries: 0 });
});

const chat = (body: unknown): Promise<Response> => post(`${service.baseUrl}/chat/completions`, body);
const sent = (): Readonly<Record<string, unknown>> => upstream.requests.at(-1)?.body ?? {};
const sentMessages = () => upstream.requests.at(-1)?.body.messages;

/** What the upstream is asked when the service is asked this. */
async function sentFor(more: object): Promise<Readonly<Record<string, unknown>>> {
  await answerOf(await chat(asking('hello', more)));
  return sent();
}

describe('functions, the old form of tools', () => {
  const schema = { type: 'object', properties: { city: { type: 'string' } } };
  const WEATHER = { name: 'weather', description: 'The weather.', parameters: schema };
  const AS_TOOL = { type: 'function', function: WEATHER };
  const question = { role: 'user' as const, content: 'weather?' };
  const tool = (city: string) => calls([{ name: 'weather', arguments: { city } }]);

  test.each([
    [undefined, undefined],
    ['none', 'none'],
    ['auto', undefined],
    [{ name: 'weather' }, { type: 'function', function: { name: 'weather' } }],
  ])('are asked as tools, with the choice %j', async (function_call, tool_choice) => {
    const asked = await sentFor({ functions: [WEATHER], function_call });
    expect(asked).toMatchObject({ tools: [AS_TOOL], parallel_tool_calls: false });
    expect(asked['tool_choice']).toEqual(tool_choice);
    expect(asked).not.toHaveProperty('functions');
    expect(asked).not.toHaveProperty('function_call');
  });

  test('are called in their own form, and answered, through the package', async () => {
    upstream.reply(({ outputs }) => (outputs.length === 0 ? tool('Taipei') : says(`It is ${outputs[0]}.`)));
    const body = { model: 'm', functions: [WEATHER] };
    const asked = await openai.chat.completions.create({ ...body, messages: [question] });
    const [first] = asked.choices;
    expect(first?.finish_reason).toBe('function_call');
    expect(first?.message).toMatchObject({
      content: null,
      function_call: { name: 'weather', arguments: '{"city":"Taipei"}' },
    });
    expect(first?.message).not.toHaveProperty('tool_calls');

    const stream = await openai.chat.completions.create({ ...body, messages: [question], stream: true });
    const chunks = await Array.fromAsync(stream);
    const deltas = chunks.flatMap(({ choices }) => choices[0]?.delta.function_call ?? []);
    expect(deltas.map(({ name }) => name ?? '').join('')).toBe('weather');
    expect(deltas.map((delta) => delta.arguments ?? '').join('')).toBe('{"city":"Taipei"}');
    expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe('function_call');

    if (first === undefined) throw new Error('no choice');
    const told = await openai.chat.completions.create({
      ...body,
      messages: [question, first.message, { role: 'function', name: 'weather', content: 'sunny' }],
    });
    expect(told.choices[0]?.message.content).toBe('It is sunny.');
    const [, called, answered] = sentMessages() ?? [];
    expect(called).toMatchObject({
      role: 'assistant',
      content: null,
      tool_calls: [{ type: 'function', function: { name: 'weather', arguments: '{"city":"Taipei"}' } }],
    });
    expect(answered).toMatchObject({ role: 'tool', content: 'sunny' });
    expect(called).toHaveProperty('tool_calls.0.id', answered?.['tool_call_id']);
  });

  test('called twice are answered each by its own message', async () => {
    const call = (city: string) => ({
      role: 'assistant',
      content: null,
      function_call: { name: 'weather', arguments: { city } },
    });
    const messages = [
      question,
      call('Taipei'),
      { role: 'function', name: 'weather', content: 'sunny' },
      call('Paris'),
      { role: 'function', name: 'weather', content: 'wet' },
    ];
    await sentFor({ messages, functions: [WEATHER] });
    const told = sentMessages() ?? [];
    const ids = told.filter(({ role }) => role === 'tool').map((message) => message['tool_call_id']);
    expect(new Set(ids).size).toBe(2);
    expect(told[1]).toHaveProperty('tool_calls.0.id', ids[0]);
    expect(told[3]).toHaveProperty('tool_calls.0.id', ids[1]);
  });

  test.each([true, false])('in a thread are answered by name alone (stream: %s)', async (stream) => {
    upstream.reply(({ outputs }) => (outputs.length === 0 ? tool('Taipei') : says(`It is ${outputs[0]}.`)));
    const body = { model: 'm', functions: [WEATHER], thread_id: `old form ${stream}` };
    const asked = await answerOf(await chat({ ...body, messages: [question] }));
    expect(asked.choices[0]).toMatchObject({ finish_reason: 'function_call' });
    const answer = { ...body, messages: [{ role: 'function', name: 'weather', content: 'sunny' }], stream };
    const told = await chat(answer);
    const said = stream ? (await hear(told)).text : (await answerOf(told)).choices[0]?.message.content;
    expect(said).toBe('It is sunny.');
  });

  test('are one call, however many the model makes', async () => {
    upstream.reply(() =>
      calls([
        { name: 'weather', arguments: { city: 'A' } },
        { name: 'weather', arguments: { city: 'B' } },
      ]),
    );
    const body = { model: 'm', functions: [WEATHER], messages: [question] };
    const { choices } = await openai.chat.completions.create(body);
    expect(choices[0]?.message.function_call?.arguments).toBe('{"city":"A"}');
  });
});

describe('custom tools', () => {
  const PATCH = {
    type: 'custom' as const,
    custom: {
      name: 'patch',
      description: 'Changes a file.',
      format: {
        type: 'grammar' as const,
        grammar: { syntax: 'regex' as const, definition: '.*' },
      },
    },
  };
  const CLOCK = {
    type: 'function' as const,
    function: { name: 'clock', parameters: { type: 'object', properties: {} } },
  };
  const question = { role: 'user' as const, content: 'mend it' };
  const body = { model: 'm', tools: [PATCH, CLOCK], messages: [question] };
  const called = (...deltas: readonly object[]): Script => [
    ...deltas.map((delta): Script[number] => ({
      type: 'chunk',
      delta: { tool_calls: [delta] },
      finish: null,
    })),
    finish('tool_calls'),
  ];
  const INPUT = '*** Begin {"no": json';
  const CALLS = called(
    { index: 0, id: 'call_a', type: 'custom', custom: { name: 'patch', input: '' } },
    { index: 0, custom: { input: '*** Begin ' } },
    { index: 0, custom: { input: '{"no": json' } },
    { index: 1, id: 'call_b', type: 'function', function: { name: 'clock', arguments: '{}' } },
    { index: 2, id: 'call_c', type: 'custom', custom: { name: 'patch', input: '' } },
  );
  const TOLD = [
    { id: 'call_a', type: 'custom', custom: { name: 'patch', input: INPUT } },
    { id: 'call_b', type: 'function', function: { name: 'clock', arguments: '{}' } },
    { id: 'call_c', type: 'custom', custom: { name: 'patch', input: '' } },
  ];

  test('are asked as they came, called, and answered, through the package', async () => {
    upstream.reply(({ outputs }) => (outputs.length === 0 ? CALLS : says(outputs.join(', '))));
    const asked = await openai.chat.completions.create(body);
    expect(sent()['tools']).toEqual([PATCH, CLOCK]);
    const [first] = asked.choices;
    expect(first?.finish_reason).toBe('tool_calls');
    expect(first?.message.tool_calls).toEqual(TOLD);

    const chunks = await Array.fromAsync(await openai.chat.completions.create({ ...body, stream: true }));
    const told = chunks.flatMap(({ choices }) => choices[0]?.delta.tool_calls ?? []);
    expect(told).toMatchObject(TOLD.map((call, index) => ({ index, ...call })));

    if (first === undefined) throw new Error('no choice');
    const answers = TOLD.map(({ id }) => ({
      role: 'tool' as const,
      tool_call_id: id,
      content: `done ${id}`,
    }));
    const messages = [question, first.message, ...answers];
    const answer = await openai.chat.completions.create({ ...body, messages });
    expect(answer.choices[0]?.message.content).toBe('done call_a, done call_b, done call_c');
    const [, said, ...outputs] = sentMessages() ?? [];
    // Ids get a form that the strictest servers take.
    const ids = outputs.map((message) => message['tool_call_id']);
    expect(said).toMatchObject({ tool_calls: TOLD.map((call, index) => ({ ...call, id: ids[index] })) });
  });

  test.each([
    { type: 'custom', custom: { name: 'patch' } },
    {
      type: 'allowed_tools',
      allowed_tools: { mode: 'required', tools: [{ type: 'custom', custom: { name: 'patch' } }] },
    },
  ])('are chosen: %j', async (tool_choice) => {
    expect(await sentFor({ ...body, tool_choice })).toMatchObject({ tool_choice });
  });

  test('have no place in a thread, functions chosen among several do', async () => {
    const refused = await refusalOf(await chat({ ...body, thread_id: 'custom' }));
    expect(refused).toMatchObject({ status: 400, param: 'tools', code: 'unsupported' });
    const allowed_tools = { mode: 'auto', tools: [{ type: 'function', function: { name: 'clock' } }] };
    const tool_choice = { type: 'allowed_tools', allowed_tools };
    expect(await sentFor({ tools: [CLOCK], tool_choice, thread_id: 'allowed' })).toMatchObject({
      tool_choice,
    });
  });

  test.each([
    [{ tools: [{ type: 'custom', custom: {} }] }, 'tools[0].custom.name'],
    [{ tools: [{ type: 'custom' }] }, 'tools[0].custom'],
    [{ ...body, tool_choice: { type: 'custom', custom: { name: 'other' } } }, 'tool_choice'],
  ])('that cannot be meant are refused: %j', async (fields, param) => {
    expect(await refusalOf(await chat({ ...asking('hi'), ...fields }))).toMatchObject({ status: 400, param });
  });

  test('are refused by a server that does not know them in its own words', async () => {
    const error = {
      message: "Unknown tool type 'custom'.",
      type: 'invalid_request_error',
      param: null,
      code: null,
    };
    upstream.reply(() => [{ type: 'refusal', status: 400, headers: {}, body: { error } }]);
    const refused = await refusalOf(await chat(body));
    expect(refused.status).toBe(400);
    expect(refused.message).toContain("Unknown tool type 'custom'.");
  });
});
