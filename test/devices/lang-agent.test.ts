/** The chat API of a LangChain agent (lang-agent): no key, no stream unless asked, and memory behind `thread_id`. */
import OpenAI from 'openai';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { INSTALL_MS, type Python } from '../clients/programs.ts';
import { withSharedService } from '../support/shared-service.ts';
import { gate, says, text, type UpstreamRequest } from '../support/upstream.ts';
import { Device, textIn, wholeText } from './device.ts';
import { listWith, matching, SOME_NUMBER, SOME_TEXT } from './matchers.ts';
import { missingShell, playDocument, pythonWithRequests, pythonWithSdk } from './documents.ts';

const ANSWER = '你好!我是小盏。';
const HELLO = '你好,请介绍一下你自己。';
const TURN = { model: 'qwen-flash', messages: [{ role: 'user', content: HELLO }] };

const { upstream, service } = withSharedService();
let device: Device;
let noShell: string | null;
let plainPython: Python;
let sdkPython: Python;

beforeAll(async () => {
  device = new Device(`${service.url}/v1/chat/completions`);
  [noShell, plainPython, sdkPython] = await Promise.all([
    missingShell(),
    pythonWithRequests(),
    pythonWithSdk(),
  ]);
}, INSTALL_MS);

beforeEach(() => upstream.reply(() => says('你好!', '我是小盏。')));

const last = (): UpstreamRequest => {
  const request = upstream.requests.at(-1);
  if (request === undefined) throw new Error('the model was not asked');
  return request;
};

const contents = (): readonly unknown[] => last().body.messages.map(({ content }) => content);

describe("the document's own programs", () => {
  const local = (): Record<string, string> => ({ 'http://localhost:8000': service.url });

  test('the curl gets one object, without a key', async (context) => {
    if (noShell !== null) return context.skip(noShell);
    const { stdout, code } = await playDocument('lang-agent/chat.sh', 'bash', local());
    expect(code).toBe(0);
    expect(wholeText(stdout)).toBe(ANSWER);
  });

  test('the requests program prints the answer, without a key', async (context) => {
    if ('missing' in plainPython) return context.skip(plainPython.missing);
    const ended = await playDocument('lang-agent/requests_chat.py', plainPython.path, local());
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout).toContain(`'content': '${ANSWER}'`);
  });

  test('the openai program fails in itself: the SDK knows no thread_id', async (context) => {
    if ('missing' in sdkPython) return context.skip(sdkPython.missing);
    const ended = await playDocument('lang-agent/openai_chat.py', sdkPython.path, local());
    expect(ended.stderr).toContain("unexpected keyword argument 'thread_id'");
  });

  test('the openai program works with thread_id in extra_body, and remembers', async (context) => {
    if ('missing' in sdkPython) return context.skip(sdkPython.missing);
    const mended = { ...local(), 'thread_id=1': 'extra_body={"thread_id": 1}' };
    for (const heard of [2, 4]) {
      const ended = await playDocument('lang-agent/openai_chat.py', sdkPython.path, mended);
      expect(ended).toMatchObject({ code: 0, stdout: `${ANSWER}\n`, stderr: '' });
      expect(last().body).toMatchObject({ model: 'qwen-flash', temperature: 0.7 });
      expect(last().body.messages).toHaveLength(heard);
    }
    expect(contents()).toEqual(['你是一个有用的助手。', HELLO, ANSWER, HELLO]);
  });
});

describe('memory', () => {
  const say = (content: string, thread_id?: unknown): Promise<unknown> =>
    device.ask({ ...TURN, messages: [{ role: 'user', content }], thread_id });

  test('an integer and the same number as text are one conversation, of which only the new turn is sent', async () => {
    await say('你推荐什么茶？', 2000);
    await say('为什么推荐这个茶？', '2000');
    expect(contents()).toEqual(['你推荐什么茶？', ANSWER, '为什么推荐这个茶？']);
    await say('还有呢？', 2000);
    expect(contents()).toHaveLength(5);
  });

  test('another thread_id is another conversation, and none is none', async () => {
    await say('我叫小明。', 3);
    await say('我叫什么？', 4);
    expect(contents()).toEqual(['我叫什么？']);
    await say('我叫什么？');
    expect(contents()).toEqual(['我叫什么？']);
  });

  test.each([
    ['metadata', { metadata: { thread_id: 77 } }, {}],
    ['a header', {}, { 'x-thread-id': '77' }],
  ])('thread_id may come in %s', async (_, more, headers) => {
    await new Device(`${service.url}/v1/chat/completions`, { ...headers }).ask({ ...TURN, ...more });
    const before = last().body.messages.length;
    await device.ask({ ...TURN, thread_id: '77' });
    expect(last().body.messages).toHaveLength(before + 2);
  });

  test('a system message speaks, in this turn', async () => {
    const messages = [{ role: 'system', content: '你是一个有用的助手。' }, ...TURN.messages];
    await device.ask({ ...TURN, messages, thread_id: 'with-system', max_tokens: 1000, temperature: 0.7 });
    expect(last().body).toMatchObject({ temperature: 0.7, max_tokens: 1000 });
    expect(last().body.messages).toEqual(messages);
  });

  test.each([
    ['in the query', '?thread_id=55', undefined],
    ['in the body', '', JSON.stringify({ thread_id: 55 })],
  ])('of a thread_id named %s can be forgotten', async (_, query, body) => {
    await say('我叫小明。', 55);
    const response = await fetch(`${service.baseUrl}/memory${query}`, {
      method: 'DELETE',
      body: body ?? null,
    });
    expect(await response.json()).toMatchObject({ status: 'success', deleted: true });
    await say('我叫什么？', 55);
    expect(contents()).toEqual(['我叫什么？']);
  });

  test('of nobody in particular cannot be forgotten', async () => {
    const response = await fetch(`${service.baseUrl}/memory`, { method: 'DELETE' });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { param: 'thread_id' } });
  });

  test('is where the Assistants API can read it, for a thread of its own', async () => {
    const openai = new OpenAI({ baseURL: service.baseUrl, apiKey: 'none' });
    const { id } = await openai.beta.threads.create({
      messages: [
        { role: 'user', content: '我叫小明。' },
        { role: 'assistant', content: '你好，小明。' },
      ],
    });
    await say('我叫什么？', id);
    expect(contents()).toEqual(['我叫小明。', '你好，小明。', '我叫什么？']);
    const { data } = await openai.beta.threads.messages.list(id);
    expect(data.map(({ role }) => role)).toEqual(['assistant', 'user', 'assistant', 'user']);
  });
});

describe('the wire', () => {
  test('an answer has the fields of the document', async () => {
    const heard = await device.ask({ ...TURN, stream: false });
    expect(heard.contentType).toBe('application/json; charset=utf-8');
    expect(JSON.parse(heard.raw)).toMatchObject({
      id: matching(/^chatcmpl-[A-Za-z0-9]{24}$/),
      object: 'chat.completion',
      created: SOME_NUMBER,
      model: 'qwen-flash',
      choices: [{ index: 0, message: { role: 'assistant', content: ANSWER }, finish_reason: 'stop' }],
    });
  });

  test('a stream is one: words come before the model has finished', async () => {
    const middle = gate();
    upstream.reply(() => [text('你好!'), middle, ...says('我是小盏。')]);
    const listening = await device.listen({ ...TURN, stream: true });
    expect(await listening.next()).toBe('你好!');
    middle.open();
    expect(await listening.rest()).toBe('我是小盏。');
  });

  test('any key is as good as none', async () => {
    const keyed = new Device(`${service.url}/v1/chat/completions`, { authorization: 'Bearer your-api-key' });
    expect(wholeText((await keyed.ask(TURN)).raw)).toBe(ANSWER);
    expect(textIn((await keyed.ask({ ...TURN, stream: true })).data)).toBe(ANSWER);
  });

  test('/ says what there is, and /health that the service is well', async () => {
    const get = async (path: string): Promise<unknown> => (await fetch(service.url + path)).json();
    expect(await get('/')).toMatchObject({
      name: SOME_TEXT,
      version: SOME_TEXT,
      description: SOME_TEXT,
      endpoints: listWith('POST /v1/chat/completions'),
    });
    expect(await get('/health')).toEqual({ status: 'healthy' });
  });
});
