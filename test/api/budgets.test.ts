/** How many bytes anybody may send, keep or be told: what is beyond is refused in words, and nobody's memory is spent on it. */
/* oxlint-disable vitest/expect-expect -- expectRefusal asserts. */
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { z } from 'zod';
import { expectRefusal } from '../support/refusal.ts';
import { startService, type Service } from '../support/service.ts';
import { Wire, type AskOptions } from '../support/wire.ts';

const pageSchema = z.object({
  data: z.array(z.object({ content: z.array(z.object({ text: z.object({ value: z.string() }) })) })),
  has_more: z.boolean(),
  last_id: z.string().nullable(),
});

let service: Service;
let wire: Wire;
let assistant: string;
let thread: string;

beforeAll(async () => {
  // Nobody executes the runs: all this is about is what is taken and told.
  service = await startService({
    redisUrl: inject('redisUrl'),
    workers: 0,
    env: { MESSAGE_LIMIT_BYTES: '100000', PROMPT_LIMIT_BYTES: '200000', PAGE_LIMIT_BYTES: '200000' },
  });
  wire = new Wire(service.baseUrl);
  assistant = (await wire.ok('POST', '/assistants', { model: 'm' })).id;
  thread = await wire.thread('hello');
});

afterAll(async () => {
  await service?.stop();
});

describe('an error repeats a little of what the client sent', () => {
  const LONG = 'x'.repeat(8_000);
  const HUGE = 'y'.repeat(1_000_000);
  /** Longer than any sentence of ours with what it quotes. */
  const MAX_ERROR_LENGTH = 1_500;
  type Case = readonly [string, () => readonly [string, string, AskOptions?]];
  const cases: readonly Case[] = [
    ['an unknown path', () => ['GET', `/${LONG}`]],
    ['a wrong method', () => ['DELETE', `/threads/${LONG}/messages`]],
    ['an id of another kind', () => ['GET', `/threads/${LONG}`]],
    ['an id of nobody', () => ['GET', `/threads/thread_${LONG}`]],
    ['an unknown model', () => ['GET', `/models/${LONG}`]],
    ['an unknown agent', () => ['POST', `/routes/open/${LONG}/execute`, { body: { query: 'x' } }]],
    ['an unknown cursor', () => ['GET', `/threads/${thread}/messages?after=${LONG}`]],
    ['an unknown plugin', () => ['POST', `/pluginapi?tid=${thread}&pid=${LONG}`]],
    ['an order', () => ['GET', `/threads/${thread}/messages?order=${LONG}`]],
    ['an assistant of nobody', () => ['POST', `/threads/${thread}/runs`, { body: { assistant_id: HUGE } }]],
    ['an unknown key', () => ['POST', '/threads', { body: { [HUGE]: 1 } }]],
    [
      'an unknown key of a tool',
      () => ['POST', '/assistants', { body: { model: 'm', tools: [{ type: 'function', [HUGE]: 1 }] } }],
    ],
    ['a role', () => ['POST', `/threads/${thread}/messages`, { body: { role: HUGE, content: 'x' } }]],
    [
      'a role that is an object',
      () => ['POST', `/threads/${thread}/messages`, { body: { role: { [HUGE]: HUGE }, content: 'x' } }],
    ],
    ['a key of metadata', () => ['POST', '/threads', { body: { metadata: { [HUGE]: 1 } } }]],
    ['a type of tool', () => ['POST', '/assistants', { body: { model: 'm', tools: [{ type: HUGE }] } }]],
    [
      'a chosen tool',
      () => [
        'POST',
        `/threads/${thread}/runs`,
        {
          body: { assistant_id: assistant, tool_choice: { type: 'function', function: { name: HUGE } } },
        },
      ],
    ],
    [
      'a way to multitask',
      () => [
        'POST',
        '/chat/completions',
        { body: { model: 'm', messages: [{ role: 'user', content: 'x' }], metadata: { multitask: HUGE } } },
      ],
    ],
    [
      'an assistant named as model',
      () => [
        'POST',
        '/chat/completions',
        { body: { model: `asst_${'z'.repeat(250)}`, messages: [{ role: 'user', content: 'x' }] } },
      ],
    ],
    ['a body that is not JSON', () => ['POST', '/threads', { body: HUGE }]],
  ];
  test.each(cases)('%s', async (_, request) => {
    const reply = await wire.ask(...request());
    expect(reply.status).toBeGreaterThanOrEqual(400);
    expect(reply.status).toBeLessThan(500);
    expect(reply.text.length).toBeLessThan(MAX_ERROR_LENGTH);
  });
});

describe('what is kept has a size', () => {
  const tool = (bytes: number): object => ({
    type: 'function',
    function: { name: 'f', parameters: { type: 'object', description: '*'.repeat(bytes) } },
  });
  const schema = (bytes: number): object => ({
    type: 'json_schema',
    json_schema: { name: 's', schema: { description: '*'.repeat(bytes) } },
  });
  const said = (bytes: number): object => ({ role: 'user', content: 'é'.repeat(bytes / 2) });
  const picture = (bytes: number): object => ({
    role: 'user',
    content: [
      { type: 'text', text: 'look' },
      { type: 'image_url', image_url: { url: `data:image/png;base64,${'A'.repeat(bytes)}` } },
    ],
  });

  test.each([
    ['assistant', '/assistants', { model: 'm' }],
    ['run', '/threads/runs', {}],
  ])('the schemas of the tools of an %s', async (_, path, more) => {
    const body = { ...more, ...(path === '/threads/runs' && { assistant_id: assistant }) };
    await wire.ok('POST', path, { ...body, tools: [tool(131_000)] });
    const one = await wire.ask('POST', path, { body: { ...body, tools: [tool(132_000)] } });
    expectRefusal(one, {
      param: 'tools[0].function.parameters',
      code: 'object_above_max_bytes',
      message: /^Invalid 'tools\[0\]\.function\.parameters': too large\. Expected at most 131072 bytes/,
    });
    await wire.ok('POST', path, { ...body, tools: Array.from({ length: 3 }, () => tool(131_000)) });
    const all = await wire.ask('POST', path, {
      body: { ...body, tools: Array.from({ length: 5 }, () => tool(131_000)) },
    });
    expectRefusal(all, {
      param: 'tools',
      code: 'object_above_max_bytes',
      message: /^Invalid 'tools': too large\. Expected at most 524288 bytes/,
    });
    await wire.ok('POST', path, { ...body, response_format: schema(130_000) });
    const format = await wire.ask('POST', path, { body: { ...body, response_format: schema(132_000) } });
    expectRefusal(format, {
      param: 'response_format',
      code: 'object_above_max_bytes',
      message: /^Invalid 'response_format': too large/,
    });
  });

  test('a message, in every place where messages come in', async () => {
    const refusal = (param: string) => ({
      param,
      code: 'message_too_large',
      message:
        /A message may have 100000 bytes on this server, but this one has 1\d+\. .*MESSAGE_LIMIT_BYTES\.$/,
    });
    for (const message of [said(100_002), picture(100_002)]) {
      const messages = [said(2), message];
      const alone = await wire.ask('POST', `/threads/${thread}/messages`, { body: message });
      expectRefusal(alone, refusal('content'));
      expectRefusal(
        await wire.ask('POST', '/threads', { body: { messages } }),
        refusal('messages[1].content'),
      );
      const run = { assistant_id: assistant, additional_messages: messages };
      expectRefusal(
        await wire.ask('POST', `/threads/${thread}/runs`, { body: run }),
        refusal('additional_messages[1].content'),
      );
      const both = { assistant_id: assistant, thread: { messages } };
      expectRefusal(
        await wire.ask('POST', '/threads/runs', { body: both }),
        refusal('thread.messages[1].content'),
      );
      const chat = { model: 'm', thread_id: 'talk', messages: [message] };
      expectRefusal(await wire.ask('POST', '/chat/completions', { body: chat }), refusal('messages'));
    }
    await wire.ok('POST', `/threads/${thread}/messages`, said(100_000));
  });

  test('a conversation that is brought along', async () => {
    const messages = Array.from({ length: 5 }, () => said(50_000));
    const reply = await wire.ask('POST', '/chat/completions', { body: { model: 'm', messages } });
    expectRefusal(reply, {
      param: 'messages',
      code: 'messages_too_large',
      message:
        /may bring 200000 bytes of messages to this server, but this one brings 250000\. .*PROMPT_LIMIT_BYTES\.$/,
    });
  });

  test('what a chat writes with each step of its run', async () => {
    const chat = (more: object) =>
      wire.ask('POST', '/chat/completions', { body: { model: 'm', messages: [said(2)], ...more } });
    const system = { role: 'system', content: 'x'.repeat(2_100_000) };
    expectRefusal(await chat({ messages: [system, said(2)] }), {
      param: 'messages',
      code: 'instructions_too_large',
      message:
        /may have 2097152 bytes together, but these have 2100000\. Documents belong into user messages\.$/,
    });
    for (const more of [{ prediction: { content: 'x'.repeat(530_000) } }, { strange: 'x'.repeat(530_000) }])
      expectRefusal(await chat(more), {
        code: 'request_too_large',
        message:
          /^The request is too large: beside its messages and tools it may have 524288 bytes, but it has 530\d\d\d\./,
      });
  });

  test('the outputs of a submission', async () => {
    const run = await wire.ok('POST', '/threads/runs', { assistant_id: assistant });
    const outputs = ['a', 'b'].map((tool_call_id) => ({ tool_call_id, output: 'x'.repeat(60_000) }));
    const path = `/threads/${String(run['thread_id'])}/runs/${run.id}/submit_tool_outputs`;
    expectRefusal(await wire.ask('POST', path, { body: { tool_outputs: outputs } }), {
      param: 'tool_outputs',
      code: 'outputs_too_large',
      message:
        /may have 100000 bytes together on this server, but these have 120000\. .*MESSAGE_LIMIT_BYTES\.$/,
    });
  });
});

describe('a page of a list', () => {
  /** Shows A-LIST-15. */
  test('ends where its bytes are used up, and the next page goes on', async () => {
    const full = await wire.thread('0');
    for (let count = 1; count < 6; count++)
      await wire.ok('POST', `/threads/${full}/messages`, {
        role: 'user',
        content: String(count) + 'x'.repeat(90_000),
      });
    const seen: string[] = [];
    let after = '';
    let pages = 0;
    for (;;) {
      const reply = await wire.ask('GET', `/threads/${full}/messages?order=asc&limit=100${after}`);
      expect(reply.text.length).toBeLessThan(210_000);
      const page = pageSchema.parse(reply.body);
      pages += 1;
      seen.push(...page.data.map(({ content }) => content[0]?.text.value[0] ?? ''));
      if (!page.has_more) break;
      after = `&after=${page.last_id}`;
    }
    expect(seen).toStrictEqual(['0', '1', '2', '3', '4', '5']);
    expect(pages).toBe(3);
  });
});
