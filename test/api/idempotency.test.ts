/**
 * Requests that are sent again. Under their Idempotency-Key: done once, whatever their size, and for one request only. By an
 * SDK after a lost answer: never one object for two people.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { z } from 'zod';
import { asking, post, textOf } from '../support/chat.ts';
import { keysLike, openLook } from '../support/contents.ts';
import { calls, finish, gate, says, text } from '../support/upstream.ts';
import { Wire, type Reply } from '../support/wire.ts';
import { withService } from '../support/with-service.ts';

let redis: ReturnType<typeof openLook>;

const { upstream, service, wire } = withService({ apis: 2 });

beforeAll(async () => {
  redis = openLook(inject('redisUrl'));
});

afterAll(async () => {
  redis?.disconnect();
});

const created = z.looseObject({ id: z.string() });

/** Sends until the first sending is settled: what it leaves is written behind its answer. */
async function keyed(key: string, path: string, body: unknown): Promise<Reply> {
  const reply = await wire.ask('POST', path, { body, headers: { 'idempotency-key': key } });
  return reply.status === 409 ? keyed(key, path, body) : reply;
}

test('a message as large as a photo is added once, and its answer is not kept', async () => {
  const thread = await wire.thread();
  const path = `/threads/${thread}/messages`;
  const body = { role: 'user', content: 'x'.repeat(5 * 1024 * 1024) };
  const first = created.parse((await keyed('the photo', path, body)).body);
  expect(created.parse((await keyed('the photo', path, body)).body).id).toBe(first.id);
  // Even when a run has come in between.
  upstream.reply(() => calls([{ name: 'weather', arguments: {} }]));
  const tools = [{ type: 'function', function: { name: 'weather' } }];
  const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm', tools });
  expect((await wire.play(thread, { assistant_id })).status).toBe('requires_action');
  expect(created.parse((await keyed('the photo', path, body)).body).id).toBe(first.id);
  expect(await wire.list(path)).toHaveLength(1);
  const records = await keysLike(redis, `${service.redisPrefix}:default:answer:*`);
  const sizes = await Promise.all(records.map((record) => redis.strlen(record)));
  expect(Math.max(...sizes)).toBeLessThan(1024 * 1024);
});

describe('a key that stood for one request', () => {
  const refused = { status: 422, body: { error: { code: 'idempotency_key_reused', param: null } } };

  /** Shows A-RETRY-06, A-RETRY-07. */
  test('is refused for another body, and gives the first answer to the first', async () => {
    const first = await keyed('two bodies', '/threads', {});
    expect(first.status).toBe(200);
    expect(await keyed('two bodies', '/threads', { metadata: { of: 'somebody else' } })).toMatchObject(
      refused,
    );
    expect((await keyed('two bodies', '/threads', {})).body).toEqual(first.body);
  });

  /** Shows A-RETRY-07. */
  test('is refused at another address', async () => {
    expect((await keyed('two addresses', '/threads', {})).status).toBe(200);
    const thread = await wire.thread();
    expect(await keyed('two addresses', `/threads/${thread}`, {})).toMatchObject(refused);
    expect(await keyed('two addresses', '/chat/completions', asking('hi'))).toMatchObject(refused);
  });

  test('is refused for another chat', async () => {
    expect((await keyed('two chats', '/chat/completions', asking('one'))).text).toContain('You said: one');
    expect(await keyed('two chats', '/chat/completions', asking('two'))).toMatchObject(refused);
    expect((await keyed('two chats', '/chat/completions', asking('one'))).text).toContain('You said: one');
    expect(upstream.requests.filter(({ text }) => text === 'two')).toEqual([]);
  });

  test('is free again when that request was refused', async () => {
    expect((await keyed('mistyped', '/threads/thread_none/messages', {})).status).toBe(404);
    expect((await keyed('mistyped', '/threads', {})).status).toBe(200);
  });
});

/** Shows A-RETRY-06. */
test('an empty key is none, as of programs that have nothing to put there: nobody gets another’s answer', async () => {
  const first = created.parse((await keyed('', '/threads', {})).body);
  expect(created.parse((await keyed('', '/threads', {})).body).id).not.toBe(first.id);
  for (const words of ['one', 'two'])
    expect((await keyed('', '/chat/completions', asking(words))).status).toBe(200);
});

test('a key is not free while its request waits for another run, however long', async () => {
  upstream.reply(({ outputs }) =>
    outputs.length > 0 ? undefined : calls([{ name: 'weather', arguments: {} }]),
  );
  const tools = [{ type: 'function', function: { name: 'weather' } }];
  const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm', tools });
  const thread = await wire.thread('weather?');
  const first = await wire.play(thread, { assistant_id });
  const records = async () => keysLike(redis, `${service.redisPrefix}:default:answer:*`);
  const before = await records();
  const waiting = { assistant_id, metadata: { multitask: 'enqueue' } };
  const second = keyed('waits for long', `/threads/${thread}/runs`, waiting);
  await expect.poll(records).toHaveLength(before.length + 2);
  const [claim = ''] = await claims((await records()).filter((name) => !before.includes(name)));
  // As if nearly all of its time were over.
  await redis.pexpire(claim, 20_000);
  await expect.poll(async () => redis.pttl(claim)).toBeGreaterThan(20_000);
  await wire.submit(first, 'wet');
  expect((await second).status).toBe(200);
});

/** Which of these records say that a request is being worked on. */
async function claims(records: readonly string[]): Promise<readonly string[]> {
  const texts = await Promise.all(records.map(async (record) => redis.get(record)));
  return records.filter((_, index) => texts[index]?.includes('"claim"') === true);
}

test('what a process had made when it died is not made again', async () => {
  const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm' });
  const [spoken, run] = [await wire.thread('a'), await wire.thread('b')];
  const requests = [
    ['/assistants', { model: 'm' }],
    ['/threads', { messages: [{ role: 'user', content: 'x' }] }],
    [`/threads/${spoken}/messages`, { role: 'user', content: 'x' }],
    [`/threads/${run}/runs`, { assistant_id }],
    ['/threads/runs', { assistant_id, thread: { messages: [{ role: 'user', content: 'x' }] } }],
  ] as const;
  const send = async (path: string, body: object): Promise<string> => {
    // All that such a process leaves behind beside its objects.
    const digest = createHash('sha256').update(`key\n/v1${path}\nlost ${path}`).digest('base64url');
    const claim = JSON.stringify({ type: 'claim', nonce: 'random', untilMs: 0 });
    await redis.set(`${service.redisPrefix}:default:answer:${digest}`, claim);
    const reply = await wire.ask('POST', path, { body, headers: { 'idempotency-key': `lost ${path}` } });
    expect(reply.status, path).toBe(200);
    return created.parse(reply.body).id;
  };
  for (const [path, body] of requests) {
    const first = await send(path, body);
    expect(await send(path, body), path).toBe(first);
  }
  expect(await wire.list(`/threads/${spoken}/messages`)).toHaveLength(2);
  expect(await wire.list(`/threads/${run}/runs`)).toHaveLength(1);
});

describe('a chat whose process died when its run was begun', () => {
  /** The key is left as such a process leaves it; the run is there. */
  async function sendAgain(key: string, body: object): Promise<string | null> {
    const digest = createHash('sha256').update(`key\n/v1/chat/completions\n${key}`).digest('base64url');
    const claim = JSON.stringify({ type: 'claim', nonce: `nonce of ${key}`, untilMs: 0 });
    await redis.set(`${service.redisPrefix}:default:answer:${digest}`, claim);
    const headers = { 'idempotency-key': key };
    return textOf(await post(`${service.baseUrl}/chat/completions`, body, { headers }));
  }
  const askedFor = (said: string): number => upstream.requests.filter(({ text }) => text === said).length;

  test.each([
    ['without a thread', {}],
    ['in a thread', { thread_id: 'of the dead' }],
  ])('is answered by that run: %s', async (how, more) => {
    for (let sending = 0; sending < 3; sending++)
      expect(await sendAgain(how, asking(how, more))).toBe(`You said: ${how}`);
    expect(askedFor(how)).toBe(1);
  });

  test('is answered by that run, also by the process that is left', async () => {
    const said = 'who answers?';
    const door = gate();
    upstream.reply((request) => (request.text === said ? [text('Half'), door, finish('stop')] : undefined));
    const [, left] = service.origins;
    const dying = await service.startApi();
    const body = asking(said);
    const headers = { 'idempotency-key': 'of the killed' };
    const broken = post(`${dying}/v1/chat/completions`, body, { headers });
    await upstream.asked((request) => request.text === said);
    await Promise.all([expect(broken).rejects.toThrow('fetch failed'), service.killApi(dying)]);
    const send = async (): Promise<Response> => {
      const reply = await post(`${left}/v1/chat/completions`, body, { headers });
      // For ten seconds the key is the dead process'.
      return reply.status === 409 ? send() : reply;
    };
    const answer = send();
    door.open();
    expect(await textOf(await answer)).toBe('Half');
    expect(askedFor(said)).toBe(1);
  });

  test('is done anew, once, where that run came to nothing', async () => {
    upstream.reply(() => [{ type: 'refusal', status: 500, headers: {}, body: {} }]);
    await expect(sendAgain('failed', asking('failed'))).rejects.toThrow('502');
    upstream.reply(() => undefined);
    const before = askedFor('failed');
    for (let sending = 0; sending < 3; sending++)
      expect(await sendAgain('failed', asking('failed'))).toBe('You said: failed');
    expect(askedFor('failed') - before).toBe(1);
  });
});

describe('an SDK’s retry after a lost answer', () => {
  /** Sends a request and hangs up before the server has so much as read it. */
  async function lose(path: string, body: string): Promise<void> {
    const api = service.living.find(({ name }) => name === 'api');
    const { hostname, port } = new URL(service.url);
    api?.freeze();
    const socket = connect(Number(port), hostname);
    const head = [`POST /v1${path} HTTP/1.1`, `host: ${hostname}`, 'x-stainless-retry-count: 0'];
    const text = [...head, `content-length: ${body.length}`, '', body].join('\r\n');
    await new Promise<void>((resolve) => socket.write(text, () => resolve()));
    await new Promise<void>((resolve) => socket.once('close', () => resolve()).destroy());
    api?.proceed();
  }
  const retry = (path: string, body: string, api = 0): Promise<Reply> =>
    new Wire(`${service.origins[api]}/v1`).ask('POST', path, {
      body,
      headers: { 'x-stainless-retry-count': '1' },
    });
  const idOf = ({ body }: Reply): string => created.parse(body).id;

  /** Shows A-RETRY-10. */
  test('gets no thread that somebody else may get', async () => {
    const threads = (): Promise<readonly string[]> =>
      keysLike(redis, `${service.redisPrefix}:default:{thread_*}:thread`);
    let doubled = 0;
    for (let round = 0; round < 5; round++) {
      const before = (await threads()).length;
      await lose('/threads', '{}');
      await expect.poll(async () => (await threads()).length).toBe(before + 1);
      const ids = (await Promise.all([retry('/threads', '{}'), retry('/threads', '{}', 1)])).map(idOf);
      if (ids[0] === ids[1]) doubled += 1;
    }
    expect(doubled).toBe(0);
  });

  /** Shows A-RETRY-10. */
  test.each(['/assistants', '/threads/runs'])('of POST %s gets an object of its own', async (path) => {
    const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm' });
    const body = JSON.stringify(
      path === '/assistants'
        ? { model: 'm' }
        : { assistant_id, thread: { messages: [{ role: 'user', content: 'hi' }] } },
    );
    await lose(path, body);
    const replies = await Promise.all([0, 1, 0, 1, 0].map((api) => retry(path, body, api)));
    expect(new Set(replies.map(idOf)).size).toBe(5);
  });

  /** The answers that are kept for repetitions. */
  const kept = (): Promise<readonly string[]> => keysLike(redis, `${service.redisPrefix}:default:answer:*`);

  /** Shows A-RETRY-08. */
  test('gets the message it had added to its thread, and one of them only', async () => {
    const path = `/threads/${await wire.thread()}/messages`;
    const body = JSON.stringify({ role: 'user', content: 'once' });
    const before = (await kept()).length;
    await lose(path, body);
    await expect.poll(async () => (await kept()).length).toBe(before + 1);
    const [first] = await wire.list(path);
    const ids = (await Promise.all([0, 1, 0, 1, 0].map((api) => retry(path, body, api)))).map(idOf);
    expect(ids.filter((id) => id === first?.id)).toHaveLength(1);
    expect(new Set(ids).size).toBe(5);
    expect(await wire.list(path)).toHaveLength(5);
  });

  /** Shows A-RETRY-08. */
  test('gets the message also when the answer had left the server', async () => {
    const path = `/threads/${await wire.thread()}/messages`;
    const body = JSON.stringify({ role: 'user', content: 'sent' });
    const before = (await kept()).length;
    const { hostname, port } = new URL(service.url);
    const socket = connect(Number(port), hostname);
    const head = [`POST /v1${path} HTTP/1.1`, `host: ${hostname}`, 'x-stainless-retry-count: 0'];
    socket.write([...head, `content-length: ${body.length}`, '', body].join('\r\n'));
    // Its first bytes are here; nobody reads them.
    await once(socket, 'readable');
    await new Promise<void>((resolve) => socket.once('close', () => resolve()).destroy());
    // SDKs wait before they try again; here the other process could be quicker than the note of this one.
    await expect.poll(async () => (await kept()).length).toBe(before + 1);
    const again = await retry(path, body, 1);
    expect((await wire.list(path)).map(({ id }) => id)).toEqual([idOf(again)]);
  });

  /** Shows A-RETRY-09. */
  test('gets the run it had begun, in a thread that has no other', async () => {
    const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm' });
    const path = `/threads/${await wire.thread('hello')}/runs`;
    const body = JSON.stringify({ assistant_id });
    const before = (await kept()).length;
    await lose(path, body);
    await expect.poll(async () => (await kept()).length).toBe(before + 1);
    const again = await retry(path, body, 1);
    expect((await wire.list(path)).map(({ id }) => id)).toEqual([idOf(again)]);
  });

  test('of a chat that says nothing of whose it is gets an answer of its own', async () => {
    const body = JSON.stringify(asking('whose?', { metadata: { on_disconnect: 'continue' } }));
    await lose('/chat/completions', body);
    await expect.poll(() => upstream.requests.filter(({ text }) => text === 'whose?').length).toBe(1);
    const texts = await Promise.all([retry('/chat/completions', body), retry('/chat/completions', body, 1)]);
    expect(new Set(texts.map(idOf)).size).toBe(2);
    expect(upstream.requests.filter(({ text }) => text === 'whose?')).toHaveLength(3);
  });
});

describe('of two people who send the same body, and whom a header tells apart', () => {
  const body = (text: string): object => asking(text, { metadata: { on_disconnect: 'continue' } });

  const people = [
    ['X-Thread-Id', { 'x-thread-id': 'of alice' }, { 'x-thread-id': 'of bob' }],
    ['X-Device-Id', { 'x-device-id': 'of alice' }, { 'x-device-id': 'of bob' }],
    [
      'X-Thread-Id, with one device',
      { 'x-device-id': 'shared', 'x-thread-id': 'of carol' },
      { 'x-device-id': 'shared', 'x-thread-id': 'of dave' },
    ],
  ] as const;

  const unchecked = [
    'keys that nobody checks',
    { 'x-device-id': 'one', authorization: 'Bearer alice' },
    { 'x-device-id': 'one', authorization: 'Bearer bob' },
  ] as const;

  test.each([...people, unchecked])(
    'neither gets the other’s answer after a lost one: %s',
    async (what, alice, bob) => {
      const text = `lost ${what}`;
      const chat = `${service.baseUrl}/chat/completions`;
      const kept = (): Promise<readonly string[]> =>
        keysLike(redis, `${service.redisPrefix}:default:answer:*`);
      const before = (await kept()).length;
      const answered = gate();
      upstream.reply(() => [answered, ...says('for alice')]);
      const gone = new AbortController();
      const headers = { ...alice, 'x-stainless-retry-count': '0' };
      const lost = post(chat, body(text), { headers, signal: gone.signal }).catch(() => 'lost');
      await expect.poll(() => upstream.requests.some((request) => request.text === text)).toBe(true);
      gone.abort();
      expect(await lost).toBe('lost');
      await expect.poll(async () => (await kept()).length).toBe(before + 1);
      answered.open();
      upstream.reply(() => says('for bob'));
      const again = async (whose: Readonly<Record<string, string>>): Promise<string | null> =>
        textOf(await post(chat, body(text), { headers: { ...whose, 'x-stainless-retry-count': '1' } }));
      expect(await again(bob)).toBe('for bob');
      expect(await again(alice)).toBe('for alice');
    },
  );

  test.each(people)('a key of one of them is refused from the other: %s', async (what, alice, bob) => {
    const send = async (headers: Readonly<Record<string, string>>): Promise<Reply> => {
      const reply = await wire.ask('POST', '/chat/completions', {
        body: asking(`keyed ${what}`),
        headers: { ...headers, 'idempotency-key': `of both, ${what}` },
      });
      return reply.status === 409 ? send(headers) : reply;
    };
    expect((await send(alice)).status).toBe(200);
    expect(await send(bob)).toMatchObject({
      status: 422,
      body: { error: { code: 'idempotency_key_reused' } },
    });
    expect(await send({})).toMatchObject({ status: 422 });
    expect((await send(alice)).status).toBe(200);
    expect(upstream.requests.filter(({ text }) => text === `keyed ${what}`)).toHaveLength(1);
  });
});

test('an agent’s callers who name no user are told apart by their keys, also under one Idempotency-Key', async () => {
  const { id } = await wire.ok('POST', '/assistants', { model: 'm' });
  const body = { query: 'whose agent?', conversation_id: 'c-1', stream: false };
  const asks = async (who: string, more: Readonly<Record<string, string>>): Promise<Reply> => {
    const headers = { authorization: `Bearer ${who}`, ...more };
    const reply = await wire.ask('POST', `/routes/open/${id}/execute`, { body, headers });
    return reply.status === 409 ? asks(who, more) : reply;
  };
  const key = { 'idempotency-key': 'of an agent' };
  expect((await asks('alice', key)).status).toBe(200);
  expect((await asks('alice', key)).status).toBe(200);
  const refused = await asks('bob', key);
  expect(refused.status).toBe(400);
  expect(refused.text).toContain('Idempotency-Key');
  expect(upstream.requests.filter(({ text }) => text === body.query)).toHaveLength(1);
});
