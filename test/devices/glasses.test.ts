/**
 * Glasses (sharge): the programs of their document, the wire they read, and how they are treated: paths, keys, prompts,
 * spoken errors. Photos have a file of their own.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';
import { afterAll, beforeAll, beforeEach, describe, expect, test, type TestContext } from 'vitest';
import { INSTALL_MS, type Python } from '../clients/programs.ts';
import { KEYED, withSharedService } from '../support/shared-service.ts';
import { calls, refuses, says, text } from '../support/upstream.ts';
import { withService } from '../support/with-service.ts';
import { chunksIn, Device, endOf, textIn, wholeText } from './device.ts';
import { containing, SOME_TEXT } from './matchers.ts';
import { missingShell, playDocument, pythonWithRequests, type Fill } from './documents.ts';

const KEY = 'the-users-key';
const QUESTION = '看看眼前这个人是不是犯人';
const PHOTO_URL =
  'https://upload.wikimedia.org/wikipedia/commons/thumb/d/dd/Gfp-wisconsin-madison-the-nature-boardwalk.jpg/2560px-Gfp-wisconsin-madison-the-nature-boardwalk.jpg';
const CAMERA = {
  type: 'function',
  function: { name: 'take_a_photo', description: '拍照', parameters: {} },
} as const;
const TURN = {
  model: '<yuntianshiren>',
  messages: [{ role: 'user', content: QUESTION }],
  tools: [CAMERA],
  max_tokens: 300,
  temperature: 0.5,
  stream: true,
};
const APOLOGY = '抱歉，出了点问题。';

const folder = mkdtempSync(join(tmpdir(), 'longrun-glasses-'));
let url: string;
let noShell: string | null;
let python: Python;

const { upstream, service } = withService(() => {
  const config = join(folder, 'longrun.config.json');
  const aliases = { '<yuntianshiren>': 'a-text-model', doubao: 'another-model' };
  const visionModels = { yuntianshiren: 'a-seeing-model' };
  const { baseUrl } = upstream;
  writeFileSync(
    config,
    JSON.stringify({
      upstreams: [
        { name: 'house', baseUrl, apiKey: 'k', aliases, visionModels, maxTokensField: 'max_tokens' },
      ],
      devicePaths: [
        { path: '/custom_agent/chat', profile: 'glasses' },
        { path: '/llm-expert/call-qwen', profile: 'glasses' },
      ],
    }),
  );
  return { env: { LONGRUN_CONFIG: config, APOLOGY, UPSTREAM_RETRIES: '0' } };
});

beforeAll(async () => {
  url = `${service.url}/custom_agent/chat`;
  noShell = await missingShell();
  python = await pythonWithRequests();
}, INSTALL_MS);

afterAll(() => rmSync(folder, { recursive: true }));

beforeEach(() =>
  upstream.reply(({ body: { messages, tools } }) => {
    const sees = JSON.stringify(messages).includes(PHOTO_URL);
    if (sees) return says('这张图片', '是一条木板路。');
    return tools === undefined ? undefined : calls([{ name: 'take_a_photo', arguments: '' }]);
  }),
);

const last = (): (typeof upstream.requests)[number] => {
  const request = upstream.requests.at(-1);
  if (request === undefined) throw new Error('the model was not asked');
  return request;
};

describe("the document's own programs", () => {
  const needsShell = (context: TestContext): void => {
    if (noShell !== null) context.skip(noShell);
  };
  const pythonOr = (context: TestContext): string =>
    'path' in python ? python.path : context.skip(python.missing);
  const filled = (): Fill => ({ 'https://your-service-url.com': url, 你的API_KEY: KEY });

  test('the text curl gets a call of take_a_photo', async (context) => {
    needsShell(context);
    const ended = await playDocument(
      'sharge/text.sh',
      'bash',
      { '${your service url}': url },
      { API_KEY: KEY },
    );
    expect(ended.code).toBe(0);
    const data = ended.stdout.split('\n').filter((line) => line.startsWith('data: {'));
    expect(endOf(data.map((line): unknown => JSON.parse(line.slice('data: '.length))))).toEqual({
      reason: 'tool_calls',
      tools: ['take_a_photo'],
    });
    expect(ended.stdout.endsWith('data: [DONE]\n\n')).toBe(true);
  });

  test('the image curl gets words about the photo', async (context) => {
    needsShell(context);
    const ended = await playDocument(
      'sharge/image.sh',
      'bash',
      { '${your service url}': url },
      { API_KEY: KEY },
    );
    expect(ended.code).toBe(0);
    expect(ended.stdout).toContain('木板路');
    expect(ended.stdout).not.toContain('take_a_photo');
  });

  test('the image Python program prints the answer line by line in readable Chinese', async (context) => {
    const ended = await playDocument('sharge/image.py', pythonOr(context), filled());
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout).toMatch(/^Streamed Response:\ndata: \{/);
    expect(ended.stdout).toContain('这张图片');
    expect(ended.stdout.trimEnd().endsWith('data: [DONE]')).toBe(true);
  });

  test('the text Python program fails in itself: it asks for a stream and reads JSON', async (context) => {
    const ended = await playDocument('sharge/text.py', pythonOr(context), filled());
    expect(ended.stdout).toBe('Status Code: 200\n');
    expect(ended.stderr).toContain('JSONDecodeError');
  });

  test('the text Python program works once it asks for no stream', async (context) => {
    const mended = { ...filled(), '"stream": True': '"stream": False' };
    const ended = await playDocument('sharge/text.py', pythonOr(context), mended);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout).toMatch(/Response Body: .*'name': 'take_a_photo'/);
  });
});

describe('the wire', () => {
  test('a call comes in one chunk, with its finish reason and its arguments under both names', async () => {
    const heard = await new Device(url).ask(TURN);
    expect(heard).toMatchObject({
      status: 200,
      contentType: 'text/event-stream; charset=utf-8',
      isDone: true,
    });
    const chunks = chunksIn(heard.data);
    expect(chunks).toHaveLength(1);
    expect(chunks[0]).toMatchObject({ object: 'chat.completion.chunk', model: '<yuntianshiren>' });
    expect(chunks[0]?.choices[0]).toEqual({
      index: 0,
      delta: {
        role: 'assistant',
        content: null,
        tool_calls: [
          {
            index: 0,
            id: SOME_TEXT,
            type: 'function',
            function: { name: 'take_a_photo', arguments: '{}', parameters: '{}' },
          },
        ],
      },
      logprobs: null,
      finish_reason: 'tool_calls',
    });
  });

  test('words come as chunks with everything the document shows, one JSON on a line, and an end', async () => {
    upstream.reply(() => says('这是', '一个人'));
    const heard = await new Device(url).ask(TURN);
    const chunks = chunksIn(heard.data);
    expect(textIn(heard.data)).toBe('这是一个人');
    expect(chunks[0]?.choices[0]?.delta.role).toBe('assistant');
    expect(new Set(chunks.map(({ id, created, model }) => [id, created, model].join())).size).toBe(1);
    expect(chunks.map(({ choices }) => choices[0]?.finish_reason).at(-1)).toBe('stop');
    expect(heard.isDone).toBe(true);
  });

  test('a request that does not say so streams, and one that says no does not', async () => {
    upstream.reply(() => says('好'));
    const { stream: _, ...silent } = TURN;
    expect(textIn((await new Device(url).ask(silent)).data)).toBe('好');
    const whole = await new Device(url).ask({ ...TURN, stream: false });
    expect(whole.contentType).toBe('application/json; charset=utf-8');
    expect(wholeText(whole.raw)).toBe('好');
  });

  test.each([['arguments'], ['parameters']])(
    'a call that the device sends back with its %s only is understood',
    async (name) => {
      upstream.reply(() => says('好'));
      const call = { id: 'c1', type: 'function', function: { name: 'lamp', [name]: '{"on":true}' } };
      const messages = [
        { role: 'user', content: '开灯' },
        { role: 'assistant', content: null, tool_calls: [call] },
        { role: 'tool', tool_call_id: 'c1', content: 'done' },
      ];
      await new Device(url).ask({ ...TURN, messages });
      expect(last().body.messages[1]).toMatchObject({
        tool_calls: [{ function: { name: 'lamp', arguments: '{"on":true}' } }],
      });
    },
  );
});

describe('paths and keys', () => {
  test('every configured path answers, and others do not', async () => {
    upstream.reply(() => says('好'));
    expect(textIn((await new Device(`${service.url}/llm-expert/call-qwen`).ask(TURN)).data)).toBe('好');
    expect((await new Device(`${service.url}/llm-expert/call-doubao`).ask(TURN)).status).toBe(404);
  });

  test.each<[string, Readonly<Record<string, string>>]>([
    ['without a key', {}],
    ['with any key', { authorization: 'Bearer whatever' }],
    ['with a key that says no Bearer', { authorization: 'whatever' }],
  ])('with AUTH=none a device is answered %s', async (_, headers) => {
    upstream.reply(() => says('好'));
    expect((await new Device(url, headers).ask(TURN)).status).toBe(200);
  });

  describe('of a key', () => {
    const { service: keyed } = withSharedService(KEYED, upstream);

    test('with AUTH=key the key is asked for', async () => {
      upstream.reply(() => says('好'));
      const path = `${keyed.url}/custom_agent/chat`;
      const headers = { authorization: `Bearer ${KEYED.API_KEY}` };
      expect((await new Device(path).ask(TURN)).status).toBe(401);
      expect((await new Device(path, headers).ask(TURN)).status).toBe(200);
    });
  });
});

describe('a photo that is too big for the server', () => {
  const { service: small } = withService({ workers: 0, env: { BODY_LIMIT_BYTES: '2048' } });

  test('is refused with its limit', async () => {
    const image = { type: 'image_url', image_url: { url: `data:image/jpeg;base64,${'A'.repeat(4096)}` } };
    const messages = [{ role: 'user', content: [image] }];
    const heard = await new Device(`${small.url}/custom_agent/chat`).ask({ ...TURN, messages });
    expect(heard.status).toBe(413);
    expect(heard.raw).toContain('2048 bytes');
  });
});

describe('what the model is told', () => {
  beforeEach(() => upstream.reply(() => says('好')));

  test('settings pass on, and a tool without a schema gets an empty one', async () => {
    await new Device(url).ask(TURN);
    expect(last().body).toMatchObject({ max_tokens: 300, temperature: 0.5, model: 'a-text-model' });
    expect(last().body.tools).toMatchObject([
      { function: { name: 'take_a_photo', parameters: { type: 'object', properties: {} } } },
    ]);
  });

  test('where and when the device is', async () => {
    await new Device(url).ask({ ...TURN, location: '杭州市西湖区', localtime: '2026-10-01 09:30:00' });
    const { messages } = last().body;
    expect(messages.map(({ role }) => role)).toEqual(['system', 'user']);
    expect(messages[0]?.content).toContain('杭州市西湖区');
    expect(messages[0]?.content).toContain('2026-10-01 09:30:00');
    expect(last().body).not.toHaveProperty('location');
  });

  test('an assistant that is called by its spoken name answers with its own instructions and model', async () => {
    const openai = new OpenAI({ baseURL: service.baseUrl, apiKey: 'none' });
    await openai.beta.assistants.create({ name: '小盏', model: 'doubao', instructions: '你是茶馆的助手。' });
    await new Device(url).ask({ ...TURN, model: '<小盏>' });
    expect(last().body).toMatchObject({ model: 'another-model' });
    expect(last().body.messages[0]).toEqual({ role: 'system', content: '你是茶馆的助手。' });
  });

  test('a picture goes to the model that sees, without an empty text and without a camera', async () => {
    const content = [
      { type: 'text', text: '' },
      { type: 'image_url', image_url: { url: PHOTO_URL } },
    ];
    await new Device(url).ask({ ...TURN, messages: [{ role: 'user', content }] });
    const { model, messages, tools } = last().body;
    expect({ model, tools }).toEqual({ model: 'a-seeing-model', tools: undefined });
    expect(messages[0]?.content).toMatchObject([{ type: 'image_url', image_url: { url: PHOTO_URL } }]);
    await new Device(url).ask(TURN);
    expect(last().body.model).toBe('a-text-model');
  });

  test('other tools stay when the camera goes', async () => {
    const content = [{ type: 'image_url', image_url: { url: PHOTO_URL } }];
    const tools = [CAMERA, { type: 'function', function: { name: 'lamp', parameters: {} } }];
    const tool_choice = { type: 'function', function: { name: 'take_a_photo' } };
    await new Device(url).ask({ ...TURN, tools, tool_choice, messages: [{ role: 'user', content }] });
    expect(last().body).toMatchObject({ tools: [{ function: { name: 'lamp' } }] });
    expect(last().body).not.toHaveProperty('tool_choice');
  });
});

describe('what goes wrong', () => {
  test('is said, with a proper end, where the model server refuses', async () => {
    upstream.reply(() => refuses(500, 'no'));
    const heard = await new Device(url).ask(TURN);
    expect(heard).toMatchObject({ status: 200, isDone: true });
    expect(textIn(heard.data)).toBe(APOLOGY);
    expect(endOf(heard.data)).toEqual({ reason: 'stop', tools: [] });
  });

  test('is said, where the model server breaks off in the middle of a word', async () => {
    upstream.reply(() => [text('这是一'), { type: 'break' }]);
    const heard = await new Device(url).ask(TURN);
    expect(heard).toMatchObject({ status: 200, isDone: true });
    expect(textIn(heard.data)).toBe(`这是一${APOLOGY}`);
    expect(endOf(heard.data).reason).toBe('stop');
  });

  test('is said, where the assistant does not exist', async () => {
    const heard = await new Device(url).ask({ ...TURN, model: 'asst_gone' });
    expect(textIn(heard.data)).toBe(APOLOGY);
  });

  test('is said, where the thread cannot exist', async () => {
    const heard = await new Device(url).ask({ ...TURN, thread_id: 'thread_中文' });
    expect(heard.status).toBe(200);
    expect(textIn(heard.data)).toBe(APOLOGY);
  });

  test('is said in one object to a device that does not stream', async () => {
    upstream.reply(() => refuses(400, 'no'));
    const heard = await new Device(url).ask({ ...TURN, stream: false });
    expect(heard.status).toBe(200);
    expect(wholeText(heard.raw)).toBe(APOLOGY);
  });

  test.each([
    ['no messages', { ...TURN, messages: [] }, 'messages'],
    ['no model', { ...TURN, model: undefined }, 'model'],
    ['an unknown role', { ...TURN, messages: [{ role: 'robot', content: 'x' }] }, 'messages[0].role'],
    ['a message without content', { ...TURN, messages: [{ role: 'user' }] }, 'messages[0].content'],
    [
      'a picture that is none',
      {
        ...TURN,
        messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'ftp://x' } }] }],
      },
      'messages[0].content[0].image_url',
    ],
    [
      'a tool without a name',
      { ...TURN, tools: [{ type: 'function', function: {} }] },
      'tools[0].function.name',
    ],
  ])('a request with %s is refused before anything is answered, naming the place', async (_, body, param) => {
    const asked = upstream.requests.length;
    const heard = await new Device(url).ask(body);
    expect(heard.status).toBe(400);
    expect(JSON.parse(heard.raw)).toMatchObject({ error: { param: containing(param) } });
    expect(upstream.requests).toHaveLength(asked);
  });
});
