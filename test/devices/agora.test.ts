/**
 * Voice engines (agora): the path without a version, the caller's key as the upstream's, the engine's own shapes, and what
 * a voice needs: something to say soon, and silence at once when the user interrupts.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { startService, type Service } from '../support/service.ts';
import { calls, FakeUpstream, gate, says, text, type UpstreamRequest } from '../support/upstream.ts';
import { Device, endOf, textIn, wholeText } from './device.ts';
import { listWith, SOME_TEXT } from './matchers.ts';
import { missingShell, playDocument } from './documents.ts';
import { everythingIn } from './storage.ts';

const KEY = 'sk-the-callers-own-upstream-key';
const FILLER = '请稍等。';
const FILLER_AFTER_MS = 20;
const IMAGE_URL = 'https://pictures.example.com/cat.jpg';
const TURN = { model: 'any', messages: [{ role: 'user', content: 'Hello, how are you?' }] };

const folder = mkdtempSync(join(tmpdir(), 'longrun-agora-'));
let upstream: FakeUpstream;
/** AUTH=passthrough, and never a filler. */
let service: Service;
/** AUTH=none, a filler soon, and an endpoint that always begins with it. */
let slow: Service;

beforeAll(async () => {
  upstream = await FakeUpstream.start();
  const config = join(folder, 'longrun.config.json');
  writeFileSync(
    config,
    JSON.stringify({
      devicePaths: [
        { path: '/chat/completions', profile: 'voice' },
        { path: '/rag/chat/completions', profile: 'voice' },
      ],
    }),
  );
  const redisUrl = inject('redisUrl');
  const passthrough = {
    AUTH: 'passthrough',
    SECRET: 'a secret of the operator',
    PASSTHROUGH_TOOLS: 'clock',
    FILLER_AFTER_MS: '60000',
  };
  [service, slow] = await Promise.all([
    startService({ redisUrl, upstream, env: passthrough }),
    startService({
      redisUrl,
      upstream,
      env: { LONGRUN_CONFIG: config, FILLER_AFTER_MS: String(FILLER_AFTER_MS), FILLER_TEXT: FILLER },
    }),
  ]);
});

afterAll(async () => {
  await Promise.all([service?.stop(), slow?.stop()]);
  await upstream?.stop();
  rmSync(folder, { recursive: true });
});

beforeEach(() => upstream.reply(() => says('I am ', 'fine.')));

const engine = (key = KEY): Device =>
  new Device(`${service.url}/chat/completions`, { authorization: `Bearer ${key}` });

const last = (): UpstreamRequest => {
  const request = upstream.requests.at(-1);
  if (request === undefined) throw new Error('the model was not asked');
  return request;
};

test("the document's own curl gets a stream and its end", async (context) => {
  const missing = await missingShell();
  if (missing !== null) return context.skip(missing);
  const { stdout, code } = await playDocument('agora/chat.sh', 'bash', {
    'http://localhost:8000': service.url,
    'your-api-key-here': KEY,
    'your-model-name': 'gpt-4o-mini',
  });
  expect(code).toBe(0);
  const data = stdout.split('\n').flatMap((line) => /^data: (\{.+)$/.exec(line)?.[1] ?? []);
  expect(textIn(data.map((line): unknown => JSON.parse(line)))).toBe('I am fine.');
  expect(stdout.endsWith('data: [DONE]\n\n')).toBe(true);
  expect(last().body.model).toBe('gpt-4o-mini');
});

describe("the caller's key is the upstream's", () => {
  test.each<[string, Readonly<Record<string, string>>]>([
    ['with Bearer', { authorization: `Bearer ${KEY}` }],
    ['without Bearer', { authorization: KEY }],
    ['as X-API-Key', { 'x-api-key': KEY }],
  ])('sent %s', async (_, headers) => {
    await new Device(`${service.url}/chat/completions`, headers).ask(TURN);
    expect(last().headers.authorization).toBe(`Bearer ${KEY}`);
  });

  test('and there is no answer without one', async () => {
    const asked = upstream.requests.length;
    const heard = await new Device(`${service.url}/chat/completions`).ask(TURN);
    expect(heard.status).toBe(401);
    expect(upstream.requests).toHaveLength(asked);
  });

  test('and one caller does not see the threads of another', async () => {
    const turn = { ...TURN, thread_id: 'room' };
    await engine('sk-ann').ask(turn);
    await engine('sk-bob').ask(turn);
    expect(last().body.messages).toHaveLength(1);
    await engine('sk-ann').ask(turn);
    expect(last().body.messages).toHaveLength(3);
  });

  /** Shows A-ID-11. */
  test('and a thread of the Assistants API is not found with another key', async () => {
    const openai = new OpenAI({ baseURL: service.baseUrl, apiKey: 'sk-ann' });
    const { id } = await openai.beta.threads.create({});
    expect((await engine('sk-bob').ask({ ...TURN, thread_id: id })).status).toBe(404);
    expect((await engine('sk-ann').ask({ ...TURN, thread_id: id })).status).toBe(200);
  });

  test('and lies nowhere in clear', async () => {
    await engine().ask({ ...TURN, thread_id: 'kept' });
    const stored = await everythingIn(inject('redisUrl'), service.redisPrefix);
    expect(stored).toContain('Hello, how are you?');
    expect(stored).not.toContain(KEY);
    expect(JSON.stringify(service.logs)).not.toContain(KEY);
  });
});

describe('what an engine sends', () => {
  test('streams unless it says no', async () => {
    const streamed = await engine().ask(TURN);
    expect(streamed).toMatchObject({ contentType: 'text/event-stream; charset=utf-8', isDone: true });
    const whole = await engine().ask({ ...TURN, stream: false });
    expect(wholeText(whole.raw)).toBe('I am fine.');
  });

  test('its image part is a picture for the model', async () => {
    const content = [
      { type: 'text', text: 'What is it?' },
      { type: 'image', image_url: IMAGE_URL },
    ];
    await engine().ask({ ...TURN, messages: [{ role: 'user', content }] });
    expect(last().body.messages[0]?.content).toEqual([
      { type: 'text', text: 'What is it?' },
      { type: 'image_url', image_url: { url: IMAGE_URL, detail: 'auto' } },
    ]);
  });

  test('what it adds to messages, and who it says is speaking where, does not reach the upstream', async () => {
    await engine().ask({
      ...TURN,
      messages: [
        { role: 'system', content: 'Be brief.', timestamp: 1 },
        { role: 'assistant', content: 'Hi!', turn_id: 0, metadata: { source: 'greeting' } },
        { role: 'user', content: 'Hello', turn_id: 1, timestamp: 2, metadata: { source: 'asr', user: '7' } },
      ],
      context: { appId: 'a', userId: 'u', channel: 'c' },
      app_id: 'a',
      agent_uid: '9',
    });
    expect(last().body.messages).toEqual([
      { role: 'system', content: 'Be brief.' },
      // Many model servers want the user to begin.
      { role: 'user', content: '…' },
      { role: 'assistant', content: 'Hi!' },
      { role: 'user', content: 'Hello' },
    ]);
    for (const name of ['context', 'app_id', 'agent_uid']) expect(last().body).not.toHaveProperty(name);
  });

  test('tools, choices, formats and stream options act or pass on', async () => {
    const tool = {
      type: 'function',
      function: { name: 'lamp', parameters: { type: 'object', properties: {} } },
    };
    const tool_choice = { type: 'function', function: { name: 'lamp' } };
    const response_format = {
      type: 'json_schema',
      json_schema: {
        name: 'state',
        strict: true,
        schema: { type: 'object', properties: { on: { type: 'boolean' } } },
      },
    };
    upstream.reply(() => calls([{ name: 'lamp', arguments: { on: true } }]));
    const heard = await engine().ask({
      ...TURN,
      tools: [tool],
      tool_choice,
      response_format,
      parallel_tool_calls: false,
      stream_options: { include_usage: true },
    });
    expect(last().body).toMatchObject({
      tools: [tool],
      tool_choice,
      response_format,
      parallel_tool_calls: false,
    });
    expect(endOf(heard.data.slice(0, -1))).toEqual({ reason: 'tool_calls', tools: ['lamp'] });
    expect(heard.data.at(-1)).toMatchObject({ choices: [], usage: { total_tokens: 15 } });
  });

  test('a single turn continues what was said in its channel, and a conversation is taken as it is', async () => {
    const context = { appId: 'app', userId: 'ann', channel: 'lobby' };
    const say = (content: string, where: object = context): Promise<unknown> =>
      engine().ask({ ...TURN, messages: [{ role: 'user', content }], context: where });
    await say('My name is Ann.');
    await say('What is my name?');
    expect(last().body.messages.map(({ content }) => content)).toEqual([
      'My name is Ann.',
      'I am fine.',
      'What is my name?',
    ]);
    await say('And mine?', { ...context, userId: 'bob' });
    expect(last().body.messages).toHaveLength(1);
    const messages = [
      { role: 'user', content: 'Hello' },
      { role: 'assistant', content: 'Hi!' },
      { role: 'user', content: 'Bye' },
    ];
    await engine().ask({ ...TURN, messages, context });
    expect(last().body.messages).toEqual(messages);
  });

  test.each([
    ['missing messages', { model: 'any' }, 400],
    ['no body at all', '', 400],
  ])('%s are refused', async (_, body, status) => {
    expect((await engine().ask(body)).status).toBe(status);
  });
});

describe("the server's own tools", () => {
  test('are run out of sight, in as many passes as the model needs', async () => {
    const openai = new OpenAI({ baseURL: service.baseUrl, apiKey: KEY });
    await openai.beta.assistants.create({
      name: 'timekeeper',
      model: 'any',
      tools: [{ type: 'function', function: { name: 'clock' } }],
    });
    upstream.reply(({ outputs }) =>
      outputs.length < 5 ? calls([{ name: 'clock', arguments: {} }]) : says('It is late.'),
    );
    const heard = await engine().ask({ ...TURN, model: 'timekeeper' });
    expect(textIn(heard.data)).toBe('It is late.');
    expect(endOf(heard.data)).toEqual({ reason: 'stop', tools: [] });
    expect(last().outputs).toHaveLength(5);
    for (const output of last().outputs) expect(JSON.parse(output)).not.toHaveProperty('error');
  });
});

describe('a slow model', () => {
  test('is covered by the filler, and its answer follows', async () => {
    const slowly = gate();
    upstream.reply(() => [slowly, ...says('Here it is.')]);
    const listening = await new Device(`${slow.url}/chat/completions`).listen(TURN);
    expect(await listening.next()).toBe(FILLER);
    slowly.open();
    expect(await listening.rest()).toBe('Here it is.');
  });

  test('on a path for retrieval too, where the filler has every field of a chunk', async () => {
    const slowly = gate();
    upstream.reply(() => [slowly, ...says('Found.')]);
    const listening = await new Device(`${slow.url}/rag/chat/completions`).listen(TURN);
    const first = await listening.chunk();
    expect(first?.object).toBe('chat.completion.chunk');
    expect(first?.choices[0]?.delta).toEqual({ role: 'assistant', content: FILLER });
    slowly.open();
    expect(await listening.rest()).toBe('Found.');
  });

  test('is not covered where nobody speaks: SDKs get the answer and nothing else', async () => {
    upstream.reply(() => [{ type: 'delay', delayMs: 10 * FILLER_AFTER_MS }, ...says('Here it is.')]);
    const heard = await new Device(`${slow.url}/v1/chat/completions`).ask({ ...TURN, stream: true });
    expect(textIn(heard.data)).toBe('Here it is.');
  });

  test('and a quick one is not covered', async () => {
    expect(textIn((await engine().ask(TURN)).data)).toBe('I am fine.');
  });
});

describe('an interruption', () => {
  test('closes the connection to the model when the engine closes its own', async () => {
    upstream.reply(() => [text('Once upon a time '), { type: 'stall' }]);
    const listening = await engine().listen({
      ...TURN,
      messages: [{ role: 'user', content: 'Tell me a story.' }],
    });
    expect(await listening.next()).toBe('Once upon a time ');
    listening.close();
    expect((await last().closed).by).toBe('client');
  });

  test('leaves the conversation free for the next turn', async () => {
    upstream.reply(() => [text('Once upon a time '), { type: 'stall' }]);
    const turn = { ...TURN, thread_id: 'story' };
    const listening = await engine().listen(turn);
    await listening.next();
    listening.close();
    upstream.reply(() => says('Yes?'));
    const next = { ...turn, messages: [{ role: 'user', content: 'Stop!' }] };
    expect(textIn((await engine().ask(next)).data)).toBe('Yes?');
  });

  test('while the model thinks closes the connection to it, too', async () => {
    const slowly = gate();
    upstream.reply(() => [slowly]);
    const hangUp = new AbortController();
    const asked = fetch(`${service.url}/chat/completions`, {
      method: 'POST',
      signal: hangUp.signal,
      headers: { authorization: KEY },
      body: JSON.stringify(TURN),
    }).catch(() => null);
    await slowly.reached;
    hangUp.abort();
    await asked;
    expect((await last().closed).by).toBe('client');
  });
});

test('an error in the middle of a stream is an error object, and then the end', async () => {
  upstream.reply(() => [text('Once '), { type: 'break' }]);
  const heard = await engine().ask(TURN);
  expect(heard.data.at(-1)).toEqual({
    error: {
      message: SOME_TEXT,
      type: 'server_error',
      param: null,
      code: SOME_TEXT,
    },
  });
  expect(heard.isDone).toBe(true);
});

test('/ping, the list of endpoints, and paths that are none, without a key', async () => {
  const get = async (path: string): Promise<unknown> => (await fetch(service.url + path)).json();
  expect(await get('/ping')).toEqual({ message: 'pong' });
  expect(await get('/')).toMatchObject({ endpoints: listWith('POST /chat/completions') });
  expect((await new Device(`${service.url}/chat/completion`).ask(TURN)).status).toBe(404);
});
