/** Requests of the Responses API that are meant to take more than they bring: none of them costs the others anything. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import OpenAI from 'openai';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { responseIn, SocketClient } from '../support/web-socket.ts';
import { withService } from '../support/with-service.ts';

const { service, wire } = withService({
  env: { MESSAGE_LIMIT_BYTES: '200000', PROMPT_LIMIT_BYTES: '1000000', BODY_LIMIT_BYTES: '1000000' },
});

let client: OpenAI;
beforeEach(() => {
  client = new OpenAI({ baseURL: service.baseUrl, apiKey: 'none', maxRetries: 0 });
});

const user = (content: string) => ({ type: 'message' as const, role: 'user' as const, content });

describe('items by reference', () => {
  test('count with all that they bring', async () => {
    const { id: conversation } = await client.conversations.create({ items: [user('x'.repeat(150_000))] });
    const [item] = (await client.conversations.items.list(conversation)).data;
    const reference = { type: 'item_reference', id: item?.id ?? '' } as const;
    const few = client.responses.create({ model: 'm', input: [reference, reference], store: false });
    await expect(few).resolves.toMatchObject({ status: 'completed' });
    const many = client.responses.create({
      model: 'm',
      input: Array.from({ length: 300 }, () => reference),
      store: false,
    });
    await expect(many).rejects.toMatchObject({ status: 400, param: 'input', code: 'input_too_large' });
    const items = Array.from({ length: 20 }, () => reference);
    const into = client.conversations.items.create(conversation, { items });
    await expect(into).rejects.toMatchObject({ status: 400, param: 'items', code: 'input_too_large' });
  });
});

test.each([
  ['a message', user('x'.repeat(250_000)), 'items[0].content'],
  [
    'an output',
    { type: 'function_call_output' as const, call_id: 'call_1', output: 'x'.repeat(250_000) },
    'items[0]',
  ],
])('%s of a conversation is as large as any message may be, and no larger', async (_, item, param) => {
  const creating = client.conversations.create({ items: [item] });
  await expect(creating).rejects.toMatchObject({ status: 400, param, code: 'message_too_large' });
});

test('variables make instructions no larger than instructions may be', async () => {
  const assistant = await client.beta.assistants.create({ model: 'm', instructions: '{{a}}'.repeat(50_000) });
  const variables = { a: 'x'.repeat(20_000) };
  const creating = client.responses.create({ prompt: { id: assistant.id, variables }, input: 'hello' });
  await expect(creating).rejects.toMatchObject({
    status: 400,
    param: 'prompt.variables',
    code: 'string_above_max_length',
  });
});

test.each(['constructor', '__proto__', 'toString'])(
  'an item of the type %s is one of any type',
  async (type) => {
    const { id } = await client.conversations.create({});
    const reply = await wire.ask('POST', `/conversations/${id}/items`, { body: { items: [{ type }] } });
    expect(reply).toMatchObject({ status: 200, body: { data: [{ type }] } });
  },
);

describe('a connection', () => {
  async function open(): Promise<SocketClient> {
    const socket = await SocketClient.open(`${service.url}/v1/responses`);
    onTestFinished(() => socket.terminate());
    return socket;
  }

  test('that sends nonsense and takes no answer is given up, and nobody else notices', async () => {
    const { hostname, port } = new URL(service.url);
    const socket = connect({ host: hostname, port: Number(port) });
    socket.on('error', () => {});
    const closed = new Promise((resolve) => socket.once('close', resolve));
    await once(socket, 'connect');
    const head = [
      'GET /v1/responses HTTP/1.1',
      `host: ${hostname}:${port}`,
      'connection: upgrade',
      'upgrade: websocket',
      'sec-websocket-version: 13',
      'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
    ];
    socket.write(`${head.join('\r\n')}\r\n\r\n`);
    await once(socket, 'data');
    socket.pause();
    // One letter in each, under a mask of zeros.
    const frames = Buffer.from('81810000000078'.repeat(10_000), 'hex');
    // Until it is closed: what the kernel takes of it, a busy server reads later.
    while (!socket.destroyed) {
      if (socket.write(frames)) await setImmediate();
      else await Promise.race([closed, new Promise((resolve) => socket.once('drain', resolve))]);
    }
    expect(await wire.ask('GET', '/models')).toMatchObject({ status: 200 });
    socket.destroy();
    expect(await wire.ask('GET', '/models')).toMatchObject({ status: 200 });
  });

  test('warms up no more than one request may bring', async () => {
    const socket = await open();
    let previous_response_id: string | undefined;
    const refusals: unknown[] = [];
    for (let count = 0; count < 4; count += 1) {
      const input = [user('x'.repeat(150_000)), user('y'.repeat(150_000))];
      const messages = await socket.create({ model: 'm', input, generate: false, previous_response_id });
      const last = messages.at(-1);
      if (last?.type === 'error') refusals.push(last);
      else ({ id: previous_response_id } = responseIn(messages));
    }
    expect(refusals).toMatchObject([{ status: 400, error: { code: 'input_too_large' } }]);
  });

  test('is not told a name again that is too long to be one', async () => {
    const socket = await open();
    const [refusal] = await socket.create({ model: 'm', input: 'x', stream_id: 's'.repeat(10_000) });
    expect(refusal).toMatchObject({ type: 'error', status: 400 });
    expect(JSON.stringify(refusal).length).toBeLessThan(1_000);
  });
});
