/**
 * What browsers and operators ask before anybody asks for a run: preflights and exposed headers, health and readiness, what this
 * server is, and which models it has.
 */
/* oxlint-disable vitest/expect-expect -- expectRefusal asserts. */
import { request } from 'node:http';
import { beforeAll, describe, expect, inject, test } from 'vitest';
import { z } from 'zod';
import packageJson from '../../package.json' with { type: 'json' };
import { expectRefusal } from '../support/refusal.ts';
import { startService } from '../support/service.ts';
import { runIn, Wire } from '../support/wire.ts';
import { withService } from '../support/with-service.ts';

const KEY = 'the key';
const PAGE = 'https://a.page.example';
const EXPOSED = [
  'openai-poll-after-ms',
  'x-request-id',
  'x-thread-id',
  'retry-after',
  'retry-after-ms',
  'x-should-retry',
  'server-timing',
];

let wire: Wire;
/** As somebody without a key. */
let visitor: Wire;

const env = { AUTH: 'key', API_KEY: KEY, CORS_ORIGINS: '*', POLL_AFTER_MS: '123' };

const { service } = withService({ workers: 0, env });

beforeAll(async () => {
  wire = new Wire(service.baseUrl, { authorization: `Bearer ${KEY}` });
  visitor = new Wire(service.url);
});

describe('a preflight', () => {
  const paths = [
    '/v1/assistants',
    '/v1/threads/thread_x/runs',
    '/api/assts/v1/threads',
    '/v1/nothing',
    '/health',
  ];
  /** Shows A-WIRE-20. */
  test.each(paths)('for %s is allowed, without a key, whatever headers it asks for', async (path) => {
    const asked = 'authorization,content-type,openai-beta,x-stainless-os,x-stainless-retry-count,x-whatever';
    const reply = await visitor.ask('OPTIONS', path, {
      headers: {
        origin: PAGE,
        'access-control-request-method': 'POST',
        'access-control-request-headers': asked,
      },
    });
    expect(reply.status).toBe(204);
    expect(reply.text).toBe('');
    const allowed = Object.fromEntries(reply.headers);
    expect(allowed).toMatchObject({
      'access-control-allow-origin': '*',
      'access-control-allow-headers': asked,
      'access-control-allow-methods': 'GET,POST,DELETE',
      'access-control-max-age': '86400',
    });
    expect(allowed['x-request-id']).toMatch(/^req_/);
  });
});

describe('a page of any origin, where all may call,', () => {
  const headers = { origin: PAGE };

  /** Shows A-WIRE-21. */
  test('may read every answer and its headers, refusals included', async () => {
    const replies = [
      await wire.ask('GET', '/assistants', { headers }),
      await wire.ask('GET', '/assistants/asst_none', { headers }),
      await wire.ask('PATCH', '/assistants', { headers }),
      await visitor.ask('GET', '/v1/assistants', { headers }),
      await visitor.ask('GET', '/nothing', { headers }),
      await visitor.ask('GET', '/health', { headers }),
    ];
    expect(replies.map(({ status }) => status)).toEqual([200, 404, 405, 401, 404, 200]);
    for (const reply of replies) {
      expect(reply.headers.get('access-control-allow-origin')).toBe('*');
      expect(reply.headers.get('access-control-expose-headers')?.split(',')).toEqual(EXPOSED);
    }
  });

  /** Shows A-HELP-06, A-WIRE-13, A-WIRE-21. */
  test('may read streams, and is told when to poll', async () => {
    const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm' });
    const thread = { messages: [{ role: 'user', content: 'hello' }] };
    const body = { assistant_id, thread, stream: true };
    const stream = await wire.stream('POST', '/threads/runs', { body, headers });
    const begun = await stream.until('thread.run.queued');
    stream.close();
    expect(stream.headers.get('access-control-allow-origin')).toBe('*');
    expect(stream.headers.get('access-control-expose-headers')?.split(',')).toEqual(EXPOSED);
    expect(stream.headers.get('x-request-id')).toMatch(/^req_/);
    expect(stream.headers.get('openai-poll-after-ms')).toBe('123');
    const { id, thread_id } = runIn(begun.at(-1));
    const run = await wire.ask('GET', `/threads/${thread_id}/runs/${id}`, { headers });
    expect(run.headers.get('openai-poll-after-ms')).toBe('123');
  });
});

test('only pages that were named may call, where some were', async () => {
  const env = { CORS_ORIGINS: `${PAGE}, https://b.page.example, https://*.tidy.example:443` };
  const choosy = await startService({ redisUrl: inject('redisUrl'), workers: 0, env });
  try {
    const origin = async (of: string): Promise<string | null> => {
      const reply = await new Wire(choosy.url).ask('GET', '/v1/models', { headers: { origin: of } });
      return reply.headers.get('access-control-allow-origin');
    };
    expect(await origin(PAGE)).toBe(PAGE);
    expect(await origin('https://b.page.example')).toBe('https://b.page.example');
    expect(await origin('https://c.page.example')).toBe(null);
    expect(await origin('https://a.tidy.example')).toBe('https://a.tidy.example');
    for (const other of ['https://tidy.example', 'http://a.tidy.example', 'https://eviltidy.example'])
      expect(await origin(other)).toBe(null);
    const asked = { origin: 'https://c.page.example', 'access-control-request-method': 'POST' };
    const preflight = await new Wire(choosy.url).ask('OPTIONS', '/v1/threads', { headers: asked });
    expect([preflight.status, preflight.headers.get('access-control-allow-methods')]).toEqual([403, null]);
    // A page's form needs nobody's leave to send.
    const headers = { origin: 'https://c.page.example' };
    const refused = await new Wire(choosy.url).ask('POST', '/v1/threads', { headers });
    expect(refused.status).toBe(403);
    expect((await new Wire(choosy.url).ask('POST', '/v1/threads')).status).toBe(200);
    // Pages do not show what they were answered, so the log says it: once for each.
    const told = choosy.logs.filter(({ level, setting }) => level === 40 && setting === 'CORS_ORIGINS');
    expect(told.filter(({ name }) => name === 'https://c.page.example')).toHaveLength(1);
  } finally {
    await choosy.stop();
  }
});

describe('without a key one may ask', () => {
  test('whether the server is alive', async () => {
    const reply = await visitor.ask('GET', '/health');
    expect(reply).toMatchObject({ status: 200, body: { status: 'healthy' } });
  });

  test('whether it is ready, which takes a worker', async () => {
    const ready = () => visitor.ask('GET', '/ready');
    const notReady = { status: 503, body: { status: 'not ready', redis: true, workers: 0 } };
    expect(await ready()).toMatchObject(notReady);
    const number = await service.startWorker();
    expect(await ready()).toMatchObject({ status: 200, body: { status: 'ready', redis: true, workers: 1 } });
    await service.startWorker();
    expect(await ready()).toMatchObject({ status: 200, body: { workers: 2 } });
    await service.killWorker(number, 'SIGTERM');
    expect(await ready()).toMatchObject({ status: 200, body: { workers: 1 } });
    await service.killWorker(number + 1, 'SIGTERM');
    expect(await ready()).toMatchObject(notReady);
  });

  test('what it is', async () => {
    const { name, version, description } = packageJson;
    const endpoints: unknown = expect.arrayContaining([
      'POST /v1/assistants',
      'POST /v1/threads/runs',
      'POST /v1/threads/:thread_id/runs/:run_id/submit_tool_outputs',
    ]);
    const { status, body } = await visitor.ask('GET', '/');
    expect({ status, body }).toEqual({ status: 200, body: { name, version, description, endpoints } });
  });

  test('nothing else, and only by GET and HEAD', async () => {
    for (const path of ['/', '/health', '/ready', '/metrics']) {
      const message = `Not allowed to POST on ${path}. Allowed: GET.`;
      expectRefusal(await visitor.ask('POST', path), { status: 405, message, code: 'method_not_supported' });
    }
    expectRefusal(await visitor.ask('GET', '/figures'), {
      status: 404,
      message: 'Invalid URL (GET /figures)',
    });
  });
});

describe('models', () => {
  const model = {
    id: 'fake-model',
    object: 'model',
    created: 0,
    owned_by: 'vllm',
    longrun: {
      upstream: 'default',
      server: 'vllm',
      context_tokens: null,
      tools: null,
      images: null,
      omitted: [],
    },
  };

  /** Shows A-MODEL-01, A-MODEL-02. */
  test('are listed, without the rest of the envelope of other lists', async () => {
    const { body } = await wire.ask('GET', '/models');
    // Assistants, which chat clients name like models, follow those of the upstream.
    expect(body).toMatchObject({ object: 'list', data: expect.arrayContaining([model]) as unknown });
    expect(Object.keys(body ?? {})).toEqual(['object', 'data']);
    expect((await wire.ask('GET', '/models/fake-model')).body).toEqual(model);
  });

  test('are listed once each, without nameless assistants, which are found by their ids', async () => {
    const named = z.looseObject({ id: z.string() });
    const create = async (name: string): Promise<string> =>
      named.parse((await wire.ask('POST', '/assistants', { body: { model: 'any', name } })).body).id;
    const nameless = await create('');
    await create('twin');
    await create('twin');
    const { data } = z.object({ data: z.array(named) }).parse((await wire.ask('GET', '/models')).body);
    const ids = data.map(({ id }) => id);
    expect(ids).not.toContain(nameless);
    expect((await wire.ask('GET', `/models/${nameless}`)).body).toMatchObject({ id: nameless });
    expect(ids).toContain('twin');
    expect(new Set(ids).size).toBe(ids.length);
  });

  /** Shows A-MODEL-03. */
  test('that are unknown are not found, slashes or not', async () => {
    const names = { 'gpt-9': 'gpt-9', 'vendor/model': 'vendor/model', 'vendor%2Fmodel:1': 'vendor/model:1' };
    for (const [path, name] of Object.entries(names)) {
      const message = `The model '${name}' does not exist`;
      const refusal = { status: 404, message, param: 'model', code: 'model_not_found' };
      expectRefusal(await wire.ask('GET', `/models/${path}`), refusal);
    }
  });

  /** Shows A-MODEL-04. */
  test('cannot be deleted', async () => {
    const message = 'Models belong to the upstream of this server and cannot be deleted here.';
    expectRefusal(await wire.ask('DELETE', '/models/fake-model'), { status: 403, message });
    expect((await wire.ask('GET', '/models/fake-model')).body).toEqual(model);
  });
});

describe('HEAD', () => {
  test.each(['/health', '/v1/assistants', '/v1/models', '/v1/assistants/asst_none'])(
    '%s is GET without the body',
    async (path) => {
      const [get, head] = [await headersOf('GET', path), await headersOf('HEAD', path)];
      expect(head).toEqual({ ...get, 'x-request-id': head['x-request-id'], date: head['date'] });
      expect(Number(head['content-length'])).toBeGreaterThan(0);
    },
  );

  test('of what cannot be got is not allowed', async () => {
    expect((await wire.ask('HEAD', '/import')).status).toBe(405);
  });
});

/** Shows A-WIRE-13, A-WIRE-14. */
test('every answer has a request id of its own, and the version of the API', async () => {
  const replies = await Promise.all(Array.from({ length: 10 }, () => visitor.ask('GET', '/health')));
  const ids = replies.map(({ headers }) => headers.get('x-request-id'));
  expect(new Set(ids).size).toBe(replies.length);
  expect(replies.map(({ headers }) => headers.get('openai-version'))).toEqual(
    replies.map(() => '2020-10-01'),
  );
});

/** Over a bare connection: fetch hides what it decodes. */
async function headersOf(method: string, path: string): Promise<Readonly<Record<string, unknown>>> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${KEY}` };
    const sent = request(service.url + path, { method, headers, agent: false }, (response) => {
      response.resume().once('end', () => resolve({ ...response.headers, status: response.statusCode }));
    });
    sent.once('error', reject).end();
  });
}
