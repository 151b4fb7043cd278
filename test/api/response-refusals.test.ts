/** What the Responses and Conversations API refuses: the status, the parameter, the code and the words of each. */
/* oxlint-disable vitest/expect-expect -- expectRefusal and its like assert. */
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { expectRefusal, type Refusal } from '../support/refusal.ts';
import { finish, gate, refuses, text } from '../support/upstream.ts';
import { PASSTHROUGH, withSharedService } from '../support/shared-service.ts';

const { upstream, wire } = withSharedService({ UPSTREAM_RETRIES: '0' });

const OBJECT = z.looseObject({ id: z.string() });
const PAGE = z.looseObject({ data: z.array(OBJECT) });
const MISSING = 'missing_required_parameter';
const WORDS = { model: 'm', input: 'hello' };
const said = (...content: readonly unknown[]) => ({ model: 'm', input: [{ role: 'user', content }] });
const look = { type: 'function', name: 'look', parameters: { type: 'object', properties: {} } };
const call = { type: 'function_call', call_id: 'call_1', name: 'look', arguments: '{}' };
const output = { type: 'function_call_output', call_id: 'call_1', output: 'seen' };

async function expectRefused(body: object, refusal: Refusal): Promise<void> {
  expectRefusal(await wire.ask('POST', '/responses', { body }), refusal);
}

/** Shows R-ERROR-01. */
describe('what a response goes on from', () => {
  const unknown = {
    message: /not found\.$/,
    param: 'previous_response_id',
    code: 'previous_response_not_found',
  };
  test.each(['resp_none', 'run_none', 'msg_none', '', '../../etc', 'resp_none_none'])(
    'is not the unknown response %j',
    (id) => expectRefused({ ...WORDS, previous_response_id: id }, unknown),
  );

  test('is not a response and a conversation', () =>
    expectRefused(
      { ...WORDS, previous_response_id: 'resp_none', conversation: 'conv_none' },
      { message: /exclude each other/, code: 'mutually_exclusive_parameters' },
    ));

  test.each(['conv_none', '', '../x', { id: 'conv_none' }])(
    'is not the unknown conversation %j',
    (conversation) =>
      expectRefused(
        { ...WORDS, conversation },
        { status: 404, message: /^Conversation with id '.*' not found/ },
      ),
  );

  test('is not a response that is not over', async () => {
    const door = gate();
    upstream.reply(() => [text('Once '), door, finish('stop')]);
    const { id } = await wire.ok('POST', '/responses', { ...WORDS, background: true });
    await expectRefused(
      { ...WORDS, previous_response_id: id },
      { message: /not finished/, param: 'previous_response_id', code: 'previous_response_not_finished' },
    );
    door.open();
  });

  /** Shows R-ERROR-02. */
  test('is not a conversation in which another response is being made', async () => {
    const door = gate();
    upstream.reply(() => [text('Once '), door, finish('stop')]);
    const { id: conversation } = await wire.ok('POST', '/conversations', {});
    const { id } = await wire.ok('POST', '/responses', { ...WORDS, conversation, background: true });
    const locked = { message: /retry in a few seconds/, param: 'conversation', code: 'conversation_locked' };
    await expectRefused({ ...WORDS, conversation }, locked);
    const body = { items: [{ role: 'user', content: 'hello' }] };
    expectRefusal(await wire.ask('POST', `/conversations/${conversation}/items`, { body }), locked);
    door.open();
    await wire.ask('GET', `/responses/${id}?stream=true`);
    expect(await wire.ask('POST', '/responses', { body: { ...WORDS, conversation } })).toMatchObject({
      status: 200,
    });
  });
});

/** Shows R-ERROR-03. */
describe('calls and their outputs', () => {
  test('an output needs its call', () =>
    expectRefused(
      { model: 'm', input: [output] },
      { message: 'No tool call found for function call output with call_id call_1.', param: 'input' },
    ));
  test('a call needs its output', () =>
    expectRefused(
      { model: 'm', input: [call, { role: 'user', content: 'and?' }] },
      { message: 'No tool output found for function call call_1.', param: 'input' },
    ));
  test('the output comes after the call', () =>
    expectRefused({ model: 'm', input: [output, call] }, { message: /^No tool call found/, param: 'input' }));
});

describe('an input', () => {
  const at = (path: string) => `input[0]${path}`;
  /** Shows R-ERROR-04. */
  test.each<[string, object, Refusal]>([
    ['nothing', { model: 'm' }, { message: /'input'/, param: 'input', code: MISSING }],
    ['no items', { model: 'm', input: [] }, { message: /'input'/, param: 'input', code: MISSING }],
    ['no model', { input: 'hello' }, { message: /'model'/, param: 'model', code: MISSING }],
    [
      'a number',
      { model: 'm', input: 5 },
      { message: /got an integer/, param: 'input', code: 'invalid_type' },
    ],
    [
      'words among items',
      { model: 'm', input: ['hello'] },
      { message: /got a string/, param: at(''), code: 'invalid_type' },
    ],
    [
      'an item of no type',
      { model: 'm', input: [{ a: 1 }] },
      { message: /Missing/, param: at('.type'), code: MISSING },
    ],
    [
      'no content',
      { model: 'm', input: [{ role: 'user' }] },
      { message: /Missing/, param: at('.content'), code: MISSING },
    ],
    [
      'a strange role',
      { model: 'm', input: [{ role: 'wizard', content: 'x' }] },
      { message: /'wizard'/, param: at('.role'), code: 'invalid_value' },
    ],
    [
      'a strange part',
      said({ type: 'wobble' }),
      { message: /'wobble'.*'input_text'/, param: at('.content[0].type'), code: 'invalid_value' },
    ],
    [
      'a text without words',
      said({ type: 'input_text' }),
      { message: /Missing/, param: at('.content[0].text'), code: MISSING },
    ],
    [
      'a picture without address',
      said({ type: 'input_image' }),
      { message: /'file_id'/, param: at('.content[0].image_url'), code: MISSING },
    ],
    [
      'an unknown picture',
      said({ type: 'input_text', text: 'x' }, { type: 'input_image', file_id: 'file-none' }),
      { message: /No such File/, param: at('.content[1].file_id'), code: 'invalid_value' },
    ],
    [
      'a file by its id',
      said({ type: 'input_file', file_id: 'file-none' }),
      { message: /file_search/, param: at('.content[0].file_id'), code: 'unsupported_file' },
    ],
    [
      'a call without name',
      { model: 'm', input: [{ type: 'function_call', call_id: 'c' }] },
      { message: /Missing/, param: at('.name'), code: MISSING },
    ],
    [
      'a reference to nothing',
      { model: 'm', input: [{ type: 'item_reference', id: 'msg_a_b' }] },
      { status: 404, message: "Item with id 'msg_a_b' not found." },
    ],
  ])('of %s is refused', (_, body, refusal) => expectRefused(body, refusal));
});

/** Shows R-ERROR-06. */
describe('a tool', () => {
  test.each([
    'image_generation',
    'computer',
    'local_shell',
    'shell',
    'apply_patch',
    'tool_search',
    'nonsense',
  ])('of the type %s, which is not here, is refused by its name', (type) =>
    expectRefused(
      { ...WORDS, tools: [look, { type }] },
      { message: new RegExp(`'${type}'`), param: 'tools[1].type', code: 'unsupported_tool' },
    ),
  );

  test.each<[string, object, Refusal]>([
    [
      'of chats, whose function is nested',
      { tools: [{ type: 'function', function: { name: 'look' } }] },
      { message: /Missing/, param: 'tools[0].name', code: MISSING },
    ],
    [
      'in a namespace, without a name',
      { tools: [{ type: 'namespace', name: 'n', tools: [{ type: 'function' }] }] },
      { message: /Missing/, param: 'tools[0].tools[0].name', code: MISSING },
    ],
    [
      'that searches nothing',
      { tools: [{ type: 'file_search' }] },
      { message: /Missing/, param: 'tools[0].vector_store_ids', code: MISSING },
    ],
    [
      'that searches an unknown store',
      { tools: [look, { type: 'file_search', vector_store_ids: ['vs_none'] }] },
      { message: /vs_none/, param: 'tools[1].vector_store_ids', code: 'vector_store_not_found' },
    ],
    [
      'that works with an unknown file',
      { tools: [{ type: 'code_interpreter', container: { type: 'auto', file_ids: ['file-none'] } }] },
      { message: /file-none/, param: 'tools[0].container.file_ids', code: 'file_not_found' },
    ],
    [
      'that is chosen and not declared',
      { tools: [look], tool_choice: { type: 'function', name: 'other' } },
      { message: /'other'/, param: 'tool_choice', code: 'invalid_value' },
    ],
    [
      'that is allowed and not declared',
      {
        tools: [look],
        tool_choice: { type: 'allowed_tools', mode: 'auto', tools: [{ type: 'function', name: 'other' }] },
      },
      { message: /'other'/, param: 'tool_choice', code: 'invalid_value' },
    ],
    [
      'that must be called where there is none',
      { tool_choice: 'required' },
      { message: /at least one tool/, param: 'tool_choice', code: 'invalid_value' },
    ],
  ])('%s is refused', (_, fields, refusal) => expectRefused({ ...WORDS, ...fields }, refusal));
});

/** Shows R-ERROR-07. */
test.each<[object, string]>([
  [{ temperature: 3 }, 'temperature'],
  [{ max_output_tokens: 0 }, 'max_output_tokens'],
  [{ metadata: { a: 5 } }, 'metadata.a'],
  [{ truncation: 'maybe' }, 'truncation'],
  [{ reasoning: 'high' }, 'reasoning'],
  [{ stream: 'yes' }, 'stream'],
  [{ text: { format: { type: 'json_schema' } } }, 'text.format.name'],
])('a parameter of another form is refused by its name: %j', async (fields, param) => {
  const reply = await wire.ask('POST', '/responses', { body: { ...WORDS, ...fields } });
  expect(reply).toMatchObject({ status: 400, body: { error: { param } } });
});

/** Shows R-CREATE-05. */
test('what is not known is ignored, as parameters of newer clients are', async () => {
  const fields = {
    client_metadata: { a: 1 },
    moderation: { model: 'x' },
    prompt_cache_options: { mode: 'implicit' },
    stream_options: { include_obfuscation: true },
    include: ['something.new'],
    input: [
      { type: 'hologram', depth: 3 },
      { role: 'user', content: 'hello' },
    ],
  };
  expect((await wire.ask('POST', '/responses', { body: { ...WORDS, ...fields } })).status).toBe(200);
});

/** Shows R-ERROR-08. */
describe('what the model server refuses', () => {
  const answered = async (status: number, message: string, fields: object = {}) => {
    upstream.reply(() => refuses(status, message));
    return wire.ask('POST', '/responses', { body: { ...WORDS, ...fields } });
  };

  test('before the first word is refused with its status', async () => {
    expectRefusal(await answered(429, 'Too many.'), {
      status: 429,
      message: /Too many/,
      type: 'rate_limit_error',
      code: 'rate_limit_exceeded',
    });
    expect(await answered(500, 'Oops.')).toMatchObject({
      status: 502,
      body: { error: { type: 'server_error' } },
    });
  });

  test('in the background is the error of the response', async () => {
    const { body } = await answered(429, 'Too many.', { background: true });
    const { id } = OBJECT.parse(body);
    await wire.ask('GET', `/responses/${id}?stream=true`);
    expect(await wire.ok('GET', `/responses/${id}`)).toMatchObject({
      status: 'failed',
      error: { code: 'rate_limit_exceeded', message: expect.stringContaining('Too many') as unknown },
      output: [],
    });
  });

  test('in a stream ends it as failed', async () => {
    const { text: frames, status } = await answered(500, 'Oops.', { stream: true });
    expect(status).toBe(200);
    expect(frames).toContain('event: response.failed\n');
    expect(frames).not.toContain('event: error\n');
    expect(frames).toMatch(/data: \[DONE\]\n\n$/);
  });

  test('because the context is too long says so', async () => {
    const long = "This model's maximum context length is 1024 tokens. However, you requested 9000 tokens.";
    expectRefusal(await answered(400, long), {
      message: /1024 tokens/,
      param: 'input',
      code: 'context_length_exceeded',
    });
  });
});

/** Shows R-ERROR-05. */
describe('another project', () => {
  const { wire: guarded } = withSharedService(PASSTHROUGH);
  const as = (name: string) => ({ headers: { authorization: `Bearer ${name}` } });
  test('knows nothing of a response, a conversation or an item', async () => {
    const body = { items: [{ role: 'user', content: 'a secret' }] };
    const made = await guarded.ask('POST', '/conversations', { body, ...as('ada') });
    const { id } = OBJECT.parse(made.body);
    const path = `/conversations/${id}/items`;
    const page = PAGE.parse((await guarded.ask('GET', path, as('ada'))).body);
    const item = page.data[0]?.id ?? '';
    const answered = await guarded.ask('POST', '/responses', { body: WORDS, ...as('ada') });
    const { id: response } = OBJECT.parse(answered.body);
    for (const at of [path, `${path}/${item}`, `/conversations/${id}`, `/responses/${response}`])
      expect((await guarded.ask('GET', at, as('bob'))).status).toBe(404);
    const asked = async (fields: object) =>
      guarded.ask('POST', '/responses', { body: { ...WORDS, ...fields }, ...as('bob') });
    expect((await asked({ conversation: id })).status).toBe(404);
    expectRefusal(await asked({ input: [{ type: 'item_reference', id: item }] }), {
      status: 404,
      message: `Item with id '${item}' not found.`,
    });
    expectRefusal(await asked({ previous_response_id: response }), {
      message: `Previous response with id '${response}' not found.`,
      param: 'previous_response_id',
      code: 'previous_response_not_found',
    });
  });
});

/** Shows R-ERROR-09. */
describe('what is not there', () => {
  test.each<[string, string]>([
    ['GET', '/responses/resp_none'],
    ['GET', '/responses/resp_none?stream=true'],
    ['GET', '/responses/resp_none/input_items'],
    ['POST', '/responses/resp_none/cancel'],
    ['DELETE', '/responses/resp_none'],
    ['GET', '/conversations/conv_none'],
    ['POST', '/conversations/conv_none'],
    ['DELETE', '/conversations/conv_none'],
    ['GET', '/conversations/conv_none/items'],
  ])('is a 404: %s %s', async (method, path) =>
    expectRefusal(await wire.ask(method, path, method === 'POST' ? { body: {} } : {}), {
      status: 404,
      message: /not found/,
    }),
  );

  test('is a 404 as an item of a conversation, also for one of another conversation', async () => {
    const items = [{ role: 'user', content: 'hello' }];
    const { id } = await wire.ok('POST', '/conversations', { items });
    const other = await wire.ok('POST', '/conversations', { items });
    const { data } = PAGE.parse((await wire.ask('GET', `/conversations/${other.id}/items`)).body);
    for (const item of ['msg_none', data[0]?.id ?? '']) {
      const path = `/conversations/${id}/items/${item}`;
      expectRefusal(await wire.ask('GET', path), { status: 404, message: /^Item with id/ });
      expectRefusal(await wire.ask('DELETE', path), { status: 404, message: /^Item with id/ });
    }
  });

  test.each(['limit=0', 'limit=101', 'order=up', 'after=msg_none'])('is no page: %s', async (query) => {
    const { id } = await wire.ok('POST', '/conversations', {});
    const param = query.split('=')[0];
    const reply = await wire.ask('GET', `/conversations/${id}/items?${query}`);
    expect(reply).toMatchObject({ status: 400, body: { error: { param } } });
  });

  test('is no more than 20 items at a time', async () => {
    const items = Array.from({ length: 21 }, () => ({ role: 'user', content: 'hello' }));
    expectRefusal(await wire.ask('POST', '/conversations', { body: { items } }), {
      message: /maximum length 20/,
      param: 'items',
      code: 'array_above_max_length',
    });
  });
});
