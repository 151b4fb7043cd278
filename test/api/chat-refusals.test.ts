/** Chat requests that cannot be meant: each is refused in OpenAI's envelope, names the place, and has asked nobody anything. */
import { describe, expect, test } from 'vitest';
import { asking, post, refusalOf, textOf } from '../support/chat.ts';
import { refuses } from '../support/upstream.ts';
import { withService } from '../support/with-service.ts';

const { upstream, service } = withService({ env: { UPSTREAM_RETRIES: '0', BODY_LIMIT_BYTES: '20000' } });

const THREAD = 'bad input';
const chat = (body: unknown, asked: Parameters<typeof post>[2] = {}): Promise<Response> =>
  post(`${service.baseUrl}/chat/completions`, body, asked);

const saying = (...messages: readonly unknown[]): object => ({ model: 'm', thread_id: THREAD, messages });
const withPart = (part: unknown): object => saying({ role: 'user', content: [part] });
const withTool = (tool: unknown): object => asking('hi', { thread_id: THREAD, tools: [tool] });
const withFunction = (called: unknown): object => withTool({ type: 'function', function: called });
const withField = (field: object): object => asking('hi', { thread_id: THREAD, ...field });

describe.each([true, false, undefined])('with stream: %s', (stream) => {
  const cases: readonly (readonly [string, unknown, string | null])[] = [
    ['no JSON', '{"model": "m", "messages": [', null],
    ['a comment in its JSON', '{"model": "m" // the model\n}', null],
    ['no body', '', 'model'],
    ['an array', ['hi'], null],
    ['no model', { messages: [{ role: 'user', content: 'hi' }] }, 'model'],
    ['an empty model', withField({ model: '' }), 'model'],
    ['no messages', { model: 'm' }, 'messages'],
    ['empty messages', saying(), 'messages'],
    ['messages that are none', withField({ messages: 'hi' }), 'messages'],
    ['a message that is none', saying('hi'), 'messages[0]'],
    ['a message without a role', saying({ content: 'hi' }), 'messages[0].role'],
    ['an unknown role', saying({ role: 'narrator', content: 'hi' }), 'messages[0].role'],
    ['an answer of no function', saying({ role: 'function', content: '1' }), 'messages[0].name'],
    [
      'an answer to a function that nobody called',
      { ...saying({ role: 'function', name: 'f', content: '1' }), thread_id: null },
      'messages[0].name',
    ],
    ['a message without content', saying({ role: 'user' }), 'messages[0].content'],
    ['null as content', saying({ role: 'user', content: null }), 'messages[0].content'],
    ['no parts', saying({ role: 'user', content: [] }), 'messages[0].content'],
    ['a number as content', saying({ role: 'user', content: 1 }), 'messages[0].content'],
    ['a silent assistant', saying({ role: 'assistant', content: null }), 'messages[0].content'],
    ['instructions without content', saying({ role: 'system' }), 'messages[0].content'],
    ['an answer to no call', saying({ role: 'tool', content: 'x' }), 'messages[0].tool_call_id'],
    [
      'a call without a function',
      saying({ role: 'assistant', tool_calls: [{ id: 'c' }] }),
      'messages[0].tool_calls[0].function',
    ],
    ['a part without a type', withPart({ text: 'hi' }), 'messages[0].content[0].type'],
    ['an unknown part', withPart({ type: 'smell', smell: 'rose' }), 'messages[0].content[0].type'],
    ['a text part without text', withPart({ type: 'text' }), 'messages[0].content[0].text'],
    ['a picture without an address', withPart({ type: 'image_url' }), 'messages[0].content[0].image_url'],
    [
      'a picture at no address',
      withPart({ type: 'image_url', image_url: { url: 'cat.jpg' } }),
      'messages[0].content[0].image_url.url',
    ],
    [
      'a picture on this machine',
      withPart({ type: 'image_url', image_url: { url: 'file:///etc/passwd' } }),
      'messages[0].content[0].image_url.url',
    ],
    [
      'a data URL of nothing',
      withPart({ type: 'image_url', image_url: { url: 'data:image/png;base64,' } }),
      'messages[0].content[0].image_url.url',
    ],
    [
      'a data URL of a text',
      withPart({ type: 'image', image_url: 'data:text/html;base64,PGI+' }),
      'messages[0].content[0].image_url',
    ],
    ['a sound in a thread', withPart({ type: 'input_audio', input_audio: { data: 'x' } }), 'messages'],
    ['tools that are none', withField({ tools: 'all' }), 'tools'],
    ['a tool that is none', withTool('weather'), 'tools[0]'],
    ['a tool without a type', withTool({ function: { name: 'f' } }), 'tools[0].type'],
    ['a hosted tool', withTool({ type: 'code_interpreter' }), 'tools[0].type'],
    ['a tool without a function', withTool({ type: 'function' }), 'tools[0].function'],
    ['a function without a name', withFunction({ description: 'd' }), 'tools[0].function.name'],
    ['a function with a blank in its name', withFunction({ name: 'a b' }), 'tools[0].function.name'],
    [
      'a schema that is a string',
      withFunction({ name: 'f', parameters: '{}' }),
      'tools[0].function.parameters',
    ],
    [
      'a schema that is a list',
      withFunction({ name: 'f', parameters: ['type'] }),
      'tools[0].function.parameters',
    ],
    [
      'too many tools',
      withField({
        tools: Array.from({ length: 129 }, () => ({ type: 'function', function: { name: 'f' } })),
      }),
      'tools',
    ],
    ['a choice among no tools', withField({ tool_choice: 'required' }), 'tool_choice'],
    ['an unknown choice', withField({ tool_choice: 'some' }), 'tool_choice'],
    [
      'a choice that is not there',
      withField({ tool_choice: { type: 'function', function: { name: 'f' } } }),
      'tool_choice',
    ],
    ['two answers at once', withField({ n: 2 }), 'n'],
    [
      'a function of old without a name',
      withField({ functions: [{ description: 'd' }] }),
      'functions[0].name',
    ],
    ['tools in both forms', { ...withFunction({ name: 'f' }), functions: [{ name: 'g' }] }, 'functions'],
    [
      'a call of a function that is not there',
      withField({ functions: [{ name: 'f' }], function_call: { name: 'g' } }),
      'tool_choice',
    ],
    [
      'the sound of an earlier answer',
      saying({ role: 'assistant', audio: { id: 'audio_1' } }, { role: 'user', content: 'hi' }),
      'messages[0].audio',
    ],
    ['too much heat', withField({ temperature: 3 }), 'temperature'],
    ['too little room', withField({ max_tokens: -5 }), 'max_tokens'],
    ['a format that is none', withField({ response_format: 'json' }), 'response_format'],
    ['a format without a type', withField({ response_format: {} }), 'response_format.type'],
    ['metadata that are none', withField({ metadata: 'x' }), 'metadata'],
    [
      'an unknown wish for hang-ups',
      withField({ metadata: { on_disconnect: 'cry' } }),
      'metadata.on_disconnect',
    ],
  ];

  test.each(cases)('%s', async (_what, body, param) => {
    const wanted = typeof body === 'object' && !Array.isArray(body) ? { ...body, stream } : body;
    const refused = await refusalOf(await chat(wanted));
    expect(refused).toMatchObject({ status: 400, type: 'invalid_request_error', param });
    expect(refused.message).not.toMatch(/\[object|undefined|zod/i);
  });
});

/** Shows A-HOSTED-16. */
test.each(['file_search', 'code_interpreter'])('a hosted tool, by who has it: %s', async (type) => {
  const message = `The tool '${type}' belongs to assistants: create one that has it, and name the assistant as the model.`;
  const refused = { status: 400, code: 'unsupported', message };
  expect(await refusalOf(await chat(withTool({ type })))).toMatchObject({
    ...refused,
    param: 'tools[0].type',
  });
  const chosen = withField({ tool_choice: { type } });
  expect(await refusalOf(await chat(chosen))).toMatchObject({ ...refused, param: 'tool_choice.type' });
});

test('a stream that is neither wanted nor not', async () => {
  expect(await refusalOf(await chat(asking('hi', { stream: 'yes' })))).toMatchObject({ param: 'stream' });
});

test('a body beyond the limit', async () => {
  const url = `data:image/png;base64,${'A'.repeat(20_000)}`;
  const refused = await refusalOf(await chat(withPart({ type: 'image_url', image_url: { url } })));
  expect(refused).toMatchObject({ status: 413, code: 'request_too_large' });
});

test('an Idempotency-Key and a thread id of absurd length', async () => {
  const long = 'x'.repeat(300);
  for (const name of ['idempotency-key', 'x-thread-id'])
    expect((await refusalOf(await chat(asking('hi'), { headers: { [name]: long } }))).status).toBe(400);
});

test('a path that chats nowhere, and another method', async () => {
  const nowhere = await refusalOf(await post(`${service.url}/v2/chat/completions`, asking('hi')));
  expect(nowhere.status).toBe(404);
  const got = await refusalOf(await fetch(`${service.baseUrl}/chat/completions`));
  expect(got).toMatchObject({ status: 405, code: 'method_not_supported' });
});

test('what only the upstream can tell is wrong: its words, as our refusal', async () => {
  upstream.reply(() => refuses(400, "Invalid schema for function 'f': 'strong' is not valid."));
  const called = { name: 'f', parameters: { type: 'strong' } };
  const refused = await refusalOf(await chat({ ...withFunction(called), thread_id: null }));
  expect(refused).toMatchObject({
    status: 400,
    code: 'invalid_prompt',
  });
  expect(refused.message).toContain('strong');
  upstream.reply(() => undefined);
});

test('and after all of it nobody was asked, no run goes on, and the thread is free', async () => {
  const queued = service.logs.filter((line) => line['event'] === 'run.queued');
  // The one that the upstream refused.
  expect(queued).toHaveLength(1);
  expect(upstream.requests).toHaveLength(1);
  await expect(
    textOf(await chat(asking('well?', { thread_id: THREAD, metadata: { multitask: 'reject' } }))),
  ).resolves.toBe('You said: well?');
  expect(upstream.requests.at(-1)?.body.messages).toEqual([{ role: 'user', content: 'well?' }]);
});
