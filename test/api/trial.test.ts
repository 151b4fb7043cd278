/**
 * AUTH=passthrough takes any key, and a model's server is the first that checks it. Until it has answered, what a key may
 * have stored is bounded; one answered call ends that, and one is always let through.
 */
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { asking, post, refusalOf, textOf } from '../support/chat.ts';
import { contentsOf, keysLike, openLook } from '../support/contents.ts';
import { startService, type Service } from '../support/service.ts';
import { withSharedService } from '../support/shared-service.ts';
import { FakeUpstream, refuses } from '../support/upstream.ts';
import { Wire, type Reply } from '../support/wire.ts';

const MEGABYTE = 1024 * 1024;
const REFUSED = { status: 403, body: { error: { code: 'api_key_on_trial' } } };

let upstream: FakeUpstream;
let service: Service;
let redis: ReturnType<typeof openLook>;

beforeAll(async () => {
  upstream = await FakeUpstream.start();
  // Knows no key that was made up.
  upstream.reply(({ headers }) =>
    headers.authorization?.includes('made-up') === true ? refuses(401, 'Incorrect API key.') : undefined,
  );
  const env = { AUTH: 'passthrough', SECRET: 'the secret of these tests', UPSTREAM_RETRIES: '0' };
  service = await startService({ redisUrl: inject('redisUrl'), upstream, apis: 2, env });
  redis = openLook(inject('redisUrl'));
});

afterAll(async () => {
  redis?.disconnect();
  await service?.stop();
  await upstream?.stop();
});

const bearer = (key: string): Record<string, string> => ({ authorization: `Bearer ${key}` });
const wireOf = (key: string, api = 0): Wire => new Wire(`${service.origins[api]}/v1`, bearer(key));
const chat = (key: string): Promise<Response> =>
  post(`${service.baseUrl}/chat/completions`, asking('hi'), { headers: bearer(key) });
const taken = (replies: readonly Reply[]): number => replies.filter(({ status }) => status === 200).length;

/** Two hundred of them at two API processes. */
const many = (key: string, send: (wire: Wire, index: number) => Promise<Reply>): Promise<readonly Reply[]> =>
  Promise.all(Array.from({ length: 200 }, (_, index) => send(wireOf(key, index % 2), index)));

describe('a key that no model has answered', () => {
  test('may have a hundred things stored, at all API processes together, and is told what to do', async () => {
    const replies = await many('made-up 1', (wire) => wire.ask('POST', '/threads', { body: {} }));
    expect(taken(replies)).toBe(100);
    const refused = replies.find(({ status }) => status !== 200);
    expect(refused).toMatchObject(REFUSED);
    expect(refused?.text).toContain('/v1/chat/completions');
    const project = (await keysLike(redis, `${service.redisPrefix}:p-*:thread`)).length;
    expect(project).toBe(100);
  });

  test.each([
    ['assistants', (wire: Wire) => wire.ask('POST', '/assistants', { body: { model: 'm' } })],
    [
      'answers under keys',
      (wire: Wire, index: number) =>
        wire.ask('POST', '/threads', { body: {}, headers: { 'idempotency-key': String(index) } }),
    ],
    [
      'threads of chats',
      async (wire: Wire, index: number) =>
        wire.ask('POST', '/chat/completions', { body: asking('hi', { thread_id: index }) }),
    ],
  ])('may not have more: %s', async (what, send) => {
    const replies = await many(`made-up ${what}`, send);
    expect(replies.some(({ status, text }) => status === 403 && text.includes('api_key_on_trial'))).toBe(
      true,
    );
    expect(taken(replies)).toBeLessThanOrEqual(100);
  });

  test('may not fill one thread either: messages, runs and metadata count', async () => {
    const wire = wireOf('made-up thread');
    const thread = await wire.thread();
    const body = { role: 'user', content: 'x'.repeat(3 * MEGABYTE) };
    const replies = [];
    for (let message = 0; message < 4; message++)
      replies.push(await wire.ask('POST', `/threads/${thread}/messages`, { body }));
    expect(replies.map(({ status }) => status)).toEqual([200, 200, 403, 403]);
    const metadata = Object.fromEntries(Array.from({ length: 16 }, (_, key) => [key, 'x'.repeat(512)]));
    const labels = await many('made-up thread', (each) =>
      each.ask('POST', `/threads/${thread}`, { body: { metadata } }),
    );
    expect(taken(labels)).toBeLessThan(100);
  });

  test('and made up can run nothing, so it stays one', async () => {
    expect((await chat('made-up chat')).status).not.toBe(200);
    const replies = await many('made-up chat', (wire) => wire.ask('POST', '/threads', { body: {} }));
    // What there is of the chat counts for a minute more.
    expect(taken(replies)).toBe(99);
  });

  test('may not have more waiting than that either, in chats without a thread whose callers hang up', async () => {
    const env = { AUTH: 'passthrough', SECRET: 'the secret of these tests' };
    const own = await startService({ redisUrl: inject('redisUrl'), upstream, workers: 0, env });
    try {
      const body = asking('x'.repeat(3 * MEGABYTE), { metadata: { on_disconnect: 'continue' } });
      const gone = new AbortController();
      let refused = 0;
      const asks = async (key: string): Promise<void> => {
        const options = { headers: bearer(key), signal: gone.signal };
        const reply = await post(`${own.baseUrl}/chat/completions`, body, options).catch(() => null);
        if (reply?.status === 403) refused += 1;
      };
      const asked = ['a', 'a', 'a', 'b', 'b', 'b'].map((key) => asks(`waits ${key}`));
      const inputs = (): Promise<readonly string[]> => keysLike(redis, `${own.redisPrefix}:p-*:input:*`);
      await expect.poll(async () => (await inputs()).length + refused).toBe(6);
      gone.abort();
      await Promise.all(asked);
      expect({ kept: (await inputs()).length, refused }).toEqual({ kept: 4, refused: 2 });
      const [sums] = await keysLike(redis, `${own.redisPrefix}:{trial}:sums`);
      expect(Number(await redis.hget(sums ?? '', 'bytes'))).toBeGreaterThan(4 * 3 * MEGABYTE);
    } finally {
      await own.stop();
    }
  });

  test('leaves nothing of a chat that failed but for a minute', async () => {
    const marked = post(`${service.baseUrl}/chat/completions`, asking('what failed'), {
      headers: bearer('made-up minute'),
    });
    expect((await marked).status).not.toBe(200);
    const held = (await contentsOf(redis, service.redisPrefix)).filter(({ key }) => key.includes(':input:'));
    expect(held).toEqual([]);
    const logs = (await keysLike(redis, `${service.redisPrefix}:p-*:log:*`)).toSorted();
    const lives = await Promise.all(logs.map((log) => redis.pttl(log)));
    expect(Math.min(...lives)).toBeLessThanOrEqual(60_000);
  });
});

describe('one answered chat', () => {
  test('proves a key, whatever it has stored before, and all of it stays', async () => {
    const wire = wireOf('real 1');
    const first = await many('real 1', (each) => each.ask('POST', '/threads', { body: {} }));
    expect(taken(first)).toBe(100);
    expect(await textOf(await chat('real 1'))).toBe('You said: hi');
    await expect.poll(async () => (await wire.ask('POST', '/threads', { body: {} })).status).toBe(200);
    const second = await many('real 1', (each) => each.ask('POST', '/threads', { body: {} }));
    expect(taken(second)).toBe(200);
  });

  test('is so one in a thread of the key', async () => {
    const wire = wireOf('real 2');
    const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm' });
    const run = await wire.play(await wire.thread('hi'), { assistant_id });
    expect(run.status).toBe('completed');
    const threads = await many('real 2', (each) => each.ask('POST', '/threads', { body: {} }));
    expect(taken(threads)).toBe(200);
  });

  test('gets through when keys that were made up have taken all the room', async () => {
    const body = { messages: [{ role: 'user', content: 'x'.repeat(7 * MEGABYTE) }] };
    const statuses = [];
    for (let key = 0; key < 20; key++)
      statuses.push((await wireOf(`made-up big ${key}`).ask('POST', '/threads', { body })).status);
    expect(statuses.filter((status) => status === 200).length).toBeLessThanOrEqual(18);
    const wire = wireOf('real 3');
    expect(await wire.ask('POST', '/threads', { body })).toMatchObject(REFUSED);
    const headers = { ...bearer('real 3'), 'idempotency-key': 'k' };
    const keyed = post(`${service.baseUrl}/chat/completions`, asking('hi'), { headers });
    expect(await textOf(await keyed)).toBe('You said: hi');
    await expect.poll(async () => (await wire.ask('POST', '/threads', { body })).status).toBe(200);
  });
});

describe('with a key of the operator’s', () => {
  const { service: own, wire } = withSharedService();

  test('nothing is on trial', async () => {
    const replies = await Promise.all(
      Array.from({ length: 120 }, () => wire.ask('POST', '/threads', { body: {} })),
    );
    expect(taken(replies)).toBe(120);
    expect(await keysLike(redis, `${own.redisPrefix}*trial*`)).toEqual([]);
    expect(await refusalOf(await post(`${own.baseUrl}/threads/x`, {}))).toMatchObject({ status: 404 });
  });
});
