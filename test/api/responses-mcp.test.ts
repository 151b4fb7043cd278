/** MCP servers that come with a request of the Responses API, and approvals of their calls. */
import OpenAI from 'openai';
import type { ResponseInput, Tool } from 'openai/resources/responses/responses';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { McpServer } from '../support/mcp-server.ts';
import { z } from 'zod';
import { calls, says, type UpstreamRequest } from '../support/upstream.ts';
import { withService } from '../support/with-service.ts';

const mcp = new McpServer();
beforeAll(() => mcp.listen());
afterAll(() => mcp.stop());

const { upstream, service, wire } = withService(() => ({
  env: { SECRET: 'the secret of these tests', ALLOW_HOSTS: mcp.host },
}));

let client: OpenAI;

beforeEach(() => {
  client = new OpenAI({ baseURL: service.baseUrl, apiKey: 'none', maxRetries: 0 });
  mcp.calls.length = 0;
  mcp.authorization = null;
  mcp.tools = {
    look_up: { description: 'Looks something up.', isReadOnly: true, run: ({ q }) => `found ${String(q)}` },
    remove: { description: 'Removes something.', run: ({ q }) => `removed ${String(q)}` },
  };
});

const library = (more: Partial<Tool.Mcp> = {}): Tool.Mcp => ({
  type: 'mcp',
  server_label: 'library',
  server_url: mcp.url,
  require_approval: 'never',
  ...more,
});

/** The model calls a tool, and then says what came of it. */
function callsOnce(name: string, args: object = { q: 'tea' }): void {
  upstream.reply((request) =>
    request.outputs.length === 0 ? calls([{ name, arguments: args }]) : says(request.outputs.join('|')),
  );
}

const kept = z.looseObject({ output: z.array(z.looseObject({ type: z.string() })) });
type Kept = z.infer<typeof kept>;

/** The names of the tools that the model is offered. */
function namesOf({ body }: UpstreamRequest): readonly unknown[] {
  return z
    .array(z.looseObject({ function: z.looseObject({ name: z.string() }) }))
    .parse(body.tools ?? [])
    .map((tool) => tool.function.name);
}

/** The model says what it was told: roles, calls and outputs. */
function told(): void {
  upstream.reply(({ body }) =>
    says(
      body.messages
        .map(({ role, content, tool_calls: made }) => {
          const names = z
            .array(z.looseObject({ function: z.looseObject({ name: z.string() }) }))
            .parse(made ?? []);
          const said = role === 'tool' ? [JSON.stringify(content)] : names.map((call) => call.function.name);
          return [role, ...said].join(' ');
        })
        .join(', '),
    ),
  );
}

describe('the tools of a server', () => {
  /** Shows R-MCP-01. */
  test('are listed, called by a worker, and told in the stream', async () => {
    callsOnce('look_up');
    const stream = client.responses.stream({ model: 'm', input: 'tea?', tools: [library()] });
    const types: string[] = [];
    for await (const { type } of stream)
      if (!/output_text|content_part/.test(type) && types.at(-1) !== type) types.push(type);
    const final = await stream.finalResponse();
    expect(final.output_text).toBe('found tea');
    expect(types).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.mcp_list_tools.in_progress',
      'response.mcp_list_tools.completed',
      'response.output_item.done',
      'response.output_item.added',
      'response.mcp_call.in_progress',
      'response.mcp_call_arguments.delta',
      'response.mcp_call_arguments.done',
      'response.mcp_call.completed',
      'response.output_item.done',
      'response.output_item.added',
      'response.output_item.done',
      'response.completed',
    ]);
    const schema = { type: 'object', properties: { q: { type: 'string' } } };
    expect(final.output).toMatchObject([
      {
        type: 'mcp_list_tools',
        server_label: 'library',
        tools: [
          { name: 'look_up', description: 'Looks something up.', input_schema: schema },
          { name: 'remove', description: 'Removes something.', input_schema: schema },
        ],
      },
      {
        type: 'mcp_call',
        server_label: 'library',
        name: 'look_up',
        arguments: '{"q":"tea"}',
        output: 'found tea',
        error: null,
        approval_request_id: null,
      },
      { type: 'message' },
    ]);
    expect(final).toMatchObject(await client.responses.retrieve(final.id));
  });

  /** Shows R-MCP-02. */
  test('are reached with headers and authorization, which nobody is told', async () => {
    mcp.authorization = 'Bearer very-secret';
    callsOnce('look_up');
    const tools = [library({ authorization: 'very-secret', headers: { 'x-team': 'blue-secret' } })];
    const response = await client.responses.create({ model: 'm', input: 'tea?', tools });
    expect(response.output_text).toBe('found tea');
    expect(mcp.calls[0]?.headers).toMatchObject({
      authorization: 'Bearer very-secret',
      'x-team': 'blue-secret',
    });
    const told = JSON.stringify([response, await client.responses.retrieve(response.id)]);
    expect(told).not.toContain('secret');
    expect(told).not.toContain('/mcp');
    expect(response.tools).toMatchObject([{ type: 'mcp', server_label: 'library' }]);
  });

  test('that are not allowed are not offered', async () => {
    const offered: unknown[] = [];
    upstream.reply((request) => {
      offered.push(namesOf(request));
      return says('x');
    });
    const ask = async (more: Partial<Tool.Mcp>) =>
      client.responses.create({ model: 'm', input: 'tea?', tools: [library(more)] });
    await ask({ allowed_tools: ['remove'] });
    await ask({ allowed_tools: { read_only: true } });
    await ask({ allowed_tools: { tool_names: ['look_up', 'other'] } });
    expect(offered).toEqual([['remove'], ['look_up'], ['look_up']]);
  });

  test('have names of their own beside other tools of the same name', async () => {
    callsOnce('library_look_up');
    const own = { type: 'function', name: 'look_up', parameters: {}, strict: false } as const;
    const response = await client.responses.create({ model: 'm', input: 'tea?', tools: [own, library()] });
    expect(response.output).toMatchObject([
      { type: 'mcp_list_tools' },
      { type: 'mcp_call', name: 'look_up', output: 'found tea' },
      { type: 'message' },
    ]);
  });

  test('fail with words for the model, and the response says so', async () => {
    mcp.tools = {
      look_up: {
        run: () => {
          throw new Error('out of order');
        },
      },
    };
    callsOnce('look_up');
    const stream = client.responses.stream({ model: 'm', input: 'tea?', tools: [library()] });
    const types: string[] = [];
    for await (const { type } of stream) types.push(type);
    const { output, output_text: said } = await stream.finalResponse();
    expect(types).toContain('response.mcp_call.failed');
    expect(output[1]).toMatchObject({ type: 'mcp_call', output: null, error: 'Error: out of order' });
    expect(said).toContain('out of order');
  });

  test('are chosen by the request', async () => {
    const asked: unknown[] = [];
    upstream.reply((request) => {
      asked.push([request.body.tool_choice, namesOf(request)]);
      return says('x');
    });
    const ask = async (choice: unknown) =>
      wire.ask('POST', '/responses', {
        body: { model: 'm', input: 'tea?', tools: [library()], tool_choice: choice },
      });
    const one = { type: 'mcp', server_label: 'library', name: 'remove' };
    expect(await ask(one)).toMatchObject({ status: 200 });
    expect(await ask({ type: 'allowed_tools', mode: 'auto', tools: [one] })).toMatchObject({ status: 200 });
    expect(await ask({ type: 'mcp', server_label: 'other' })).toMatchObject({ status: 400 });
    expect(asked).toEqual([
      ['required', ['remove']],
      [undefined, ['remove']],
    ]);
  });

  test('are listed once in a chain', async () => {
    upstream.reply(() => says('x'));
    const first = await client.responses.create({ model: 'm', input: 'a', tools: [library()] });
    const second = await client.responses.create({
      model: 'm',
      input: 'b',
      tools: [library()],
      previous_response_id: first.id,
    });
    expect(first.output.map(({ type }) => type)).toEqual(['mcp_list_tools', 'message']);
    expect(second.output.map(({ type }) => type)).toEqual(['message']);
  });
});

describe('a server', () => {
  test('that does not tell its tools fails the request, by its label', async () => {
    mcp.authorization = 'Bearer right';
    const tools = [library({ authorization: 'wrong' })];
    const creating = client.responses.create({ model: 'm', input: 'a', tools });
    await expect(creating).rejects.toMatchObject({
      status: 424,
      type: 'external_connector_error',
      message: expect.stringMatching(/'library'.*401/) as unknown,
    });
  });

  test('at an address of our own network is not reached', async () => {
    const tools = [library({ server_url: 'http://127.0.0.1:1/mcp' })];
    const creating = client.responses.create({ model: 'm', input: 'a', tools });
    await expect(creating).rejects.toMatchObject({ status: 424 });
  });

  test.each<[string, object, string]>([
    ['no address', { server_url: undefined }, 'tools[0].server_url'],
    ['a connector', { server_url: undefined, connector_id: 'connector_x' }, 'tools[0].connector_id'],
    ['a file', { server_url: 'file:///etc/passwd' }, 'tools[0].server_url'],
    ['a password in its address', { server_url: 'http://a:b@example.com/' }, 'tools[0].server_url'],
    ['no label', { server_label: undefined }, 'tools[0].server_label'],
    ['our label', { server_label: 'longrun' }, 'tools[0].server_label'],
    ['a header of two lines', { headers: { a: 'b\r\nc: d' } }, 'tools[0].headers.a'],
    ['a header that carries', { headers: { Host: 'x' } }, 'tools[0].headers'],
    ['another need', { require_approval: 'sometimes' }, 'tools[0].require_approval'],
  ])('with %s is refused', async (_, more, param) => {
    const body = { model: 'm', input: 'a', tools: [{ ...library(), ...more }] };
    const reply = await wire.ask('POST', '/responses', { body });
    expect(reply).toMatchObject({ status: 400, body: { error: { param } } });
  });
});

describe('an approval', () => {
  const asked = async (more: object = {}) => {
    callsOnce('remove');
    return client.responses.create({
      model: 'm',
      input: 'remove the tea',
      tools: [library({ require_approval: { never: { read_only: true } } })],
      ...more,
    });
  };
  const request = ({ output }: OpenAI.Responses.Response) => {
    const found = output.find((item) => item.type === 'mcp_approval_request');
    if (found === undefined) throw new Error(JSON.stringify(output));
    return found;
  };
  const decide = (id: string, approve: boolean, reason?: string): ResponseInput => [
    {
      type: 'mcp_approval_response',
      approval_request_id: id,
      approve,
      ...(reason !== undefined && { reason }),
    },
  ];
  const goOn = async (response: OpenAI.Responses.Response, input: ResponseInput) =>
    client.responses.create({
      model: 'm',
      input,
      previous_response_id: response.id,
      tools: [library({ require_approval: { never: { read_only: true } } })],
    });

  /** Shows R-MCP-03. */
  test('is asked for, and lets the call be made by the next response', async () => {
    const first = await asked();
    expect(first.status).toBe('completed');
    expect(request(first)).toMatchObject({
      server_label: 'library',
      name: 'remove',
      arguments: '{"q":"tea"}',
    });
    expect(mcp.calls).toEqual([]);
    const second = await goOn(first, decide(request(first).id, true));
    expect(mcp.calls).toMatchObject([{ name: 'remove', args: { q: 'tea' } }]);
    expect(second.output).toMatchObject([
      {
        type: 'mcp_call',
        name: 'remove',
        output: 'removed tea',
        approval_request_id: request(first).id,
      },
      { type: 'message', content: [{ text: 'removed tea' }] },
    ]);
    told();
    const third = await goOn(second, [{ role: 'user', content: 'thanks' }]);
    expect(third.output_text).toBe('user, assistant remove, tool "removed tea", assistant, user');
    expect(mcp.calls).toHaveLength(1);
  });

  test('that is denied makes no call, and the model is told why', async () => {
    const first = await asked();
    const second = await goOn(first, decide(request(first).id, false, 'It is mine.'));
    expect(mcp.calls).toEqual([]);
    expect(second.output_text).toBe('This call was not made: the user has denied it. It is mine.');
  });

  test('that nobody gives leaves the call out', async () => {
    const first = await asked();
    told();
    const second = await goOn(first, [{ role: 'user', content: 'never mind' }]);
    // The server is given two messages in a row as one.
    expect(second.output_text).toBe('user');
  });

  test('is streamed as one question', async () => {
    callsOnce('remove');
    const stream = client.responses.stream({
      model: 'm',
      input: 'x',
      tools: [library({ require_approval: 'always' })],
    });
    const items: unknown[] = [];
    for await (const event of stream)
      if (event.type === 'response.output_item.added' || event.type === 'response.output_item.done')
        items.push([event.type, event.output_index, event.item.type]);
    expect(items).toEqual([
      ['response.output_item.added', 0, 'mcp_list_tools'],
      ['response.output_item.done', 0, 'mcp_list_tools'],
      ['response.output_item.added', 1, 'mcp_approval_request'],
      ['response.output_item.done', 1, 'mcp_approval_request'],
    ]);
  });

  test('works for a client that keeps its own history', async () => {
    callsOnce('remove');
    const create = async (input: readonly unknown[], approval: 'always' | 'never'): Promise<Kept> => {
      const tools = [library({ require_approval: approval })];
      return kept.parse(await wire.ok('POST', '/responses', { model: 'm', store: false, tools, input }));
    };
    const question = { role: 'user', content: 'remove the tea' };
    const { output } = await create([question], 'always');
    const asking = output.find(({ type }) => type === 'mcp_approval_request');
    const history = [question, ...output, ...decide(String(asking?.['id']), true)];
    const second = await create(history, 'never');
    expect(second.output.map(({ type }) => type)).toEqual(['mcp_call', 'message']);
    told();
    const third = await create([...history, ...second.output, { role: 'user', content: 'thanks' }], 'never');
    expect(third.output.at(-1)).toMatchObject({
      content: [{ text: 'user, assistant remove, tool "removed tea", assistant, user' }],
    });
    expect(mcp.calls).toHaveLength(1);
  });

  test('lives on in a conversation, at other processes', async () => {
    const { id: conversation } = await client.conversations.create({});
    const first = await asked({ conversation });
    await service.killWorker(0);
    await service.startWorker();
    const elsewhere = await service.startApi();
    const again = new OpenAI({ baseURL: `${elsewhere}/v1`, apiKey: 'none', maxRetries: 0 });
    const second = await again.responses.create({
      model: 'm',
      conversation,
      input: decide(request(first).id, true),
      tools: [library()],
    });
    expect(second.output_text).toBe('removed tea');
    const items = await again.conversations.items.list(conversation, { order: 'asc' });
    expect(items.data.map(({ type }) => type)).toEqual([
      'message',
      'mcp_approval_request',
      'mcp_approval_response',
      'mcp_call',
      'message',
    ]);
  });

  test('needs its request, and the server that it is about', async () => {
    const first = await asked();
    const none = goOn(first, decide('mcpr_1-0_2', true));
    await expect(none).rejects.toMatchObject({ status: 400, param: 'input[0].approval_request_id' });
    const without = client.responses.create({
      model: 'm',
      previous_response_id: first.id,
      input: decide(request(first).id, true),
    });
    await expect(without).rejects.toMatchObject({
      status: 400,
      message: expect.stringContaining("'remove'") as unknown,
    });
  });
});

describe('tools of the server itself', () => {
  test('wait for an approval as well, where the request demands it', async () => {
    callsOnce('clock', {});
    const metadata = { auto_tools: 'clock', approve: 'clock' };
    const first = await client.responses.create({ model: 'm', input: 'time?', metadata });
    const [asking] = first.output;
    expect(asking).toMatchObject({ type: 'mcp_approval_request', server_label: 'longrun', name: 'clock' });
    const second = await client.responses.create({
      model: 'm',
      metadata,
      previous_response_id: first.id,
      input: [{ type: 'mcp_approval_response', approval_request_id: asking?.id ?? '', approve: true }],
    });
    expect(second.output).toMatchObject([
      { type: 'mcp_call', server_label: 'longrun', name: 'clock', approval_request_id: asking?.id },
      { type: 'message' },
    ]);
  });
});
