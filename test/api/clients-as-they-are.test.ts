/**
 * Requests as real clients send them, a little beside the letter: empty objects of PHP, listed messages posted back,
 * and messages read while they are written.
 */
import { describe, expect, test } from 'vitest';
import { finish, gate, text as word } from '../support/upstream.ts';
import { saidIn, textOf } from '../support/wire.ts';
import { withSharedService } from '../support/shared-service.ts';

const { upstream, wire } = withSharedService();

describe('an empty array of PHP is an object where an object is meant', () => {
  /** What PHP sends for a schema without properties in every place that has one. */
  const php = {
    type: 'object',
    properties: [],
    $defs: [],
    patternProperties: [],
    additionalProperties: [],
    dependentRequired: [],
    required: [],
    enum: [],
    default: [],
    items: [],
    allOf: [{ type: 'array', items: [], prefixItems: [] }, []],
    definitions: { one: { properties: [], required: [] }, two: [] },
    dependencies: { one: ['two'], two: [] },
    not: { properties: { properties: { type: 'array', items: [] }, required: [] } },
  };
  const meant = {
    type: 'object',
    properties: {},
    $defs: {},
    patternProperties: {},
    additionalProperties: {},
    dependentRequired: {},
    required: [],
    enum: [],
    default: [],
    items: {},
    allOf: [{ type: 'array', items: {}, prefixItems: [] }, {}],
    definitions: { one: { properties: {}, required: [] }, two: {} },
    dependencies: { one: ['two'], two: {} },
    not: { properties: { properties: { type: 'array', items: {} }, required: {} } },
  };
  const tool = (parameters: unknown): object => ({
    type: 'function',
    function: { name: 'f', description: 'd', parameters },
  });
  const echoed = (parameters: unknown): object => ({
    type: 'function',
    function: { name: 'f', description: 'd', parameters, strict: false },
  });
  const format = (schema: unknown): object => ({ type: 'json_schema', json_schema: { name: 'n', schema } });

  const rows: readonly [path: string, body: unknown, shown: object][] = [
    ['/threads', [], { metadata: {}, tool_resources: {} }],
    ['/threads', { metadata: [], tool_resources: [], messages: [] }, { metadata: {} }],
    ['/threads', { tool_resources: { code_interpreter: [], file_search: [] } }, { tool_resources: {} }],
    ['/threads', { messages: [{ role: 'user', content: 'a', metadata: [], attachments: [] }] }, {}],
    ['/assistants', { model: 'm', metadata: [], tools: [] }, { metadata: {}, tools: [] }],
    ['/assistants', { model: 'm', tools: [tool([])] }, { tools: [echoed({})] }],
    ['/assistants', { model: 'm', tools: [tool(php)] }, { tools: [echoed(meant)] }],
    ['/assistants', { model: 'm', response_format: format([]) }, { response_format: format({}) }],
    ['/assistants', { model: 'm', response_format: format(php) }, { response_format: format(meant) }],
  ];
  test.each(rows)('POST %s %j', async (path, body, shown) => {
    expect(await wire.ok('POST', path, body)).toMatchObject(shown);
  });

  test('of runs, and of modifications', async () => {
    const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm', metadata: { a: 'b' } });
    expect(await wire.ok('POST', `/assistants/${assistant_id}`, { metadata: [] })).toMatchObject({
      metadata: {},
    });
    const thread = await wire.thread();
    const message = { role: 'user', content: 'a', metadata: [] };
    const asked = { assistant_id, metadata: [], tools: [tool(php)], additional_messages: [message] };
    expect(await wire.play(thread, asked)).toMatchObject({ metadata: {}, tools: [echoed(meant)] });
    const both = { assistant_id, thread: [], tool_resources: [], tools: [] };
    expect(await wire.ok('POST', '/threads/runs', both)).toMatchObject({ tools: [], metadata: {} });
  });

  test('of chats, as the model server gets them', async () => {
    const call = { id: 'call_1', type: 'function', function: { name: 'f', arguments: [] } };
    const body = {
      model: 'm',
      messages: [
        { role: 'user', content: 'php' },
        { role: 'assistant', content: null, tool_calls: [call] },
        { role: 'tool', tool_call_id: 'call_1', content: '1' },
      ],
      metadata: [],
      logit_bias: [],
      web_search_options: [],
      stop: [],
      tools: [tool(php)],
      response_format: format(php),
    };
    expect(await wire.ok('POST', '/chat/completions', body)).toMatchObject({ object: 'chat.completion' });
    const asked = await upstream.asked(({ text }) => text === 'php');
    expect(asked.body).toMatchObject({
      logit_bias: {},
      web_search_options: {},
      tools: [{ function: { parameters: meant } }],
      response_format: format(meant),
    });
    expect(JSON.stringify(asked.body.messages)).toContain('"arguments":"{}"');
  });

  const wrong: readonly [path: string, body: unknown, param: string | null][] = [
    ['/assistants', [], 'model'],
    ['/assistants', { model: 'm', response_format: [] }, 'response_format.type'],
    ['/assistants', { model: 'm', metadata: ['a'] }, 'metadata'],
    ['/assistants', { model: [] }, 'model'],
    ['/threads', { messages: {} }, 'messages'],
    ['/threads', [1], null],
  ];
  test.each(wrong)('and nowhere else: POST %s %j', async (path, body, param) => {
    expect(await wire.ask('POST', path, { body })).toMatchObject({ status: 400, body: { error: { param } } });
  });

  test('a tool without a description is shown with an empty one, and the model is told of none', async () => {
    const bare = { type: 'function', function: { name: 'f' } };
    const { id, tools } = await wire.ok('POST', '/assistants', { model: 'm', tools: [bare] });
    expect(tools).toMatchObject([{ function: { name: 'f', description: '' } }]);
    await wire.play(await wire.thread('no description'), { assistant_id: id });
    const asked = await upstream.asked(({ text }) => text === 'no description');
    expect(asked.body.tools).toEqual([
      { type: 'function', function: { name: 'f', parameters: { type: 'object', properties: {} } } },
    ]);
  });
});

describe('messages as they were listed are taken into a new thread', () => {
  const citation = {
    type: 'file_citation',
    text: '[1]',
    start_index: 0,
    end_index: 3,
    file_citation: { file_id: 'file-1' },
  };
  const link = {
    type: 'url_citation',
    start_index: 0,
    end_index: 3,
    url_citation: { url: 'https://x.example', title: 'x' },
  };
  const listed = (role: string, content: readonly object[]): object => ({
    id: 'msg_abc',
    object: 'thread.message',
    created_at: 1_700_000_000,
    assistant_id: role === 'assistant' ? 'asst_abc' : null,
    thread_id: 'thread_abc',
    run_id: role === 'assistant' ? 'run_abc' : null,
    status: 'completed',
    incomplete_details: null,
    completed_at: 1_700_000_001,
    incomplete_at: null,
    role,
    content,
    attachments: [],
    metadata: { a: 'b' },
  });
  const said = (value: string, annotations?: readonly unknown[]): object => ({
    type: 'text',
    text: { value, ...(annotations && { annotations }) },
  });
  const picture = { type: 'image_url', image_url: { url: 'https://x.example/a.png', detail: 'low' } };
  const rows: readonly [name: string, given: object, content: readonly object[]][] = [
    ['with a text', listed('user', [said('hello', [])]), [said('hello', [])]],
    ['without annotations', listed('assistant', [said('hello')]), [said('hello', [])]],
    [
      'with annotations, as far as their form is right',
      listed('assistant', [said('[1] x', [citation, link, { type: 'file_path' }, 5])]),
      [said('[1] x', [citation, link])],
    ],
    ['with a picture', listed('user', [said('see', []), picture]), [said('see', []), picture]],
    ['with a refusal', listed('assistant', [{ type: 'refusal', refusal: 'no' }]), [said('no', [])]],
    ['without content', listed('assistant', []), [said('', [])]],
    ['as role and content', { role: 'assistant', content: [said('hi', [])] }, [said('hi', [])]],
  ];
  test.each(rows)('%s', async (_name, given, content) => {
    const { role, metadata = {} }: { role?: string; metadata?: object } = given;
    const asked = { role: 'user', content: 'hello' };
    const shown = { role, content, metadata, assistant_id: null, run_id: null, attachments: [] };
    const { id: thread } = await wire.ok('POST', '/threads', { messages: [asked, given] });
    const { id } = await wire.ok('POST', `/threads/${thread}/messages`, given);
    const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm' });
    const run = await wire.play(thread, { assistant_id, additional_messages: [given] });
    expect(run.status).toBe('completed');
    const messages = await wire.list(`/threads/${thread}/messages?order=asc`);
    expect(messages.slice(1, 4)).toMatchObject([shown, shown, shown]);
    expect(id).not.toBe('msg_abc');
  });

  test('what is no key of a listed message stays refused', async () => {
    const body = { messages: [{ ...listed('user', [said('a', [])]), colour: 'red' }] };
    expect(await wire.ask('POST', '/threads', { body })).toMatchObject({
      status: 400,
      body: { error: { param: 'messages[0].colour', code: 'unknown_parameter' } },
    });
  });

  test('a whole page of a conversation', async () => {
    const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm' });
    const thread = await wire.thread('one');
    await wire.play(thread, { assistant_id });
    const messages = await wire.list(`/threads/${thread}/messages?order=asc`);
    const { id: copy } = await wire.ok('POST', '/threads', { messages });
    const copied = await wire.list(`/threads/${copy}/messages?order=asc`);
    expect(copied.map(({ role, content }) => ({ role, content }))).toEqual(
      messages.map(({ role, content }) => ({ role, content })),
    );
  });
});

describe('what is being written is read as far as it has come', () => {
  test('a message and the list it is in, and after the end all of it', async () => {
    const door = gate();
    upstream.reply(() => [word('Once '), word('upon'), door, word(' a time'), finish('stop')]);
    const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm' });
    const thread = await wire.thread('tell');
    const events = await wire.stream('POST', `/threads/${thread}/runs`, {
      body: { assistant_id, stream: true },
    });
    await door.reached;
    let heard = '';
    while (heard !== 'Once upon') {
      const frame = await events.next();
      heard += saidIn(frame === null ? [] : [frame]);
    }
    const [open] = await wire.list(`/threads/${thread}/messages`);
    const content = [{ type: 'text', text: { value: 'Once upon', annotations: [] } }];
    expect(open).toMatchObject({ status: 'in_progress', role: 'assistant', content });
    expect(await wire.ok('GET', `/threads/${thread}/messages/${open?.id}`)).toEqual(open);
    const labelled = await wire.ok('POST', `/threads/${thread}/messages/${open?.id}`, {
      metadata: { a: 'b' },
    });
    expect(labelled).toEqual({ ...open, metadata: { a: 'b' } });
    door.open();
    await events.rest();
    const [done] = await wire.list(`/threads/${thread}/messages`);
    expect(done).toMatchObject({ status: 'completed', metadata: { a: 'b' } });
    expect(textOf(done)).toBe('Once upon a time');
  });
});
