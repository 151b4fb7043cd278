/**
 * The API under Azure's paths, without an SDK in between: the same resources, any `api-version`, deployments as models, and
 * the same guard at the door as everywhere. The SDKs themselves are in sdk-matrix.test.ts and test/clients/azure.
 */
/* oxlint-disable vitest/expect-expect -- expectRefusal and expectFoundry assert. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { ask } from '../support/raw.ts';
import { expectRefusal } from '../support/refusal.ts';
import { saidIn, Wire, type Reply } from '../support/wire.ts';
import { withService } from '../support/with-service.ts';

const KEY = 'the key';
const BODY_LIMIT_BYTES = 64 * 1024;
const OPENAI = ['/openai', '/openai/v1'];
const FOUNDRY = [
  '/api/projects/any-project',
  '/agents/v1.0/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w',
];
const HOSTED_TOOLS = [
  'azure_ai_search',
  'azure_function',
  'bing_custom_search',
  'bing_grounding',
  'browser_automation',
  'computer_use_preview',
  'connected_agent',
  'deep_research',
  'fabric_dataagent',
  'mcp',
  'openapi',
  'sharepoint_grounding',
];

const folder = mkdtempSync(join(tmpdir(), 'longrun-azure-'));
afterAll(() => rmSync(folder, { recursive: true }));

const { upstream, service } = withService(() => {
  const config = join(folder, 'config.json');
  const aliases = { 'our-deployment': 'fake-model' };
  const upstreams = [{ name: 'default', baseUrl: upstream.baseUrl, aliases }];
  writeFileSync(config, JSON.stringify({ upstreams }));
  const env = { LONGRUN_CONFIG: config, BODY_LIMIT_BYTES: String(BODY_LIMIT_BYTES) };
  return { env: { AUTH: 'key', API_KEY: KEY, ...env } };
});
/** With the key, and paths from the root. */
const wire = new Wire(() => service.url, { 'api-key': KEY });
/** Without one. */
const stranger = new Wire(() => service.url);

const modelSchema = z.looseObject({ model: z.string() });
const hello = { messages: [{ role: 'user', content: 'hello' }] };

/** What the model server was asked for when it heard `text`. */
async function modelAskedWith(text: string): Promise<string> {
  return (await upstream.asked((request) => request.text === text)).body.model;
}

describe.each([...OPENAI, ...FOUNDRY])('under %s', (base) => {
  test('assistants, threads and runs are those of /v1', async () => {
    const { id } = await wire.ok('POST', `${base}/assistants?api-version=2024-05-01-preview`, {
      model: 'm',
    });
    expect(await wire.ok('GET', `/v1/assistants/${id}`)).toEqual(
      await wire.ok('GET', `${base}/assistants/${id}`),
    );
    const thread = await wire.ok('POST', `${base}/threads?api-version=v1`, hello);
    const stream = await wire.stream('POST', `${base}/threads/${thread.id}/runs?api-version=anything`, {
      body: { assistant_id: id, stream: true },
    });
    expect(saidIn(await stream.rest())).toBe('You said: hello');
    const [answer] = await wire.list(`/v1/threads/${thread.id}/messages?limit=1`);
    expect(answer).toMatchObject({ assistant_id: id, role: 'assistant' });
  });

  test('lists take an api-version beside their own parameters, and /models is there', async () => {
    for (const name of ['one', 'two']) await wire.ok('POST', `${base}/assistants`, { model: 'm', name });
    const [newest, next] = await wire.list(`${base}/assistants?api-version=v1&limit=2&order=desc`);
    expect([newest, next]).toMatchObject([{ name: 'two' }, { name: 'one' }]);
    expect(await wire.list(`${base}/models?api-version=2024-10-21`)).toContainEqual(
      expect.objectContaining({ id: 'fake-model' }),
    );
  });

  test('a key is asked for, wherever the request leads', async () => {
    for (const path of ['/assistants', '/files', '/nothing']) {
      const { status, text } = await stranger.ask('GET', base + path);
      expect(status).toBe(401);
      expect(text).toContain("You didn't provide an API key");
    }
    const wrong = { headers: { 'api-key': 'another key' } };
    expect((await stranger.ask('GET', `${base}/assistants`, wrong)).status).toBe(401);
    const bearer = { headers: { authorization: `Bearer ${KEY}` } };
    expect((await stranger.ask('GET', `${base}/assistants`, bearer)).status).toBe(200);
  });

  test('foreign pages and names are turned away, and a body has its limit', async () => {
    const path = `${base}/threads?api-version=v1`;
    const asked = { 'api-key': KEY, 'content-type': 'application/json' };
    const page = { ...asked, origin: 'https://evil.example' };
    const name = { ...asked, host: 'evil.example' };
    for (const [headers, code] of [
      [page, 'origin_not_allowed'],
      [name, 'host_not_allowed'],
    ] as const) {
      const { status, text } = await ask(service.url, 'POST', path, { headers, body: '{}' });
      expect(status).toBe(403);
      expect(text).toContain(code);
    }
    const body = { metadata: { long: 'x'.repeat(BODY_LIMIT_BYTES) } };
    expect((await wire.ask('POST', path, { body })).status).toBe(413);
  });

  test('an Idempotency-Key stands for one request, its path included', async () => {
    const headers = { 'idempotency-key': `${base} once` };
    const path = `${base}/threads?api-version=v1`;
    const first = await wire.ask('POST', path, { body: {}, headers });
    expect(first.status).toBe(200);
    expect((await settled('POST', path, headers)).body).toEqual(first.body);
    const other = await wire.ask('POST', `${base}/threads?api-version=v2`, { body: {}, headers });
    expect(other).toMatchObject({ status: 422, body: { error: { code: 'idempotency_key_reused' } } });
  });

  test('what is missing everywhere is missing here, and says so', async () => {
    expect((await wire.ask('GET', `${base}/nothing`)).status).toBe(404);
    expect((await wire.ask('DELETE', `${base}/assistants`)).status).toBe(405);
  });
});

/** Until the first sending has left what it leaves. */
async function settled(method: string, path: string, headers: Record<string, string>): Promise<Reply> {
  const reply = await wire.ask(method, path, { body: {}, headers });
  return reply.status === 409 ? settled(method, path, headers) : reply;
}

describe('a deployment', () => {
  const path = (name: string, operation = 'chat/completions'): string =>
    `/openai/deployments/${name}/${operation}?api-version=2024-10-21`;
  const chat = (text: string, more: object = {}) => ({
    messages: [{ role: 'user', content: text }],
    ...more,
  });

  test('is the model that answers, whatever the body says or leaves out', async () => {
    await wire.ok('POST', path('one-model'), chat('with another', { model: 'another-model' }));
    expect(await modelAskedWith('with another')).toBe('one-model');
    await wire.ok('POST', path('one-model'), chat('with none'));
    expect(await modelAskedWith('with none')).toBe('one-model');
  });

  test('may be an alias, an assistant, and have slashes in its name, spelt out or not', async () => {
    const answer = await wire.ok('POST', path('our-deployment'), chat('by alias'));
    expect(modelSchema.parse(answer).model).toBe('our-deployment');
    expect(await modelAskedWith('by alias')).toBe('fake-model');
    await wire.ok('POST', '/openai/assistants', { model: 'model-of-aide', name: 'Azure Aide' });
    await wire.ok('POST', path('Azure%20Aide'), chat('by assistant'));
    expect(await modelAskedWith('by assistant')).toBe('model-of-aide');
    await wire.ok('POST', path('vendor/model'), chat('by slash'));
    expect(await modelAskedWith('by slash')).toBe('vendor/model');
    await wire.ok('POST', path('vendor%2Fmodel'), chat('by %2F'));
    expect(await modelAskedWith('by %2F')).toBe('vendor/model');
  });

  test('refuses a body that is none as it is refused elsewhere', async () => {
    expectRefusal(await wire.ask('POST', path('m'), { body: '[1]' }), {
      message: 'Invalid type for the request body: expected an object, but got an array instead.',
      code: 'invalid_type',
    });
    expectRefusal(await wire.ask('POST', path('m'), { body: '{' }), {
      message: /^We could not parse the JSON body of your request\. /,
    });
    expectRefusal(await wire.ask('POST', path('m'), { body: {} }), {
      message: "Missing required parameter: 'messages'.",
      param: 'messages',
      code: 'missing_required_parameter',
    });
    expectRefusal(await wire.ask('POST', path('x'.repeat(257)), { body: chat('long') }), {
      message: /^Invalid 'model': string too long\./,
      param: 'model',
      code: 'string_above_max_length',
    });
  });

  test('is part of what an Idempotency-Key stands for', async () => {
    const headers = { 'idempotency-key': 'a deployment' };
    const ask = (name: string): Promise<Reply> =>
      wire.ask('POST', path(name), { body: chat('keyed'), headers });
    expect((await ask('one')).status).toBe(200);
    expect((await ask('two')).status).toBe(422);
  });

  test('has no documents of its own, and nothing else', async () => {
    const grounded = chat('grounded', { data_sources: [{ type: 'azure_search' }] });
    expectRefusal(await wire.ask('POST', path('m'), { body: grounded }), {
      message: "'data_sources' is not supported by this server yet.",
      param: 'data_sources',
      code: 'unsupported',
    });
    expect((await wire.ask('POST', path('m', 'images/variations'), { body: {} })).status).toBe(404);
    expect((await wire.ask('GET', path('m'))).status).toBe(405);
  });
});

describe.each(FOUNDRY)('the agents client at %s', (base) => {
  /** A refusal with what Azure's libraries show of it. */
  function expectFoundry(reply: Reply, status: number, code: string, target: string | null): void {
    const message: unknown = expect.stringMatching(/./);
    expect({ status: reply.status, body: reply.body }).toEqual({
      status,
      body: {
        error: {
          message,
          type: 'invalid_request_error',
          param: target,
          code,
          target,
        },
      },
    });
  }

  test('reads a code and a target in every refusal, whoever makes it', async () => {
    expectFoundry(await wire.ask('GET', `${base}/assistants/asst_none`), 404, 'not_found', null);
    expectFoundry(await wire.ask('GET', `${base}/nothing`), 404, 'not_found', null);
    expectFoundry(await wire.ask('DELETE', `${base}/assistants`), 405, 'method_not_supported', null);
    expectFoundry(await wire.ask('POST', `${base}/assistants`, { body: '{' }), 400, 'bad_request', null);
    const unnamed = await wire.ask('POST', `${base}/assistants`, { body: {} });
    expectFoundry(unnamed, 400, 'missing_required_parameter', 'model');
    expectFoundry(await stranger.ask('GET', `${base}/assistants`), 401, 'unauthorized', null);
    const headers = { origin: 'https://evil.example' };
    expectFoundry(await wire.ask('GET', `${base}/assistants`, { headers }), 403, 'origin_not_allowed', null);
  });

  test.each(HOSTED_TOOLS)('is told by name that there is no %s', async (type) => {
    const weather = { type: 'function', function: { name: 'weather' } };
    const tools = [weather, { type, [type]: {} }];
    const message = `The tool type '${type}' is not supported by this server yet.`;
    const refused = {
      status: 400,
      body: { error: { message, code: 'unsupported', target: 'tools[1].type' } },
    };
    const thread = await wire.ok('POST', `${base}/threads`, {});
    const { id: assistant_id } = await wire.ok('POST', `${base}/assistants`, { model: 'm' });
    for (const [path, body] of [
      ['/assistants', { model: 'm', tools }],
      [`/assistants/${assistant_id}`, { tools }],
      [`/threads/${thread.id}/runs`, { assistant_id, tools }],
      ['/threads/runs', { assistant_id, tools }],
    ] as const) {
      expect(await wire.ask('POST', base + path, { body })).toMatchObject(refused);
    }
    const chosen = { assistant_id, tool_choice: { type } };
    expect(await wire.ask('POST', `${base}/threads/${thread.id}/runs`, { body: chosen })).toMatchObject({
      status: 400,
      body: { error: { message, code: 'unsupported', target: 'tool_choice.type' } },
    });
  });

  test('is told what may stand for a tool type that nobody has, and of strange lists of tools as elsewhere', async () => {
    const ask = (tools: unknown) => wire.ask('POST', `${base}/assistants`, { body: { model: 'm', tools } });
    expect(await ask([{ type: 'teapot' }])).toMatchObject({ body: { error: { code: 'invalid_value' } } });
    expect(await ask([null])).toMatchObject({ body: { error: { code: 'invalid_type' } } });
    expect(await ask('mcp')).toMatchObject({ body: { error: { code: 'invalid_type' } } });
    expect(await ask([{ type: ['mcp'] }])).toMatchObject({ body: { error: { code: 'invalid_value' } } });
  });
});

test('elsewhere these tool types are values like any other that is none', async () => {
  const body = { model: 'm', tools: [{ type: 'bing_grounding' }] };
  expectRefusal(await wire.ask('POST', '/v1/assistants', { body }), {
    message: /^Invalid value: 'bing_grounding'\. /,
    param: 'tools[0].type',
    code: 'invalid_value',
  });
});

test('a project that is called like a thread is no conversation: a retry in it may be somebody else’s', async () => {
  const path = '/api/projects/thread_1/threads';
  const made = async (retries: number): Promise<unknown> => {
    const headers = { 'x-stainless-retry-count': String(retries) };
    return (await wire.ask('POST', path, { body: {}, headers })).body;
  };
  const first = await made(0);
  // Whatever is kept of the first is kept by the time of another one.
  await wire.ok('POST', path, { metadata: { k: 'v' } });
  const again = await made(1);
  expect(again).toMatchObject({ object: 'thread' });
  expect(again).not.toHaveProperty('id', z.object({ id: z.string() }).parse(first).id);
});
