/** Documents of APIs as sources of tools: what is imported, what is refused and why, and who gets the operator's keys. */
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { toolContext } from '../support/tool-context.ts';
import { send, sendJson, startApi } from './api.ts';
import {
  api,
  argumentsOf,
  call,
  documentOf,
  failure,
  file,
  folder,
  jsonBody,
  loaded,
  named,
  namesOf,
  NOW,
  ok,
  one,
  open,
  openOnce,
  parameter,
  refusal,
  SECRET,
  type Opened,
  withOpenApi,
} from './openapi-source.ts';

withOpenApi();

const PETSTORE = path.join(import.meta.dirname, 'petstore');

describe.each(['openapi-3.0.json', 'openapi-3.1.yaml', 'swagger-2.0.json'])('the Petstore as %s', (name) => {
  const petstore = (): Promise<Opened> =>
    loaded({ document: path.join(PETSTORE, name), baseUrl: `${api.url}/v2/` });
  const run = async (tool: string, args: unknown): Promise<unknown> =>
    named(await petstore(), tool).run(args, toolContext());

  test('becomes tools, but for the upload of a file', async () => {
    const source = await petstore();
    expect(source.health()).toStrictEqual({ status: 'ok' });
    expect(source.name).toBe('Swagger Petstore');
    expect(namesOf(source)).toStrictEqual([
      'updatePet',
      'addPet',
      'findPetsByStatus',
      'findPetsByTags',
      'getPetById',
      'updatePetWithForm',
      'deletePet',
      'getInventory',
      'placeOrder',
      'getOrderById',
      'deleteOrder',
      'createUser',
      'createUsersWithArrayInput',
      'createUsersWithListInput',
      'loginUser',
      'logoutUser',
      'getUserByName',
      'updateUser',
      'deleteUser',
    ]);
    expect(source.log.lines.filter((line) => line.includes('left out'))).toStrictEqual([
      expect.stringMatching(/its body can only be sent as .*POST \/pet\/\{petId\}\/uploadImage/),
    ]);
  });

  test('tells models what an operation takes', async () => {
    const source = await petstore();
    expect(named(source, 'getPetById')).toMatchObject({
      description: 'Find pet by ID\n\nReturns a single pet',
      parameters: {
        type: 'object',
        properties: { petId: { type: 'integer', format: 'int64', description: 'ID of pet to return' } },
        required: ['petId'],
        additionalProperties: false,
      },
    });
    const { properties, required } = named(source, 'addPet').parameters;
    expect(required).toStrictEqual(['name', 'photoUrls']);
    expect(properties).toMatchObject({
      category: { type: 'object', properties: { name: { type: 'string' } } },
      tags: { type: 'array', items: { properties: { id: { type: 'integer' } } } },
      status: { enum: ['available', 'pending', 'sold'] },
    });
    expect(JSON.stringify(source.tools().map((tool) => tool.parameters))).not.toMatch(
      /\$ref|"xml"|"example"/,
    );
  });

  test('the key that a header carries is no argument', async () => {
    const keyed = await loaded({
      document: path.join(PETSTORE, name),
      baseUrl: api.url,
      headers: { Api_Key: SECRET },
    });
    expect(argumentsOf(named(keyed, 'deletePet'))).toStrictEqual(['petId']);
  });

  test.each([
    ['getPetById', { petId: '7' }, 'GET', '/v2/pet/7', ''],
    [
      'findPetsByStatus',
      { status: ['sold', 'a b&c'] },
      'GET',
      '/v2/pet/findByStatus?status=sold&status=a+b%26c',
      '',
    ],
    ['addPet', { name: 'Rex', photoUrls: [] }, 'POST', '/v2/pet', '{"name":"Rex","photoUrls":[]}'],
    [
      'updatePetWithForm',
      { petId: 1, name: 'a=b', status: 'sold' },
      'POST',
      '/v2/pet/1',
      'name=a%3Db&status=sold',
    ],
    [
      'createUsersWithListInput',
      { body: [{ username: 'u' }] },
      'POST',
      '/v2/user/createWithList',
      '[{"username":"u"}]',
    ],
    [
      'updateUser',
      { username: 'old', body: { username: 'new' } },
      'PUT',
      '/v2/user/old',
      '{"username":"new"}',
    ],
    ['deleteOrder', { orderId: 3 }, 'DELETE', '/v2/store/order/3', ''],
    ['logoutUser', {}, 'GET', '/v2/user/logout', ''],
  ])('%s with %j', async (tool, args, method, at, body) => {
    await expect(run(tool, args)).resolves.toStrictEqual({ ok: true });
    expect(api.asked).toMatchObject([{ method, path: at, body }]);
    const type = tool === 'updatePetWithForm' ? 'application/x-www-form-urlencoded' : 'application/json';
    expect(api.asked[0]?.headers['content-type']).toBe(body === '' ? undefined : type);
  });
});

describe('a document', () => {
  test('comes from the web, with servers relative to it', async () => {
    const text = JSON.stringify(documentOf({ '/op': { get: ok } }, { servers: [{ url: '../api' }] }));
    api.answer = ({ path: at }, response) =>
      at.startsWith('/docs/v1') ? send(response, 'application/json', text) : sendJson(response, at);
    const source = await loaded({ document: `${api.url}/docs/v1/openapi.json?token=${SECRET}` });
    expect(source.from).toBe(`${api.url}/docs/v1/openapi.json`);
    await expect(named(source, 'get_op').run({}, toolContext())).resolves.toBe('/docs/api/op');
  });

  test('is found by way of an ai-plugin.json', async () => {
    const manifest = {
      schema_version: 'v1',
      name_for_model: 'todo',
      auth: { type: 'none' },
      api: { type: 'openapi', url: '/openapi.yaml' },
    };
    const yaml = `openapi: 3.0.1\ninfo:\n  title: Todo\n  version: 'v1'\nservers:\n  - url: ${api.url}\npaths:\n  /todos/{name}:\n    get:\n      operationId: getTodos\n      summary: Get the list of todos\n      parameters:\n        - {in: path, name: name, schema: {type: string}, required: true}\n      responses: {'200': {description: OK}}\n`;
    api.answer = ({ path: at }, response) => {
      if (at === '/.well-known/ai-plugin.json') return sendJson(response, manifest);
      return at === '/openapi.yaml' ? send(response, 'text/yaml', yaml) : sendJson(response, [at]);
    };
    const source = await loaded({ document: `${api.url}/.well-known/ai-plugin.json` });
    expect([source.name, namesOf(source)]).toStrictEqual(['todo', ['getTodos']]);
    await expect(named(source, 'getTodos').run({ name: 'ann' }, toolContext())).resolves.toStrictEqual([
      '/todos/ann',
    ]);
  });

  test('beside a manifest on disk is found, one outside of its folder is not', async () => {
    const neighbour = path.basename(one({}));
    const manifest = (url: string): string => file({ name_for_model: 'near', api: { url } });
    expect((await loaded({ document: manifest(`./${neighbour}`) })).name).toBe('near');
    expect(await refusal({ document: manifest('../../etc/passwd') })).toContain('leads out of its folder');
    api.answer = (_, response) => sendJson(response, { api: { url: 'file:///etc/passwd' } });
    expect(await refusal({ document: `${api.url}/ai-plugin.json` })).toContain('no web address');
  });

  test.each([
    ['hello', 'no OpenAPI document'],
    ['<html></html>', 'no OpenAPI document'],
    ['{"openapi":"3.0.0","info":{}', 'no OpenAPI document'],
    ['a: b: c', 'bad indentation'],
    ['{"openapi":"4.0.0","info":{"version":"1"},"paths":{}}', 'Unsupported OpenAPI version: 4.0.0'],
    ['{"openapi":"3.0.0","info":{"version":"1","title":""},"paths":{}}', 'None of the document'],
  ])('that reads %j is refused with a reason', async (text, reason) => {
    const said = await refusal({ document: file(text) });
    expect(said).toContain(reason);
    expect(said).not.toContain(process.cwd());
  });

  test('that is not there is refused with a reason', async () => {
    expect(await refusal({ document: path.join(folder, 'none.json') })).toBe('There is no such file.');
    api.answer = (_, response) => sendJson(response, {}, 503);
    expect(await refusal({ document: api.url })).toContain('HTTP 503');
  });

  test('on disk with a relative server needs a baseUrl', async () => {
    const document = one({}, '/op', 'get', { servers: [{ url: '/v1' }] });
    expect(await refusal({ document })).toContain("set 'baseUrl'");
    await call(await loaded({ document, baseUrl: `${api.url}/base` }), {});
    expect(api.asked[0]?.path).toBe('/base/op');
  });

  test('says its servers with variables, operation before path before document', async () => {
    const server = { url: `${api.url}/{v}`, variables: { v: { default: 'v9' } } };
    await call(await loaded({ document: one({ servers: [server] }) }), {});
    expect(api.asked[0]?.path).toBe('/v9/op');
  });

  test('names nothing that every object inherits: neither variables nor formats of lists', async () => {
    const paths = {
      '/{constructor}': {
        get: {
          operationId: 'op',
          parameters: [
            parameter('constructor', 'path', { type: 'string', schema: undefined }),
            {
              name: 'q',
              in: 'query',
              type: 'array',
              items: { type: 'string' },
              collectionFormat: 'constructor',
            },
          ],
          ...ok,
        },
      },
    };
    const { host } = new URL(api.url);
    const document = { swagger: '2.0', info: { title: 't', version: '1' }, host, schemes: ['http'], paths };
    await call(await loaded({ document: file(document) }), { constructor: 'x', q: ['a', 'b'] });
    expect(api.asked[0]?.path).toBe('/x?q=a%2Cb');
  });

  test('with ten thousand operations is refused, and used where allow names some', async () => {
    const paths = Object.fromEntries(
      Array.from({ length: 10_000 }, (_, n) => [
        `/items/${n}/{id}`,
        { get: { operationId: `item_${n}`, parameters: [parameter('id', 'path')], ...ok } },
      ]),
    );
    const document = file(documentOf(paths));
    const begin = performance.now();
    expect(await refusal({ document })).toBe(
      "The document has 10000 operations, more than 128. Name the ones to be used in 'allow'.",
    );
    const source = await loaded({ document, allow: ['item_9999', 'GET /items/5/{id}', 'no_such'] });
    expect(performance.now() - begin).toBeLessThan(5_000);
    expect(namesOf(source)).toStrictEqual(['item_5', 'item_9999']);
    expect(source.log.lines.join()).toContain('no such operation {"source"');
  });

  test('loses the operations that cannot be called truthfully, each with a reason', async () => {
    const wrong: Readonly<Record<string, object>> = {
      "it needs a cookie ('c')": { parameters: [parameter('c', 'cookie', { required: true })] },
      "'x y' is no name of a header": { parameters: [parameter('x y', 'header')] },
      "in the style 'matrix'": { parameters: [parameter('a', 'path', { style: 'matrix' })] },
      'a parameter of it is wrong: in': { parameters: [parameter('a', 'nowhere')] },
      'one of its parameters is not an object': { parameters: [7] },
      'can only be sent as multipart/form-data': { requestBody: { content: { 'multipart/form-data': {} } } },
      'its body says no content type': { requestBody: {} },
      'characters to describe': jsonBody({ enum: Array.from({ length: 200 }, () => 'x'.repeat(1_000)) }),
    };
    const paths = Object.values(wrong).map((operation, n) => [
      `/${n}/{a}`,
      { post: { ...operation, ...ok } },
    ]);
    const { source } = await openOnce({ document: file(documentOf(Object.fromEntries(paths))) });
    expect(source.tools()).toStrictEqual([]);
    for (const [n, reason] of Object.keys(wrong).entries()) {
      expect(source.log.lines[n]).toContain(reason);
      expect(source.log.lines[n]).toContain(`POST /${n}/`);
    }
  });

  test('names are made safe, unlike each other, short and prefixed', async () => {
    const get = (operationId?: string): unknown => ({ get: { operationId, ...ok } });
    const paths = {
      '/a': get('list all!'),
      '/b': get('list_all'),
      '/c/{x}': get(),
      '/d': get('查询'),
      '/e': get('n'.repeat(90)),
    };
    const source = await loaded({ document: file(documentOf(paths)), prefix: 'my_' });
    expect(namesOf(source)).toStrictEqual([
      'my_list_all',
      'my_list_all_2',
      'my_get_c_x',
      'my_get_d',
      `my_${'n'.repeat(61)}`,
    ]);
    expect(source.log.lines.join()).toContain("'my_list_all' is taken");
  });
});

describe('references', () => {
  test('to files and other hosts are not followed; only that operation is lost', async () => {
    const source = await loaded({
      document: file(
        documentOf({
          '/a': { post: { operationId: 'disk', ...jsonBody({ $ref: 'file:///etc/passwd' }), ...ok } },
          '/b': { post: { operationId: 'web', ...jsonBody({ $ref: `${api.url}/schema.json` }), ...ok } },
          '/c': { post: { operationId: 'near', ...jsonBody({ $ref: './other.json#/a' }), ...ok } },
          '/d': { $ref: `${api.url}/path.json` },
          '/e': {
            get: { operationId: 'lost', parameters: [{ $ref: '#/components/parameters/none' }], ...ok },
          },
          '/f': { get: { operationId: 'op', ...ok } },
        }),
      ),
    });
    expect(namesOf(source)).toStrictEqual(['op']);
    expect(api.asked).toStrictEqual([]);
    expect(source.log.lines.filter((line) => line.includes('refers to another document'))).toHaveLength(3);
    expect(source.log.lines.join()).toContain("'#/components/parameters/none' leads nowhere");
    expect(source.log.lines.join()).toContain('paths that refer to nothing');
  });

  test('that go in circles end', async () => {
    const node = {
      type: 'object',
      properties: { value: { type: 'string' }, next: { $ref: '#/components/schemas/Node' } },
    };
    const schemas = { Node: node, Loop: { $ref: '#/components/schemas/Loop' } };
    const body = (ref: string): object => jsonBody({ $ref: `#/components/schemas/${ref}` });
    const source = await loaded({ document: one(body('Node'), '/op', 'post', { components: { schemas } }) });
    expect(named(source).parameters['properties']).toStrictEqual({ value: { type: 'string' }, next: {} });
    expect(
      await refusal({ document: one(body('Loop'), '/op', 'post', { components: { schemas } }) }),
    ).toContain('circle');
  });

  test.each(['properties', 'oneOf'])('that multiply in %s are cut off', async (key) => {
    const schemas = Object.fromEntries(
      Array.from({ length: 40 }, (_, n) => {
        const next = { $ref: `#/components/schemas/s${n + 1}` };
        const all = { a: next, b: next, c: next };
        return [`s${n}`, { type: 'object', [key]: key === 'oneOf' ? Object.values(all) : all }];
      }),
    );
    const source = await loaded({
      document: one(jsonBody({ $ref: '#/components/schemas/s0' }), '/op', 'post', {
        components: { schemas: { ...schemas, s40: {} } },
      }),
    });
    expect(JSON.stringify(named(source).parameters).length).toBeLessThan(32 * 1024);
  });
});

describe('keys', () => {
  const headers = { authorization: `Bearer ${SECRET}` };

  test('are sent, and never said: not when the API repeats them, nor when it fails', async () => {
    const source = await loaded({ document: one({}), headers });
    api.answer = ({ headers: got }, response) => sendJson(response, { got: got.authorization });
    expect(await call(source, {})).toStrictEqual({ got: '[redacted]' });
    api.answer = (_, response) => send(response, 'text/plain', `wrong key ${SECRET}`, 401);
    expect((await failure(call(source, {}))).message).toBe('HTTP 401: wrong key [redacted]');
    expect(api.asked.map((one) => one.headers.authorization)).toStrictEqual([
      headers.authorization,
      headers.authorization,
    ]);
    const all = [source.log.lines, source.from, source.name, source.health(), source.tools()];
    expect(JSON.stringify(all)).not.toContain(SECRET);
  });

  test('are in no reason, no log, no address', async () => {
    const token = 'token-in-the-address';
    const document = `${api.url}/doc?token=${token}`;
    const { source, reason } = await openOnce(
      { document, headers },
      {
        fetch: (url) => Promise.reject(new Error(`cannot get ${String(url)} with ${headers.authorization}`)),
      },
    );
    expect(reason).toContain('cannot get');
    const said = [reason, source.from, source.name, ...source.log.lines].join();
    expect(said).not.toContain(SECRET);
    expect(said).not.toContain(token);
  });

  test('go with the document and its own host, but not where the document sends them', async () => {
    const elsewhere = await startApi();
    onTestFinished(() => elsewhere.close());
    const text = documentOf(
      { '/op': { get: { operationId: 'op', ...ok } } },
      { servers: [{ url: elsewhere.url }] },
    );
    api.answer = (_, response) => sendJson(response, text);
    const document = `${api.url}/openapi.json`;
    expect(await refusal({ document, headers })).toContain(
      "where your headers go only when 'baseUrl' says so",
    );
    expect(api.asked[0]?.headers.authorization).toBe(headers.authorization);
    // Without keys the document may say what it likes.
    await call(await loaded({ document }), {});
    const source = await loaded({ document, headers, baseUrl: elsewhere.url });
    await call(source, {});
    expect(elsewhere.asked.map((one) => one.headers.authorization)).toStrictEqual([
      undefined,
      headers.authorization,
    ]);
    // The document lies with somebody else now.
    expect(api.asked.at(-1)?.headers.authorization).toBeUndefined();
  });

  test('do not follow a redirect', async () => {
    const source = await loaded({ document: one({}), headers });
    api.answer = (_, response) => response.writeHead(302, { location: `${api.url}/elsewhere` }).end();
    expect((await failure(call(source, {}))).message).toContain('another address');
    expect(api.asked.map((one) => one.path)).toStrictEqual(['/v1/op']);
  });
});

describe('a document that is not there yet', () => {
  test('is asked for again, with growing pauses, until it is', async () => {
    const pauses: number[] = [];
    let now = NOW;
    api.answer = (_, response) => sendJson(response, {}, 500);
    const source: Opened = open(
      { document: `${api.url}/openapi.json` },
      {
        now: () => (now += 1),
        pause: async (ms) => {
          expect(source.health()).toMatchObject({ status: 'unavailable', since: NOW + 2 });
          pauses.push(ms);
          if (pauses.length < 9) return;
          api.answer = (_, response) =>
            sendJson(response, documentOf({ '/op': { get: { operationId: 'op', ...ok } } }));
        },
      },
    );
    expect(source.health()).toStrictEqual({
      status: 'unavailable',
      since: NOW + 1,
      reason: 'It is being loaded.',
    });
    await source.ready;
    expect(source.health()).toStrictEqual({ status: 'ok' });
    expect(namesOf(source)).toStrictEqual(['op']);
    expect(pauses).toStrictEqual([5, 10, 20, 40, 80, 160, 300, 300, 300].map((s) => s * 1_000));
  });

  test('is given up when the source is closed: while it is asked for, and while it waits', async () => {
    const arrived = Promise.withResolvers<void>();
    api.answer = () => arrived.resolve();
    const asking = open({ document: `${api.url}/never` });
    await arrived.promise;
    await asking.close();
    expect(asking.health().status).toBe('unavailable');

    const waiting = open({ document: path.join(folder, 'none.json') });
    while (waiting.log.lines.length === 0) await new Promise((resolve) => setImmediate(resolve));
    await waiting.close();
    expect(waiting.log.lines).toHaveLength(1);
  });
});
