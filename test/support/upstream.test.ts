/** Tests the fake model server with the official SDK: what the other tests rely on when they script it. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import OpenAI, { APIUserAbortError, RateLimitError } from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { calls, FakeUpstream, gate, refuses, says, text, TURN_USAGE } from './upstream.ts';

let upstream: FakeUpstream;
let openai: OpenAI;

beforeAll(async () => {
  upstream = await FakeUpstream.start();
  openai = new OpenAI({ baseURL: upstream.baseUrl, apiKey: 'key', maxRetries: 0 });
});

afterAll(() => upstream.stop());

function ask(content: string) {
  return openai.chat.completions.stream({
    model: 'fake-model',
    messages: [{ role: 'user', content }],
    stream_options: { include_usage: true },
  });
}

describe('the fake upstream', () => {
  test('answers by default with what it was told, and says what it cost', async () => {
    const completion = await ask('hello').finalChatCompletion();
    expect(completion.choices[0]?.message.content).toBe('You said: hello');
    expect(completion.choices[0]?.finish_reason).toBe('stop');
    expect(completion.usage).toEqual(TURN_USAGE);
  });

  test('lists its models', async () => {
    const models = await openai.models.list();
    expect(models.data.map(({ id }) => id)).toEqual(['fake-model', 'yuntianshiren']);
  });

  test('calls tools in parallel, their arguments in fragments', async () => {
    const wanted = [
      { name: 'first', arguments: { text: 'two\nlines and "quotes" 天气' } },
      { name: 'second', arguments: '{"n": 1}' },
    ];
    upstream.reply(() => calls(wanted));
    const stream = ask('call them');
    let chunks = 0;
    for await (const chunk of stream) chunks += chunk.choices.length;
    const { choices } = await stream.finalChatCompletion();
    const made = choices[0]?.message.tool_calls?.map((call) =>
      call.type === 'function' ? call.function : call,
    );
    expect(made).toMatchObject([
      { name: 'first', arguments: JSON.stringify(wanted[0]?.arguments) },
      { name: 'second', arguments: '{"n": 1}' },
    ]);
    expect(chunks).toBeGreaterThan(5);
  });

  test('waits at a gate until the test opens it, and records the end of the connection', async () => {
    const door = gate();
    upstream.reply(() => [text('half'), door, ...says(' done')]);
    const stream = ask('wait for me');
    await door.reached;
    door.open();
    const completion = await stream.finalChatCompletion();
    expect(completion.choices[0]?.message.content).toBe('half done');
    const request = await upstream.asked((asked) => asked.text === 'wait for me');
    expect(request.headers.authorization).toBe('Bearer key');
    expect(await request.closed).toMatchObject({ by: 'server' });
  });

  test('notices a client that hangs up in mid-stream', async () => {
    upstream.reply(() => [text('half'), { type: 'stall' }]);
    const stream = ask('forget me');
    stream.on('error', () => {});
    stream.on('content', () => stream.abort());
    await expect(stream.done()).rejects.toThrow(APIUserAbortError);
    const request = await upstream.asked((asked) => asked.text === 'forget me');
    expect(await request.closed).toMatchObject({ by: 'client' });
  });

  test('breaks off after what it has said', async () => {
    upstream.reply(() => [text('half'), { type: 'break' }]);
    const stream = ask('break off');
    const heard: string[] = [];
    stream.on('content', (delta) => heard.push(delta));
    stream.on('error', () => {});
    await expect(stream.done()).rejects.toThrow('terminated');
    expect(heard).toEqual(['half']);
    const request = await upstream.asked((asked) => asked.text === 'break off');
    expect(await request.closed).toMatchObject({ by: 'server' });
  });

  test('refuses with the status, the headers and the words of the script', async () => {
    upstream.reply(() => refuses(429, 'Too many tokens', { 'retry-after-ms': '10' }));
    const refused = ask('refuse me').done();
    await expect(refused).rejects.toThrow(RateLimitError);
    await expect(refused).rejects.toThrow('429 Too many tokens');
  });

  test('writes any line it is told to', async () => {
    upstream.reply(() => [{ type: 'line', line: 'data: {not json' }]);
    const response = await fetch(`${upstream.baseUrl}/chat/completions`, {
      method: 'POST',
      body: JSON.stringify({
        model: 'm',
        messages: [{ role: 'user', content: 'talk nonsense' }],
        stream: true,
      }),
    });
    expect(await response.text()).toBe('data: {not json\n\ndata: [DONE]\n\n');
  });

  test('tells the tool outputs since the user spoke last from earlier ones', async () => {
    upstream.reply(({ outputs }) => says(outputs.join(',')));
    const call = (id: string) => ({
      role: 'assistant' as const,
      tool_calls: [{ id, type: 'function' as const, function: { name: 'f', arguments: '{}' } }],
    });
    const completion = await openai.chat.completions
      .stream({
        model: 'fake-model',
        messages: [
          { role: 'user', content: 'one' },
          call('a'),
          { role: 'tool', tool_call_id: 'a', content: 'old' },
          { role: 'user', content: [{ type: 'text', text: 'two' }] },
          call('b'),
          { role: 'tool', tool_call_id: 'b', content: 'new' },
        ],
      })
      .finalChatCompletion();
    expect(completion.choices[0]?.message.content).toBe('new');
    expect(upstream.requests.at(-1)?.text).toBe('two');
  });

  // Only Linux shares a port in this way.
  test.runIf(process.platform === 'linux')('lets those in soon who come together', async () => {
    await using started = new AsyncDisposableStack();
    const many = await FakeUpstream.start(16);
    started.defer(() => many.stop());
    const port = Number(new URL(many.baseUrl).port);
    const clients = 128;
    let served = 0;
    const ask = async (): Promise<void> => {
      const socket = connect(port, '127.0.0.1');
      socket.write('GET /v1/models HTTP/1.1\r\nHost: models\r\nConnection: close\r\n\r\n');
      await once(socket.resume(), 'close');
      served += 1;
    };
    const all = Promise.all(Array.from({ length: clients }, ask));
    for (let turns = 1; turns < clients; turns += 1) await turn();
    const soon = served;
    await all;
    expect(soon).toBe(clients);
  });
});
