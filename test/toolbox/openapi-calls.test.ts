/** What a call of an imported tool sends, whatever the model wrote, and what it makes of the answer. */
import { describe, expect, test } from 'vitest';
import { ToolArgumentError } from '../../src/runs/tool.ts';
import type { OpenApiOptions } from '../../src/toolbox/openapi.ts';
import { send, sendJson, type Api } from './api.ts';
import {
  api,
  argumentsOf,
  call,
  failure,
  jsonBody,
  loaded,
  named,
  one,
  parameter,
  SECRET,
  type Opened,
  withOpenApi,
} from './openapi-source.ts';

withOpenApi();

describe('arguments', () => {
  const get = (parameters: readonly object[], at = '/op'): Promise<Opened> =>
    loaded({ document: one({ parameters }, at) });

  test.each([
    ['a/b', '/v1/files/a%2Fb'],
    ['../../admin', '/v1/files/..%2F..%2Fadmin'],
    ['a?x=1#y', '/v1/files/a%3Fx%3D1%23y'],
    ['%2e%2e', '/v1/files/%252e%252e'],
    ['a\\..\\b', '/v1/files/a%5C..%5Cb'],
    ['a\r\nHost: x', '/v1/files/a%0D%0AHost%3A%20x'],
    ['城市', '/v1/files/%E5%9F%8E%E5%B8%82'],
    ['\ud800', '/v1/files/%EF%BF%BD'],
  ])('%j stays in its segment of the path', async (value, at) => {
    await call(await get([parameter('name', 'path')], '/files/{name}'), { name: value });
    expect(api.asked[0]?.path).toBe(at);
  });

  test.each(['.', '..', ''])('%j is no segment of a path', async (value) => {
    const source = await get([parameter('name', 'path')], '/files/{name}');
    expect(await failure(call(source, { name: value }))).toBeInstanceOf(ToolArgumentError);
    expect(api.asked).toStrictEqual([]);
  });

  test('two values cannot make a step up together', async () => {
    const source = await get([parameter('a', 'path'), parameter('b', 'path')], '/files/{a}{b}/x');
    expect((await failure(call(source, { a: '.', b: '.' }))).message).toContain("must not be '.' or '..'");
  });

  test('go into the query as the document says', async () => {
    const list = { schema: { type: 'array', items: { type: 'string' } } };
    const object = { schema: { type: 'object' } };
    const source = await get([
      parameter('plain', 'query', list),
      parameter('commas', 'query', { ...list, explode: false }),
      parameter('pipes', 'query', { ...list, style: 'pipeDelimited', explode: false }),
      parameter('deep', 'query', { ...object, style: 'deepObject' }),
      parameter('spread', 'query', object),
      parameter('json', 'query', { schema: undefined, content: { 'application/json': object } }),
      parameter('n', 'query', { schema: { type: 'integer' } }),
    ]);
    const ab = ['a', 'b'];
    await call(source, {
      plain: ab,
      commas: ab,
      pipes: ab,
      deep: { x: 1 },
      spread: { y: true },
      json: { z: [1] },
      n: 5,
    });
    const query = new URL(api.asked[0]?.path ?? '', api.url).searchParams;
    expect([...query].map((pair) => pair.join('='))).toStrictEqual([
      'plain=a',
      'plain=b',
      'commas=a,b',
      'pipes=a|b',
      'deep[x]=1',
      'y=true',
      'json={"z":[1]}',
      'n=5',
    ]);
  });

  test('go into headers, but not into those that are ours', async () => {
    const own = ['Authorization', 'Accept', 'Content-Type', 'Host', 'Cookie', 'X-Key'].map((name) =>
      parameter(name, 'header'),
    );
    const document = one({ parameters: [...own, parameter('X-Trace', 'header'), parameter('c', 'cookie')] });
    const source = await loaded({ document, headers: { 'x-key': SECRET } });
    expect(argumentsOf(named(source))).toStrictEqual(['X-Trace']);
    await call(source, { 'X-Trace': 'abc' });
    expect(api.asked[0]?.headers).toMatchObject({ 'x-trace': 'abc', 'x-key': SECRET });
    expect(await failure(call(source, { 'X-Trace': 'a\r\nX-Key: mine' }))).toBeInstanceOf(ToolArgumentError);
  });

  test('of one name are told apart', async () => {
    const source = await get([parameter('id', 'path'), parameter('id', 'query')], '/files/{id}');
    await call(source, { id: 'a', query_id: 'b' });
    expect(api.asked[0]?.path).toBe('/v1/files/a?id=b');
  });

  test('that are wrong are named, all at once, and nothing is asked', async () => {
    const typed = (type: string): object => ({ schema: { type } });
    const source = await get([
      parameter('limit', 'query', { ...typed('integer'), required: true }),
      parameter('page', 'query', typed('number')),
      parameter('flag', 'query', typed('boolean')),
      parameter('tags', 'query', typed('array')),
      parameter('q', 'query', { required: true }),
    ]);
    const wrong = await failure(call(source, { limit: 1.5, page: 'x', flag: 'maybe', tags: 'a', colour: 1 }));
    expect(wrong).toBeInstanceOf(ToolArgumentError);
    expect(wrong.message).toBe(
      "Wrong arguments: there is no argument 'colour', only limit, page, flag, tags, q; limit must be an integer; page must be a number; flag must be a boolean; tags must be an array; q is missing.",
    );
    for (const args of [null, [], 'text', 5])
      expect(await failure(call(source, args))).toBeInstanceOf(ToolArgumentError);
    expect(api.asked).toStrictEqual([]);
    await call(source, { limit: '5', page: '1.5', flag: 'true', tags: '["a"]', q: 7 });
    expect(api.asked[0]?.path).toBe('/v1/op?limit=5&page=1.5&flag=true&tags=a&q=7');
  });

  test('that are wrong by the thousand are named by the handful', async () => {
    const source = await get(Array.from({ length: 100 }, (_, index) => parameter(`p${index}`, 'query')));
    const args = Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`wrong${index}`, 1]));
    const { message } = await failure(call(source, args));
    expect(message).toContain("there is no argument 'wrong0', 'wrong1'");
    expect(message).toContain('and 9995 more, only p0, p1');
    expect(message.match(/p99/g)).toHaveLength(1);
    const list = await get([parameter('tags', 'query', { schema: { type: 'array' } })]);
    const deep = await failure(call(list, { tags: '['.repeat(200_000) + ']'.repeat(200_000) }));
    expect(deep).toBeInstanceOf(ToolArgumentError);
  });

  test('names of objects are names like any other', async () => {
    const schema = {
      type: 'object',
      properties: { constructor: { type: 'string' } },
      required: ['constructor'],
    };
    const source = await loaded({ document: one(jsonBody(schema, { required: true }), '/op', 'post') });
    expect((await failure(call(source, {}))).message).toContain('constructor is missing');
    await call(source, { constructor: 'x' });
    expect(api.asked[0]?.body).toBe('{"constructor":"x"}');
  });

  test('a nullable one may be null in a body, and is left out of a query', async () => {
    const schema = { type: 'object', properties: { note: { type: 'string', nullable: true } } };
    const parameters = [parameter('q', 'query')];
    await call(await loaded({ document: one({ ...jsonBody(schema), parameters }, '/op', 'post') }), {
      q: null,
      note: null,
    });
    expect(api.asked).toMatchObject([{ path: '/v1/op', body: '{"note":null}' }]);
  });

  test('a call that acts carries its id, one that reads does not', async () => {
    const post = await loaded({ document: one({}, '/op', 'post') });
    await call(post, {});
    await call(post, {}, { callId: null });
    await call(await loaded({ document: one({}) }), {});
    expect(api.asked.map(({ headers }) => headers['idempotency-key'])).toStrictEqual([
      'call_1',
      undefined,
      undefined,
    ]);
  });
});

describe('an answer', () => {
  const asked = async (answer: Api['answer'], options: Partial<OpenApiOptions> = {}): Promise<unknown> => {
    const source = await loaded({ document: one({}), ...options });
    api.answer = answer;
    return call(source, {});
  };
  const saying = async (answer: Api['answer'], options: Partial<OpenApiOptions> = {}): Promise<string> =>
    (await failure(asked(answer, options))).message;

  test('is JSON, text, or nothing', async () => {
    expect(await asked((_, response) => send(response, 'application/problem+json', '[1]'))).toStrictEqual([
      1,
    ]);
    expect(await asked((_, response) => send(response, 'text/csv', 'a,b'))).toBe('a,b');
    expect(await asked((_, response) => response.writeHead(204).end())).toStrictEqual({ status: 204 });
  });

  test.each(['image/png', 'application/pdf', 'application/octet-stream', 'audio/mpeg'])(
    'of %s is not handed on',
    async (type) => {
      const bytes = Buffer.alloc(3_000, 0xff);
      const said = await saying((_, response) => send(response, type, bytes));
      expect(said).toBe(`The API answered with ${type} (3000 bytes). Only JSON and text can be read.`);
      const nameless = await saying((_, response) => response.end(bytes));
      expect(nameless).toContain('no known type');
    },
  );

  test('that is too big is refused', async () => {
    const big = (_: unknown, response: Parameters<Api['answer']>[1]): void =>
      send(response, 'text/plain', 'x'.repeat(3_000));
    expect(await saying(big, { maxResponseBytes: 2_000 })).toContain('more than 2000 bytes');
    expect(await asked(big, { maxResponseBytes: 3_000 })).toHaveLength(3_000);
  });

  test('that is too slow is given up', async () => {
    expect(await saying(() => undefined, { timeoutMs: 100 })).toContain('could not be asked');
  });

  test('nobody waits for is given up with their reason', async () => {
    const source = await loaded({ document: one({}) });
    const leaving = new AbortController();
    const gone = new Error('gone');
    api.answer = () => leaving.abort(gone);
    await expect(call(source, {}, { signal: leaving.signal })).rejects.toBe(gone);
  });

  test('that is an error is told with its first words', async () => {
    const error = { error: 'no such pet', hint: 'x'.repeat(2_000) };
    const said = await saying((_, response) => sendJson(response, error, 404));
    expect(said).toMatch(/^HTTP 404: \{"error":"no such pet"/);
    expect(said).toHaveLength(1_000 + 'HTTP 404: '.length);
    expect(await saying((_, response) => send(response, 'image/png', 'x', 500))).toBe('HTTP 500');
    expect(await saying((_, response) => response.writeHead(502).end())).toContain('HTTP 502');
  });

  test('of broken JSON is an error', async () => {
    expect(await saying((_, response) => send(response, 'application/json', '{"a":'))).toContain(
      'JSON that cannot be read',
    );
  });

  test('that never comes is an error', async () => {
    expect(await saying((_, response) => response.destroy())).toContain('could not be asked');
  });
});
