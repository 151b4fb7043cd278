/** The Responses API over a WebSocket: the same events as messages, and chains of what is not kept. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { metricsOf } from '../support/metrics.ts';
import { ask } from '../support/raw.ts';
import { calls, finish, gate, refuses, says, text } from '../support/upstream.ts';
import { responseIn, SocketClient } from '../support/web-socket.ts';
import { withService } from '../support/with-service.ts';

const callSchema = z.looseObject({ item: z.looseObject({ call_id: z.string() }) });
/** Any text, as matchers take it. */
const anyText: unknown = expect.any(String);

const { upstream, service, wire } = withService({ env: { BODY_LIMIT_BYTES: '100000' } });

async function open(path = '/v1/responses', headers: Record<string, string> = {}): Promise<SocketClient> {
  const client = await SocketClient.open(`${service.url}${path}`, headers);
  onTestFinished(() => client.terminate());
  return client;
}

const echoes = (): void =>
  upstream.reply((request) =>
    says(request.body.messages.map(({ content }) => JSON.stringify(content)).join('|')),
  );

/** The words of the answer of a response. */
function answerIn(messages: readonly unknown[]): string {
  const done = messages.find(
    (message): message is { text: string } =>
      typeof message === 'object' &&
      message !== null &&
      'type' in message &&
      message.type === 'response.output_text.done',
  );
  return done?.text ?? '';
}

describe('a connection', () => {
  test.each(['/v1/responses', '/api/assts/v1/responses'])(
    'at %s tells a response as messages',
    async (path) => {
      upstream.reply(() => says('Once ', 'upon ', 'a time.'));
      const client = await open(path);
      const messages = await client.create({ model: 'm', input: 'a story' });
      expect(messages.map(({ type }) => type)).toEqual([
        'response.created',
        'response.in_progress',
        'response.output_item.added',
        'response.content_part.added',
        'response.output_text.delta',
        'response.output_text.delta',
        'response.output_text.delta',
        'response.output_text.done',
        'response.content_part.done',
        'response.output_item.done',
        'response.completed',
      ]);
      expect(messages.map((message) => message['sequence_number'])).toEqual(messages.map((_, at) => at));
      expect(messages.some((message) => 'stream_id' in message)).toBe(false);
      const { id } = responseIn(messages);
      const stored = await wire.ok('GET', `/responses/${id}`);
      expect(stored).toEqual(responseIn(messages));
      expect((await metricsOf(service.url)).get('longrun_sockets_open')).toBeGreaterThan(0);
    },
  );

  test('answers one request after the other', async () => {
    const client = await open();
    client.send({ type: 'response.create', model: 'm', input: 'one' });
    client.send({ type: 'response.create', model: 'm', input: 'two' });
    const [first, second] = [await client.end(), await client.end()];
    expect([answerIn(first), answerIn(second)]).toEqual(['You said: one', 'You said: two']);
    expect(second[0]).toMatchObject({ type: 'response.created', sequence_number: 0 });
  });

  test('goes on from what it has not kept, which nobody else can', async () => {
    echoes();
    const client = await open();
    const first = responseIn(await client.create({ model: 'm', input: 'one', store: false }));
    const second = await client.create({
      model: 'm',
      input: 'two',
      store: false,
      previous_response_id: first.id,
    });
    expect(answerIn(second)).toBe('"one"|"\\"one\\""|"two"');
    expect(responseIn(second)).toMatchObject({ previous_response_id: first.id, store: false });
    const third = await client.create({
      model: 'm',
      input: 'three',
      store: false,
      previous_response_id: responseIn(second).id,
    });
    expect(answerIn(third)).toMatch(/^"one"\|.*"two"\|.*"three"$/);

    const other = await open();
    const [error] = await other.create({
      model: 'm',
      input: 'four',
      previous_response_id: responseIn(third).id,
    });
    expect(error).toMatchObject({
      type: 'error',
      status: 400,
      error: { code: 'previous_response_not_found', param: 'previous_response_id' },
    });
    const recovered = await other.create({ model: 'm', input: 'five', store: false });
    expect(answerIn(recovered)).toBe('"five"');
  });

  test('keeps the whole chain where what continues it is kept', async () => {
    echoes();
    const client = await open();
    const first = responseIn(await client.create({ model: 'm', input: 'one', store: false }));
    const kept = responseIn(
      await client.create({ model: 'm', input: 'two', previous_response_id: first.id }),
    );
    await client.close();
    const after = await wire.ok('POST', '/responses', {
      model: 'm',
      input: 'three',
      previous_response_id: kept.id,
    });
    expect(JSON.stringify(after['output'])).toMatch(/one.*two.*three/);
    const items = await wire.list(`/responses/${kept.id}/input_items`);
    expect(items).toMatchObject([{ role: 'user', content: [{ text: 'two' }] }]);
  });

  test('forgets what a failed request went on from', async () => {
    const client = await open();
    const first = responseIn(await client.create({ model: 'm', input: 'one', store: false }));
    const wrong = { type: 'function_call_output', call_id: 'call_none', output: 'x' };
    const goesOn = { model: 'm', store: false, previous_response_id: first.id };
    const [failed] = await client.create({ ...goesOn, input: [wrong] });
    expect(failed).toMatchObject({ type: 'error', status: 400, error: { param: 'input' } });
    const [gone] = await client.create({ ...goesOn, input: 'again' });
    expect(gone).toMatchObject({ error: { code: 'previous_response_not_found' } });
  });

  test('forgets it as well where the model server refused', async () => {
    const client = await open();
    const first = responseIn(await client.create({ model: 'm', input: 'one', store: false }));
    upstream.reply(() => refuses(400, 'no'));
    const goesOn = { model: 'm', input: 'two', store: false, previous_response_id: first.id };
    expect((await client.create(goesOn)).at(-1)).toMatchObject({ type: 'response.failed' });
    const [gone] = await client.create(goesOn);
    expect(gone).toMatchObject({ error: { code: 'previous_response_not_found' } });
  });

  test('takes the outputs of calls that it has not kept', async () => {
    upstream.reply((request) =>
      request.outputs.length === 0
        ? calls([{ name: 'look_up', arguments: {} }])
        : says(request.outputs.join()),
    );
    const tools = [{ type: 'function', name: 'look_up', parameters: null }];
    const client = await open();
    const asked = await client.create({ model: 'm', input: 'look', tools, store: false });
    const call = asked.find(({ type }) => type === 'response.output_item.done');
    const { call_id } = callSchema.parse(call).item;
    const answered = await client.create({
      model: 'm',
      tools,
      store: false,
      previous_response_id: responseIn(asked).id,
      input: [{ type: 'function_call_output', call_id, output: 'found' }],
    });
    expect(answerIn(answered)).toBe('found');
  });

  test('warms up without an answer, and what continues that need not say it again', async () => {
    echoes();
    const client = await open();
    const warm = await client.create({ model: 'm', input: 'one', generate: false });
    expect(warm.map(({ type }) => type)).toEqual([
      'response.created',
      'response.in_progress',
      'response.completed',
    ]);
    expect(responseIn(warm)).toMatchObject({ status: 'completed', output: [] });
    const { id } = responseIn(warm);
    const said = await client.create({ model: 'm', input: 'two', previous_response_id: id });
    expect(answerIn(said)).toMatch(/one.*two/);
    expect(responseIn(said)).toMatchObject({ previous_response_id: id });
  });
});

describe('lanes', () => {
  test('go beside each other, and name their messages', async () => {
    const door = gate();
    upstream.reply((request) =>
      request.text.includes('slow') ? [text('Once '), door, text('more.'), finish('stop')] : says('quick'),
    );
    const client = await open();
    client.send({ type: 'response.create', stream_id: 'a', model: 'm', input: 'slow' });
    await client.next(({ type }) => type === 'response.output_text.delta');
    client.send({ type: 'response.create', stream_id: 'b', model: 'm', input: 'x' });
    const quick = await client.next(({ type }) => type === 'response.completed');
    expect(quick).toMatchObject({ stream_id: 'b' });
    door.open();
    const slow = await client.next(({ type }) => type === 'response.completed');
    expect(slow).toMatchObject({ stream_id: 'a' });
    const unnamed = client.messages.filter((message) => !('stream_id' in message));
    expect(unnamed).toEqual([]);
  });

  test('are at most sixteen at a time', async () => {
    const door = gate();
    upstream.reply(() => [text('Once '), door, finish('stop')]);
    const client = await open();
    for (let lane = 0; lane < 17; lane++)
      client.send({ type: 'response.create', stream_id: `${lane}`, model: 'm', input: 'x' });
    const refused = await client.next(({ type }) => type === 'error');
    expect(refused).toMatchObject({
      stream_id: '16',
      status: 429,
      error: { code: 'websocket_stream_limit_reached' },
    });
    door.open();
    for (let lane = 0; lane < 16; lane++) await client.next(({ type }) => type === 'response.completed');
  });
});

describe('what cannot be read', () => {
  test.each<[string, string | Uint8Array, object]>([
    ['is broken', '{"type":', { message: anyText }],
    ['is no object', '[]', { message: anyText }],
    ['has no type', '{}', { param: 'type', code: 'missing_required_parameter' }],
    ['has a type of its own', '{"type":"response.dance"}', { code: 'unknown_event', param: 'type' }],
    ['has a wrong field', '{"type":"response.create","model":7}', { param: 'model' }],
    ['has no model', '{"type":"response.create","input":"x"}', { param: 'model' }],
    [
      'is for the background',
      '{"type":"response.create","model":"m","input":"x","background":true}',
      { param: 'background' },
    ],
    ['is binary', new Uint8Array([1, 2, 3]), { code: 'invalid_message' }],
    ['is too large', JSON.stringify({ type: 'x'.repeat(120_000) }), { code: 'request_too_large' }],
  ])('%s: is refused, and the connection goes on', async (_what, message, error) => {
    const client = await open();
    if (typeof message === 'string') client.send(message);
    else client.sendBytes(message);
    const refused = await client.next(({ type }) => type === 'error');
    expect(refused).toMatchObject({ type: 'error', error });
    expect(refused['status']).toBeGreaterThanOrEqual(400);
    expect(refused).toMatchObject({ error: { code: anyText, type: anyText } });
    expect(answerIn(await client.create({ model: 'm', input: 'x' }))).toBe('You said: x');
  });
});

describe('a request for a connection', () => {
  test('that asks for none is told what the path is for', async () => {
    const reply = await wire.ask('GET', '/responses');
    expect(reply).toMatchObject({ status: 426, body: { error: { code: 'upgrade_required' } } });
  });

  test('of a foreign page is refused', async () => {
    await expect(open('/v1/responses', { origin: 'https://evil.example' })).rejects.toMatchObject({
      status: 403,
      body: { error: { code: 'origin_not_allowed' } },
    });
  });

  test('to a foreign name is refused', async () => {
    await expect(open('/v1/responses', { host: 'evil.example' })).rejects.toMatchObject({
      status: 403,
      body: { error: { code: 'host_not_allowed' } },
    });
  });

  test('at another path is refused in the envelope', async () => {
    await expect(open('/v1/nowhere')).rejects.toMatchObject({
      status: 404,
      headers: { 'x-request-id': anyText },
      body: { error: { type: 'invalid_request_error' } },
    });
    await expect(open('/v1/models')).rejects.toMatchObject({ status: 200 });
  });

  test('at another path is answered whole, however large the answer is', async () => {
    const content = 'x'.repeat(90_000);
    const { id } = await wire.ok('POST', '/threads', { messages: [{ role: 'user', content }] });
    const headers = { connection: 'upgrade', upgrade: 'websocket' };
    const reply = await ask(service.url, 'GET', `/v1/threads/${id}/messages`, { headers });
    expect(reply.status).toBe(200);
    expect(reply.text).toContain(content);
  });

  test('with a wrong handshake is refused', async () => {
    const headers = { connection: 'upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' };
    const reply = await ask(service.url, 'GET', '/v1/responses', { headers });
    expect(reply.status).toBe(400);
    expect(JSON.parse(reply.text)).toMatchObject({ error: { code: 'invalid_handshake' } });
  });

  test('of another protocol is an ordinary request', async () => {
    const headers = { connection: 'upgrade', upgrade: 'h2c' };
    const body = '{"model":"m","input":"hi"} ';
    const sent = { headers: { ...headers, 'content-length': `${body.length}` }, body };
    const reply = await ask(service.url, 'POST', '/v1/responses', sent);
    expect(JSON.parse(reply.text)).toMatchObject({ object: 'response', status: 'completed' });
  });
});

describe('a client that leaves', () => {
  test('takes what is not kept with it, and nothing else', async () => {
    const door = gate();
    upstream.reply(() => [text('Once '), door, text('more.'), finish('stop')]);
    const client = await open();
    client.send({ type: 'response.create', stream_id: 'a', model: 'm', input: 'x', store: false });
    client.send({ type: 'response.create', stream_id: 'b', model: 'm', input: 'x' });
    const created = await client.next(
      (message) => message.type === 'response.created' && message['stream_id'] === 'b',
    );
    const { id } = responseIn([created]);
    let begun = client.messages.filter(({ type }) => type === 'response.output_text.delta').length;
    while (begun < 2) {
      await client.next(({ type }) => type === 'response.output_text.delta');
      begun = client.messages.filter(({ type }) => type === 'response.output_text.delta').length;
    }
    client.terminate();
    await service.waitForLog((line) => line['event'] === 'run.cancelled');
    door.open();
    await service.waitForLog(
      (line) => line['event'] === 'run.completed' && line['run_id'] === id.replace('resp_', 'run_'),
    );
    expect(await wire.ok('GET', `/responses/${id}`)).toMatchObject({ status: 'completed' });
  });
});

test('a reader that does not read costs little, and gets it all when it reads on', async () => {
  const fragments = Array.from({ length: 1_000 }, (_, at) => String(at).padEnd(4_096, '.'));
  upstream.reply(() => says(...fragments));
  const client = await open();
  client.pause();
  client.send({ type: 'response.create', model: 'm', input: 'x' });
  await service.waitForLog((line) => line['event'] === 'run.completed');
  client.resume();
  const messages = await client.end();
  expect(answerIn(messages)).toBe(fragments.join(''));
});

describe('with keys', () => {
  const KEY = 'the-key-of-this-server';
  const keyed = withService({ env: { AUTH: 'key', API_KEY: KEY, DRAIN_MS: '60000' } });
  const url = (): string => `${keyed.service.url}/v1/responses`;

  test('a connection needs the right one', async () => {
    const bare = SocketClient.open(url());
    await expect(bare).rejects.toMatchObject({
      status: 401,
      body: { error: { message: anyText } },
    });
    const wrong = SocketClient.open(url(), { authorization: 'Bearer wrong' });
    await expect(wrong).rejects.toMatchObject({ status: 401, body: { error: { code: 'invalid_api_key' } } });
    const client = await SocketClient.open(url(), { authorization: `Bearer ${KEY}` });
    expect(answerIn(await client.create({ model: 'm', input: 'x' }))).toBe('You said: x');
    await client.close();
  });

  test('a server that stops lets a response end, and closes what is idle at once', async () => {
    const door = gate();
    keyed.upstream.reply(() => [text('Once '), door, text('more.'), finish('stop')]);
    const authorization = `Bearer ${KEY}`;
    const idle = await SocketClient.open(url(), { authorization });
    const busy = await SocketClient.open(url(), { authorization });
    busy.send({ type: 'response.create', model: 'm', input: 'x' });
    await busy.next(({ type }) => type === 'response.output_text.delta');
    const api = keyed.service.living.find(({ name }) => name === 'api');
    const stopped = api?.end('SIGTERM');
    expect(await idle.closed).toBe(1001);
    busy.send({ type: 'response.create', stream_id: 'b', model: 'm', input: 'y' });
    expect(await busy.next(({ type }) => type === 'error')).toMatchObject({
      error: { code: 'server_stopping' },
    });
    door.open();
    expect(await busy.next(({ type }) => type === 'response.completed')).toBeDefined();
    expect(await busy.closed).toBe(1001);
    await stopped;
  });
});
