/**
 * The mode in which the caller's key is the upstream's: it gets there, parts the callers from each other, and is nowhere
 * else, neither in Redis nor in a log.
 */
import OpenAI from 'openai';
import { expect, inject, test } from 'vitest';
import { answerOf, asking, hear, post, refusalOf, textOf } from '../support/chat.ts';
import { contentsOf, openLook } from '../support/contents.ts';
import { calls, refuses } from '../support/upstream.ts';
import { withService } from '../support/with-service.ts';

/** Not of any known shape, so that nothing masks it by its looks. */
const ADA = 'adas/own+key_0123456789';
const BOB = 'bobs/own+key_9876543210';

const { upstream, service } = withService({
  env: {
    AUTH: 'passthrough',
    SECRET: 'the secret of these tests',
    UPSTREAM_RETRIES: '0',
    LOG_LEVEL: 'debug',
  },
});

const bearer = (key: string): Record<string, string> => ({ authorization: `Bearer ${key}` });
const chat = (body: object, headers: Record<string, string>): Promise<Response> =>
  post(`${service.baseUrl}/chat/completions`, body, { headers });

test.each([
  ['as a bearer', bearer(ADA)],
  ['alone', { authorization: ADA }],
  ['as X-API-Key', { 'x-api-key': ADA }],
  ['as api-key', { 'api-key': ADA }],
])('the key reaches the upstream, wherever it came: %s', async (_how, headers) => {
  await answerOf(await chat(asking('hi'), headers));
  expect(upstream.requests.at(-1)?.headers.authorization).toBe(`Bearer ${ADA}`);
});

test('the key reaches the upstream from every path, and for runs of the Assistants API', async () => {
  await hear(await post(`${service.url}/chat/completions`, asking('hi'), { headers: bearer(BOB) }));
  expect(upstream.requests.at(-1)?.headers.authorization).toBe(`Bearer ${BOB}`);
  const openai = new OpenAI({ baseURL: service.baseUrl, apiKey: ADA, maxRetries: 0 });
  const { id: assistant_id } = await openai.beta.assistants.create({ model: 'any-model' });
  const run = await openai.beta.threads.createAndRunPoll(
    { assistant_id, thread: { messages: [{ role: 'user', content: 'hi' }] } },
    { pollIntervalMs: 20 },
  );
  expect(run.status).toBe('completed');
  expect(upstream.requests.at(-1)?.headers.authorization).toBe(`Bearer ${ADA}`);
});

test.each<Record<string, string>>([{}, { authorization: 'Bearer ' }, { authorization: '' }])(
  'a request without a key is refused: %j',
  async (headers) => {
    const before = upstream.requests.length;
    const refused = await refusalOf(await chat(asking('hi'), headers));
    expect(refused).toMatchObject({ status: 401, type: 'invalid_request_error' });
    expect(upstream.requests.length).toBe(before);
  },
);

test('two keys have two threads of the same name, and cannot see each other’s', async () => {
  const openai = new OpenAI({ baseURL: service.baseUrl, apiKey: ADA, maxRetries: 0 });
  const { id } = await openai.beta.threads.create();
  await answerOf(await chat(asking('I am Ada.', { thread_id: 1 }), bearer(ADA)));
  await answerOf(await chat(asking('I am Bob.', { thread_id: 1 }), bearer(BOB)));
  expect(upstream.requests.at(-1)?.body.messages).toHaveLength(1);
  await answerOf(await chat(asking('Who am I?', { thread_id: 1 }), bearer(ADA)));
  expect(upstream.requests.at(-1)?.body.messages[0]).toEqual({ role: 'user', content: 'I am Ada.' });
  const refused = await refusalOf(await chat(asking('hi', { thread_id: id }), bearer(BOB)));
  expect(refused).toMatchObject({ status: 404, message: `No thread found with id '${id}'.` });
  const { id: model } = await openai.beta.assistants.create({ model: 'any-model', name: 'Adas' });
  expect((await refusalOf(await chat(asking('hi', { model }), bearer(BOB)))).status).toBe(404);
  await answerOf(await chat(asking('hi', { model: 'adas' }), bearer(BOB)));
  // To Bob it is the name of a model.
  expect(upstream.requests.at(-1)?.body.model).toBe('adas');
});

test('an Idempotency-Key of one caller is not another’s', async () => {
  const headers = { 'idempotency-key': 'the same' };
  await expect(textOf(await chat(asking('Ada'), { ...bearer(ADA), ...headers }))).resolves.toBe(
    'You said: Ada',
  );
  await expect(textOf(await chat(asking('Bob'), { ...bearer(BOB), ...headers }))).resolves.toBe(
    'You said: Bob',
  );
});

test('no key lies in Redis or in a log, whatever becomes of the request', async () => {
  const redis = openLook(inject('redisUrl'));
  try {
    const tools = [{ type: 'function', function: { name: 'weather' } }];
    const headers = { ...bearer(ADA), 'idempotency-key': 'some key' };
    await answerOf(await chat(asking('hi', { thread_id: 'kept' }), headers));
    upstream.reply(({ text }) => {
      if (text === 'call') return calls([{ name: 'weather', arguments: {} }]);
      return refuses(text === 'no' ? 401 : 500, `Incorrect API key provided: ${ADA}.`);
    });
    await answerOf(await chat(asking('call', { tools, thread_id: 'waits' }), bearer(ADA)));
    const refused = await refusalOf(await chat(asking('no', { thread_id: 'fails' }), bearer(ADA)));
    expect(refused.message).toContain('refused your API key (401)');
    expect(refused.message).not.toContain(ADA);
    await chat(asking('broken'), bearer(ADA));
    await chat(asking('x', { thread_id: {} }), bearer(ADA));
    const held = await contentsOf(redis, service.redisPrefix);
    expect(held.length).toBeGreaterThan(10);
    const secrets = [ADA, BOB, Buffer.from(ADA).toString('base64'), 'the secret of these tests'];
    for (const secret of secrets) {
      expect(held.filter(({ key, text }) => (key + text).includes(secret))).toEqual([]);
      expect(service.logs.filter((line) => JSON.stringify(line).includes(secret))).toEqual([]);
    }
  } finally {
    redis.disconnect();
  }
});

test('the list of models is what the upstream lists for the key', async () => {
  const openai = new OpenAI({ baseURL: service.baseUrl, apiKey: ADA, maxRetries: 0 });
  const ids = (await openai.models.list()).data.map(({ id }) => id);
  expect(ids).toContain('fake-model');
  expect(JSON.stringify(service.logs)).not.toContain(ADA);
});

test('a caller without a key hears whose key it is that is missing', async () => {
  const response = await fetch(`${service.baseUrl}/models`);
  expect(response.status).toBe(401);
  expect(await response.text()).toContain('it is a key of the model server behind this one.');
});
