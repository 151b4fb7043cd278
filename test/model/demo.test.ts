import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startDemoModel, type DemoModel } from '../../src/model/demo.ts';
import { demoReply } from '../../src/model/demo-script.ts';

let demo: DemoModel;
let client: OpenAI;
beforeAll(async () => {
  demo = await startDemoModel({ port: 0, host: '127.0.0.1', apiKey: 'the key' });
  client = new OpenAI({ baseURL: demo.url, apiKey: 'the key', maxRetries: 0 });
});
afterAll(() => demo.stop());

const tool = (name: string) => ({ type: 'function' as const, function: { name, parameters: {} } });
const tools = [tool('take_a_photo'), tool('SEARCH')];
const user = (content: unknown) => ({ role: 'user', content });
const picture = { type: 'image_url', image_url: { url: 'data:image/png;base64,AA==' } };

/** What the demo says to these messages: its text, or the call it makes. */
function reply(...messages: { role: string; content: unknown }[]): string {
  const said = demoReply({ messages, tools });
  return 'content' in said
    ? said.content
    : said.toolCalls.map((call) => `${call.name} ${call.arguments}`).join();
}

describe('the protocol', () => {
  test('makes up embeddings, and says that it does nothing else', async () => {
    const { data } = await client.embeddings.create({ model: 'any-name', input: 'Hello there' });
    expect(data[0]?.embedding.every((value) => Math.abs(value) <= 1)).toBe(true);
    const picture = client.images.generate({ prompt: 'A hut' });
    await expect(picture).rejects.toMatchObject({ status: 404, code: 'not_in_demo' });
    const speech = client.audio.speech.create({ model: 'any-name', voice: 'alloy', input: 'Hello' });
    await expect(speech).rejects.toMatchObject({ status: 404, code: 'not_in_demo' });
  });

  test('is the one of OpenAI, with usage at the end', async () => {
    const stream = await client.chat.completions.create({
      model: 'any-name',
      messages: [{ role: 'user', content: 'Hello there' }],
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = '';
    let finish: string | null = null;
    let total = 0;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? '';
      finish = chunk.choices[0]?.finish_reason ?? finish;
      total = chunk.usage?.total_tokens ?? total;
    }
    expect(text).toMatch(/Longrun's demo model.*Hello there.*OPENAI_BASE_URL/);
    expect(finish).toBe('stop');
    expect(total).toBeGreaterThan(0);
  });

  test('calls tools as OpenAI does', async () => {
    const answer = await client.chat.completions
      .stream({
        model: 'demo',
        messages: [{ role: 'user', content: '这是什么？' }],
        tools: [tool('take_a_photo')],
      })
      .finalChatCompletion();
    const { message, finish_reason } = answer.choices[0] ?? {};
    expect(finish_reason).toBe('tool_calls');
    expect(message?.tool_calls).toMatchObject([
      { type: 'function', function: { name: 'take_a_photo', arguments: '{}' } },
    ]);
  });

  test.each([
    ['GET', '/__aimock/journal'],
    ['GET', '/v1/_requests'],
    ['POST', '/__aimock/reset'],
    ['POST', '/__aimock/fixtures'],
    ['POST', '/v1/chat/completions'],
  ])('shows and does nothing without its key: %s %s', async (method, path) => {
    const headers = { origin: 'http://evil.example', 'content-type': 'text/plain' };
    const body = method === 'POST' ? '{"fixtures":[]}' : null;
    const answer = await fetch(new URL(path, demo.url), { method, headers, body });
    expect(answer.status).toBe(401);
  });

  test('lists the one model it has', async () => {
    const models = await client.models.list();
    expect(models.data.map(({ id }) => id)).toEqual(['demo']);
  });
});

describe('the demo looks', () => {
  test.each([
    'What is this?',
    'What plant is this?',
    'Which kind of tree is that?',
    'What am I looking at?',
    '这是什么植物？',
    '那個叫什麼？',
    'what do you see',
    'Is there a door in front of me?',
    '幫我看看',
    '这是什么',
    '我眼前是什麼',
  ])('when asked %s', (question) => {
    expect(reply(user(question))).toBe('take_a_photo {}');
  });

  test('not again when the photo is there', () => {
    const question = [{ type: 'text', text: 'What is this?' }, picture];
    expect(reply(user(question))).toMatch(/received your picture/);
    expect(reply(user('这是什么'), user([picture]))).toMatch(/收到了你的图片/);
    expect(reply(user('這是什麼'), user([picture]))).toMatch(/收到了你的圖片/);
  });

  test('again at the next question', () => {
    const before = [
      user([{ type: 'text', text: 'What is this?' }, picture]),
      { role: 'assistant', content: 'A picture.' },
    ];
    expect(reply(...before, user('And what is that?'))).toBe('take_a_photo {}');
  });

  test('only when it has the tool, and may use it', () => {
    const messages = [user('What is this?')];
    expect(demoReply({ messages })).toHaveProperty('content');
    expect(demoReply({ messages, tools, tool_choice: 'none' })).toHaveProperty('content');
  });
});

describe('the demo searches', () => {
  test.each([
    ['What is the latest news about the space station in Texas?', 'en-US'],
    ['Weather?', 'en-US'],
    ['中華隊在奧運的表現如何？', 'zh-TW'],
    ['今天天气', 'zh-TW'],
  ])('when asked %s', (question, market) => {
    const called = reply(user(question));
    expect(called).toMatch(/^SEARCH /);
    const args = called.slice('SEARCH '.length);
    expect(JSON.parse(args)).toMatchObject({ query: { mkt: market }, topk: '3' });
    const q = /"q":"([^"]*)"/.exec(args)?.[1] ?? '';
    expect(q.split(' ').length).toBeGreaterThanOrEqual(5);
    expect(question).toContain(q.split(' ')[0]);
  });

  test('once, and then says what was found', () => {
    const found = { role: 'tool', content: '{"headline":"Rocket lands"}' };
    const call = { role: 'assistant', content: null };
    expect(reply(user('Any news?'), call, found)).toMatch(/tool found.*Rocket lands/);
    expect(reply(user('有新聞嗎'), call, found)).toMatch(/工具的結果.*Rocket lands/);
    expect(reply(user('Any news?'), call, found, user('And the weather?'))).toMatch(/^SEARCH/);
  });
});

describe('the demo calls', () => {
  const number = { type: 'integer' };
  const clock = {
    name: 'clock',
    parameters: { type: 'object', properties: { timezone: { type: 'string' } } },
  };
  const dice = { name: 'roll_dice', parameters: { type: 'object', properties: { dice: number } } };
  const weather = { name: 'get_weather', parameters: { type: 'object', properties: {} } };
  const mail = {
    name: 'send_mail',
    parameters: {
      type: 'object',
      properties: { to: { enum: ['ann', 'bob'] }, text: { type: 'string' }, urgent: { type: 'boolean' } },
      required: ['to', 'text', 'urgent'],
    },
  };

  test.each([
    ['What time is it in Shanghai?', 'clock', { timezone: 'Asia/Shanghai' }],
    ['上海现在几点？', 'clock', { timezone: 'Asia/Shanghai' }],
    ['現在幾點', 'clock', {}],
    ['Is it late in New York? What is the time?', 'clock', { timezone: 'America/New_York' }],
    ['Roll two dice', 'roll_dice', { dice: 2 }],
    ['please roll the dice', 'roll_dice', {}],
    ['用 roll_dice 掷 3 个', 'roll_dice', { dice: 3 }],
    ['Send a mail', 'send_mail', { to: 'ann', text: 'Send a mail', urgent: true }],
    ["What's the weather like in Rome?", 'get_weather', {}],
  ])('what “%s” names', (question, name, args) => {
    const offered = [clock, dice, mail, weather].map((each) => ({ function: each }));
    const said = demoReply({ messages: [user(question)], tools: offered });
    expect(said).toEqual({ toolCalls: [{ name, arguments: JSON.stringify(args) }] });
  });

  test('no tool that the question does not name', () => {
    const nothing = { name: 'get', parameters: { type: 'object', properties: {} } };
    const offered = [dice, nothing].map((each) => ({ function: each }));
    const said = demoReply({ messages: [user('Which tea do you recommend?')], tools: offered });
    expect(said).toHaveProperty('content');
  });
});

describe('the demo computes with a program', () => {
  const withCode = [...tools, tool('code_interpreter')];
  const codeFor = (question: string): unknown => {
    const said = demoReply({ messages: [user(question)], tools: withCode });
    if (!('toolCalls' in said)) return null;
    const [call] = said.toolCalls;
    return call?.name === 'code_interpreter' ? JSON.parse(call.arguments) : call?.name;
  };

  test.each([
    ['What is 17 * 23?', 'print(17 * 23)'],
    ['What is (1 + 2)^10 / 3?', 'print((1 + 2)**10 / 3)'],
    ['计算 6×7', 'print(6*7)'],
    ['Calculate the square root of 2', 'print(abs(2) ** 0.5)'],
    [
      'What is the average of 3, 5 and -8.5?',
      'numbers = [3, 5, -8.5]\nprint("sum:", sum(numbers), "mean:", sum(numbers) / len(numbers))',
    ],
    ['Compute something', 'print(sum(range(1, 101)))'],
  ])('%s', (question, code) => {
    expect(codeFor(question)).toEqual({ code });
  });

  test('draws what is asked for', () => {
    expect(codeFor('Draw a chart of 3, 1 and 4')).toEqual({
      code: [
        'import matplotlib.pyplot as plt',
        'numbers = [3, 1, 4]',
        'plt.bar(range(1, len(numbers) + 1), numbers)',
        'plt.show()',
      ].join('\n'),
    });
    expect(codeFor('画图表')).toMatchObject({ code: expect.stringContaining('np.sin') as unknown });
  });

  test.each([
    ['What is this?', 'take_a_photo'],
    ['Weather tomorrow?', 'SEARCH'],
    ['Tell me a story', null],
  ])('but not for %s', (question, otherwise) => {
    expect(codeFor(question)).toBe(otherwise);
  });

  test('only once, and only where it has the tool', () => {
    const messages = [user('What is 17 * 23?')];
    expect(demoReply({ messages, tools })).toHaveProperty('content');
    const answered = [...messages, { role: 'tool', content: '391' }];
    expect(demoReply({ messages: answered, tools: withCode })).toMatchObject({
      content: expect.stringContaining('391') as unknown,
    });
  });
});

describe('the demo looks into files', () => {
  const parameters = {
    type: 'object',
    properties: { queries: { type: 'array', items: { type: 'string' } } },
    required: ['queries'],
  };
  const files = { function: { name: 'file_search', parameters } };

  test.each(['When is breakfast?', '早餐几点开始？', '有早餐嗎', 'Where do I get breakfast'])(
    'when asked %s',
    (question) => {
      const said = demoReply({ messages: [user(question)], tools: [files] });
      const call = { name: 'file_search', arguments: JSON.stringify({ queries: [question] }) };
      expect(said).toEqual({ toolCalls: [call] });
    },
  );

  test('and quotes what it found', () => {
    const found = { role: 'tool', content: '[1:0] hotel.md\nBreakfast is from 7 to 10.' };
    const messages = [user('When is breakfast?'), { role: 'assistant', content: null }, found];
    expect(demoReply({ messages, tools: [files] })).toMatchObject({
      content: expect.stringContaining('Breakfast is from 7 to 10.') as unknown,
    });
  });

  test('only where no other tool fits, and for questions only', () => {
    const both = [files, ...tools];
    expect(demoReply({ messages: [user('What is this?')], tools: both })).toMatchObject({
      toolCalls: [{ name: 'take_a_photo' }],
    });
    expect(demoReply({ messages: [user('Tell me a story')], tools: both })).toHaveProperty('content');
  });
});

test('a tool that must be called is called', () => {
  const messages = [user('Hello')];
  expect(demoReply({ messages, tools, tool_choice: 'required' })).toHaveProperty('toolCalls');
  const named = { type: 'function', function: { name: 'SEARCH' } };
  expect(demoReply({ messages, tools, tool_choice: named })).toMatchObject({
    toolCalls: [{ name: 'SEARCH' }],
  });
});

test('otherwise the demo says what it is, in the language of the question', () => {
  expect(reply(user('Tell me a story'))).toMatch(/demo model.*Tell me a story.*OPENAI_BASE_URL/);
  expect(reply(user('讲个故事'))).toMatch(/演示模型.*讲个故事.*请设置.*OPENAI_BASE_URL/);
  expect(reply(user('講個故事'))).toMatch(/請設定.*OPENAI_BASE_URL/);
});
