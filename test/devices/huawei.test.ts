/** Agents under their own address (huawei, Huawei's "execute"): typed events, memory of three kinds, and variables. */
import OpenAI from 'openai';
import { beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { noHostedTools, noRemoteTools } from '../support/hosted.ts';
import { z } from 'zod';
import { INSTALL_MS, type Python } from '../clients/programs.ts';
import { execute } from '../../src/runs/execute.ts';
import type { RunTool } from '../../src/runs/tool.ts';
import { Seal } from '../../src/seal.ts';
import { stateAfter } from '../runs/histories.ts';
import { KEYED, withSharedService } from '../support/shared-service.ts';
import { calls, refuses, says, text, type UpstreamRequest } from '../support/upstream.ts';
import { Device } from './device.ts';
import { containing, matching, SOME_TEXT } from './matchers.ts';
import { missingShell, playDocument, pythonWithRequests } from './documents.ts';
import { withService } from '../support/with-service.ts';
import { everythingIn } from './storage.ts';

const SENSITIVE = 'the-users-bank-card-6225';
const SECRET = 'a secret of the operator';

const eventSchema = z.strictObject({
  request_id: z.string().min(1),
  agent_id: z.string(),
  user_id: z.string(),
  conversation_id: z.string(),
  type: z.enum(['agent_start', 'tool_start', 'tool_end', 'message', 'error', 'end']),
  data: z.record(z.string(), z.unknown()),
});
type AgentEvent = z.infer<typeof eventSchema>;

let openai: OpenAI;
let agentId: string;
let noShell: string | null;
let python: Python;

const { upstream, service } = withService({ env: { SECRET, UPSTREAM_RETRIES: '0' } });

beforeAll(async () => {
  openai = new OpenAI({ baseURL: service.baseUrl, apiKey: 'none' });
  agentId = (await openai.beta.assistants.create({ model: 'any', name: 'host', instructions: '你是主人。' }))
    .id;
  [noShell, python] = await Promise.all([missingShell(), pythonWithRequests()]);
}, INSTALL_MS);

beforeEach(() => upstream.reply(() => says('您好，', '请坐。')));

const address = (agent = agentId): string => `${service.url}/v1/routes/open/${agent}/execute`;
const ask = (body: unknown, agent = agentId): ReturnType<Device['ask']> =>
  new Device(address(agent)).ask(body);
const eventsOf = (data: readonly unknown[]): readonly AgentEvent[] =>
  data.map((event) => eventSchema.parse(event));
const typesOf = (events: readonly AgentEvent[]): readonly string[] => events.map(({ type }) => type);
const run = async (body: unknown, agent = agentId): Promise<readonly AgentEvent[]> =>
  eventsOf((await ask(body, agent)).data);

const last = (): UpstreamRequest => {
  const request = upstream.requests.at(-1);
  if (request === undefined) throw new Error('the model was not asked');
  return request;
};
/** What the model was told, without the agent's own instructions. */
const told = (): readonly (readonly unknown[])[] =>
  last()
    .body.messages.slice(1)
    .map(({ role, content }) => [role, content]);

function saidIn(events: readonly AgentEvent[]): string {
  return events
    .filter(({ type }) => type === 'message')
    .map(({ data }) => String(data['content']))
    .join('');
}

describe("the document's own programs, with their misprints mended", () => {
  const KEY = 'sk-some-key';

  test('the curl gets events', async (context) => {
    if (noShell !== null) return context.skip(noShell);
    const { stdout, code } = await playDocument('huawei/query.sh', 'bash', {
      '{{ 第二步获得的api地址 }}': address(),
      '{{ 第三步获得的apikey }}': KEY,
      '{{ 输入问题 }}': '您好',
    });
    expect(code).toBe(0);
    const data = stdout.split('\n').flatMap((line) => /^data: (\{.+)$/.exec(line)?.[1] ?? []);
    expect(saidIn(eventsOf(data.map((line): unknown => JSON.parse(line))))).toBe('您好，请坐。');
  });

  test('the Python program gets events', async (context) => {
    if ('missing' in python) return context.skip(python.missing);
    const ended = await playDocument('huawei/query.py', python.path, {
      '{{ 获取api接口信息获取的api地址 }}': address(),
      '{{ 获取鉴权信息获取的apikey }}': KEY,
    });
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout).toContain('请坐。');
    expect(told()).toEqual([['user', '您好']]);
  });
});

describe('events', () => {
  test('begin and end an answer of words, and carry the same four ids', async () => {
    const events = await run({ query: '您好', user_id: 'ann', conversation_id: 'c-1' });
    expect(typesOf(events)).toEqual(['agent_start', ...events.slice(1, -1).map(() => 'message'), 'end']);
    expect(saidIn(events)).toBe('您好，请坐。');
    const [first] = events;
    for (const { request_id, agent_id, user_id, conversation_id } of events) {
      expect({ request_id, agent_id, user_id, conversation_id }).toEqual({
        request_id: first?.request_id,
        agent_id: agentId,
        user_id: 'ann',
        conversation_id: 'c-1',
      });
    }
    expect(first?.data).toEqual({ id: agentId, name: 'host', type: 'agent' });
    const [message] = events.filter(({ type }) => type === 'message');
    expect(message?.data).toEqual({
      id: SOME_TEXT,
      content: SOME_TEXT,
      url: {},
      raw: { choices: [{ index: 0, delta: { role: 'assistant', content: message?.data['content'] } }] },
    });
  });

  test("tell of the server's own tools, before the words", async () => {
    const agent = await openai.beta.assistants.create({
      model: 'any',
      tools: [{ type: 'function', function: { name: 'clock' } }],
    });
    upstream.reply(({ outputs }) =>
      outputs.length === 0
        ? calls([{ name: 'clock', arguments: { timezone: 'Asia/Shanghai' } }])
        : says('现在', '是晚上。'),
    );
    const events = await run({ query: '几点了？' }, agent.id);
    expect(typesOf(events).filter((type, index, all) => type !== all[index - 1])).toEqual([
      'agent_start',
      'tool_start',
      'tool_end',
      'message',
      'end',
    ]);
    const [started, ended] = events.filter(({ type }) => type.startsWith('tool_'));
    expect(started?.data).toEqual({ id: SOME_TEXT, name: 'clock', type: 'tool' });
    expect(ended?.data).toMatchObject({
      id: started?.data['id'],
      name: 'clock',
      status: 'success',
      request: { timezone: 'Asia/Shanghai' },
      response: { timezone: 'Asia/Shanghai' },
    });
  });

  test('say that a tool has failed', async () => {
    const agent = await openai.beta.assistants.create({
      model: 'any',
      tools: [{ type: 'function', function: { name: 'clock' } }],
    });
    upstream.reply(({ outputs }) =>
      outputs.length === 0
        ? calls([{ name: 'clock', arguments: { timezone: 'Nowhere/None' } }])
        : says('不知道。'),
    );
    const events = await run({ query: '几点了？' }, agent.id);
    expect(events.find(({ type }) => type === 'tool_end')?.data).toMatchObject({
      status: 'failed',
      response: { error: SOME_TEXT },
    });
    expect(saidIn(events)).toBe('不知道。');
  });

  test('name the pictures and videos that the answer links to', async () => {
    upstream.reply(() =>
      says('看 ![茶](https://tea.example.com/', 'a.png?w=1) 和 https://tea.example.com/b.mp4 。'),
    );
    const url = { images: ['https://tea.example.com/a.png?w=1'], videos: ['https://tea.example.com/b.mp4'] };
    const events = await run({ query: '有图吗？' });
    expect(events.at(-2)).toMatchObject({ type: 'message', data: { content: '', url } });
    const whole: unknown = JSON.parse((await ask({ query: '有图吗？', stream: false })).raw);
    expect(whole).toMatchObject({ data: { content: containing('a.png'), url } });
  });

  test('with stream false are one object: the whole message, and every event', async () => {
    const heard = await ask({ query: '您好', stream: false });
    expect(heard.contentType).toBe('application/json; charset=utf-8');
    const answer: unknown = JSON.parse(heard.raw);
    expect(answer).toMatchObject({ agent_id: agentId, type: 'message', data: { content: '您好，请坐。' } });
    const { events } = z.looseObject({ events: z.array(eventSchema) }).parse(answer);
    expect(typesOf(events).at(0)).toBe('agent_start');
    expect(typesOf(events).at(-1)).toBe('end');
  });

  test('end with an error where the model server fails, also after some words', async () => {
    upstream.reply(() => refuses(500, 'no'));
    const failed = await run({ query: '您好' });
    expect(typesOf(failed)).toEqual(['agent_start', 'error']);
    expect(failed.at(-1)?.data).toEqual({
      error_code: matching(/^AIAE\.5/),
      error_msg: SOME_TEXT,
    });
    upstream.reply(() => [text('您好'), { type: 'break' }]);
    expect(typesOf(await run({ query: '您好' })).at(-1)).toBe('error');
  });

  test('are a refusal where the model server fails and nothing streams', async () => {
    upstream.reply(() => refuses(500, 'no'));
    const failed = await ask({ query: '您好', stream: false });
    expect(failed.status).toBe(500);
    expect(JSON.parse(failed.raw)).toEqual({ error_code: matching(/^AIAE\.5/), error_msg: SOME_TEXT });
  });

  test('end with an error where the agent wants a tool that only a client could run', async () => {
    const agent = await openai.beta.assistants.create({
      model: 'any',
      tools: [{ type: 'function', function: { name: 'lamp' } }],
    });
    upstream.reply(() => calls([{ name: 'lamp', arguments: {} }]));
    const events = await run({ query: '开灯' }, agent.id);
    expect(events.at(-1)).toMatchObject({
      type: 'error',
      data: { error_msg: containing('lamp') },
    });
    // Nobody could ever answer the call.
    const stored = (): Promise<string> => everythingIn(inject('redisUrl'), service.redisPrefix);
    await expect.poll(stored).not.toContain('"status":"requires_action"');
  });
});

describe('memory', () => {
  const ids = { user_id: 'ann', conversation_id: 'tea' };

  test('behind user_id and conversation_id is the server’s: the second turn sees the first', async () => {
    await run({ query: '我喜欢绿茶。', ...ids });
    await run({ query: '我喜欢什么？', ...ids });
    expect(told()).toEqual([
      ['user', '我喜欢绿茶。'],
      ['assistant', '您好，请坐。'],
      ['user', '我喜欢什么？'],
    ]);
    for (const other of [
      { ...ids, user_id: 'bob' },
      { ...ids, conversation_id: 'coffee' },
    ]) {
      await run({ query: '我喜欢什么？', ...other });
      expect(told()).toHaveLength(1);
    }
  });

  test('of one agent is not another’s', async () => {
    const other = await openai.beta.assistants.create({ model: 'any', instructions: '你是客人。' });
    await run({ query: '我喜欢什么？', ...ids }, other.id);
    expect(told()).toHaveLength(1);
  });

  test('that the request brings along counts instead, tool messages included', async () => {
    const call = { id: 'menucall1', type: 'function', function: { name: 'menu', arguments: '{}' } };
    const memory = [
      { role: 'user', content: '有什么茶？' },
      { role: 'assistant', tool_calls: [call] },
      { role: 'tool', tool_call_id: 'menucall1', content: '红茶' },
      { role: 'assistant', content: '有红茶。' },
    ];
    await run({ query: '我喜欢什么？', memory, ...ids });
    expect(last().body.messages.slice(1)).toMatchObject([
      ...memory,
      { role: 'user', content: '我喜欢什么？' },
    ]);
  });

  test('that is empty counts as none', async () => {
    await run({ query: '我喜欢什么？', memory: [], ...ids });
    expect(told()[0]).toEqual(['user', '我喜欢绿茶。']);
  });

  test('goes on under the ids of the answer, where the request had none', async () => {
    const [first] = await run({ query: '我叫小明。' });
    expect(first?.user_id).toMatch(/^[0-9a-f]{32}$/);
    expect(first?.conversation_id).toMatch(/^[A-Za-z0-9]{32}$/);
    await run({ query: '我叫什么？', user_id: first?.user_id, conversation_id: first?.conversation_id });
    expect(told()).toHaveLength(3);
  });
});

describe('variables', () => {
  test('common ones are told to the model', async () => {
    await run({ query: '您好', variables: { common_variables: { city: '杭州', guests: 3 } } });
    const system = JSON.stringify(last().body.messages[0]);
    expect(system).toContain('你是主人。');
    expect(system).toContain('杭州');
    expect(system).toContain('3');
  });

  test('sensitive ones reach neither the model, nor Redis, nor the log', async () => {
    await run({ query: '您好', user_id: 'eve', variables: { sensitive_variables: { card: SENSITIVE } } });
    expect(JSON.stringify(last().body)).not.toContain(SENSITIVE);
    expect(JSON.stringify(service.logs)).not.toContain(SENSITIVE);
    const stored = await everythingIn(inject('redisUrl'), service.redisPrefix);
    expect(stored).toContain('您好');
    expect(stored).not.toContain(SENSITIVE);
  });

  test('both kinds reach the tools', async () => {
    const seen: Parameters<RunTool>[2][] = [];
    const seal = new Seal(SECRET);
    const queued = stateAfter(['run.started']);
    const state = {
      ...queued,
      run: {
        ...queued.run,
        tools: [{ type: 'function' as const, function: { name: 'pay', parameters: {}, strict: false } }],
      },
      origin: {
        ...queued.origin,
        server_tools: ['pay'],
        context: { city: '杭州' },
        sealed: seal.close({ upstreamKey: null, variables: { card: SENSITIVE }, servers: {} }),
      },
    };
    let asked = 0;
    const events = execute(
      state,
      { input: [{ role: 'user', content: '付钱' }], items: [] },
      {
        model: {
          async *stream() {
            asked += 1;
            if (asked === 1) yield { type: 'call', index: 0, id: 'call_1', name: 'pay' };
            else yield { type: 'text', text: '好了' };
            yield { type: 'finish', reason: 'stop', usage: null };
          },
        },
        runTool: async (_name, _args, context) => {
          seen.push(context);
          return 'paid';
        },
        runHosted: noHostedTools,
        runRemote: noRemoteTools,
        now: () => 2_000,
        newId: (prefix) => `${prefix}_${(asked += 1)}`,
        secretsIn: (sealed) => seal.open(sealed).variables,
        signal: new AbortController().signal,
        contextTokens: () => 10_000,
      },
    );
    await events.next();
    for await (const _ of events);
    expect(seen).toMatchObject([{ extras: { city: '杭州' }, secrets: { card: SENSITIVE } }]);
  });

  test('a sensitive one that the agent declares must be there', async () => {
    const agent = await openai.beta.assistants.create({
      model: 'any',
      metadata: { sensitive_variables: 'card, pin' },
    });
    const heard = await ask(
      { query: '您好', variables: { sensitive_variables: { card: SENSITIVE } } },
      agent.id,
    );
    expect(refused(heard)).toEqual({ status: 400, body: refusal('pin') });
    expect(heard.raw).not.toContain(SENSITIVE);
    const given = { card: SENSITIVE, pin: '1' };
    expect(
      typesOf(await run({ query: '您好', variables: { sensitive_variables: given } }, agent.id)).at(-1),
    ).toBe('end');
  });

  describe('to a server without SECRET', () => {
    const { service: open } = withSharedService();

    test('sensitive ones are refused rather than kept', async () => {
      const sdk = new OpenAI({ baseURL: open.baseUrl, apiKey: 'none' });
      const { id } = await sdk.beta.assistants.create({ model: 'any' });
      const device = new Device(`${open.url}/v1/routes/open/${id}/execute`);
      const heard = await device.ask({
        query: '您好',
        variables: { sensitive_variables: { card: SENSITIVE } },
      });
      expect(refused(heard)).toEqual({ status: 400, body: refusal('SECRET') });
    });
  });
});

/** A refusal in the platform's own shape, which says what is wrong. */
const refusal = (about: string): object => ({
  error_code: matching(/^AIAE\.[45]\d{7}$/),
  error_msg: containing(about),
});

/** A refusal as it came. */
function refused({ status, raw }: Awaited<ReturnType<typeof ask>>): { status: number; body: unknown } {
  return { status, body: JSON.parse(raw) };
}

describe('refusals', () => {
  test.each([
    ['a body with a comment in it', '{"query": "您好", // 问题\n}', 'character 16'],
    ['a body that ends early', '{"query": "您好"', 'ends before'],
    ['no query', { memory: [] }, "'query'"],
    ['an empty query', { query: '' }, "'query'"],
    ['a query that is no text', { query: 1 }, "'query'"],
    [
      'a memory of an unknown role',
      { query: 'x', memory: [{ role: 'robot', content: 'x' }] },
      'memory[0].role',
    ],
    ['a memory without content', { query: 'x', memory: [{ role: 'user' }] }, 'memory[0].content'],
    [
      'a tool answer that answers nothing',
      { query: 'x', memory: [{ role: 'tool', content: 'x' }] },
      'tool_call_id',
    ],
  ])('%s', async (_, body, about) => {
    expect(refused(await ask(body))).toEqual({ status: 400, body: refusal(about) });
  });

  test('an unknown agent', async () => {
    expect(refused(await ask({ query: '您好' }, 'asst_gone'))).toEqual({
      status: 404,
      body: refusal('asst_gone'),
    });
    expect(refused(await ask({ query: '您好' }, 'ab12cd34ab12cd34ab12cd34ab12cd34'))).toEqual({
      status: 404,
      body: refusal('ab12cd34'),
    });
  });

  describe('of a server that asks for a key', () => {
    const { service: keyed } = withSharedService(KEYED);

    test('a missing key', async () => {
      const device = new Device(`${keyed.url}/v1/routes/open/any/execute`);
      expect(refused(await device.ask({ query: '您好' }))).toEqual({ status: 401, body: refusal('API key') });
    });
  });
});

test('an agent is also found by its name', async () => {
  expect((await run({ query: '您好' }, 'host'))[0]?.agent_id).toBe(agentId);
});

test('an agent is found by its name when another of that name is gone', async () => {
  const [first, second] = [
    await openai.beta.assistants.create({ model: 'any', name: 'Twin' }),
    await openai.beta.assistants.create({ model: 'any', name: 'twin' }),
  ];
  await openai.beta.assistants.delete(second.id);
  expect((await run({ query: '您好' }, 'twin'))[0]?.agent_id).toBe(first.id);
});

test('a key is the same caller’s in whatever header it comes', async () => {
  const headers: readonly Record<string, string>[] = [
    { authorization: 'Bearer k' },
    { authorization: 'k' },
    { 'x-api-key': 'k' },
    { 'api-key': 'k' },
  ];
  const heard = await Promise.all(
    headers.map((header) => new Device(address(), header).ask({ query: '您好' })),
  );
  const users = heard.map(({ data }) => eventsOf(data)[0]?.user_id);
  expect(new Set(users).size).toBe(1);
  expect((await run({ query: '您好' }))[0]?.user_id).not.toBe(users[0]);
});

test('a caller that hangs up leaves no run behind', async () => {
  upstream.reply(() => [text('您好'), { type: 'stall' }]);
  const turn = { query: '讲个故事', user_id: 'ann', conversation_id: 'story' };
  const hangUp = new AbortController();
  const response = await fetch(address(), {
    method: 'POST',
    body: JSON.stringify(turn),
    signal: hangUp.signal,
  });
  const reader = response.body?.getReader();
  await reader?.read();
  const asked = await upstream.asked(({ text: said }) => said === '讲个故事');
  hangUp.abort();
  expect((await asked.closed).by).toBe('client');
});
