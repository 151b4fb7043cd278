/**
 * Everything the API refuses, in tables: status, text, param and code of the hosted API where it had one. Every refusal is JSON
 * with the same four keys, carries a request id, shows nothing of the inside, and leaves everything as it was.
 */
/* oxlint-disable vitest/expect-expect -- expectRefused asserts. */
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from 'vitest';
import { expectRefusal, type Refusal } from '../support/refusal.ts';
import { calls, says } from '../support/upstream.ts';
import { outputsOf, Wire, type AskOptions, type Reply, type WireRun } from '../support/wire.ts';
import { withService } from '../support/with-service.ts';

/** With blanks, as the SDKs' own test suites have it. */
const KEY = 'My right API Key';
const BODY_LIMIT = 1_000_000;
const WEATHER = { type: 'function', function: { name: 'weather' } };

let wire: Wire;
/** One object of each kind; paths name them as `:thread` and the like. */
const world: Record<string, string> = {};
/** Waits for two calls. */
let waiting: WireRun;

const { upstream, service } = withService({
  env: { AUTH: 'key', API_KEY: KEY, BODY_LIMIT_BYTES: String(BODY_LIMIT) },
});

beforeAll(async () => {
  wire = new Wire(service.baseUrl, { authorization: `Bearer ${KEY}` });
  upstream.reply(({ text }) => {
    const cities = text.split(' ').map((city) => ({ name: 'weather', arguments: { city } }));
    return text.startsWith('weather') ? calls(cities.slice(1)) : says('Fine.');
  });
  world['assistant'] = (await wire.ok('POST', '/assistants', { model: 'm', tools: [WEATHER] })).id;
  world['thread'] = await wire.thread('hello');
  world['run'] = (await wire.play(world['thread'], { assistant_id: world['assistant'] })).id;
  world['step'] = (await wire.list(fill('/threads/:thread/runs/:run/steps')))[0]?.id ?? '';
  world['message'] = (await wire.list(fill('/threads/:thread/messages')))[0]?.id ?? '';
  world['other'] = await wire.thread('weather Taipei Paris');
  waiting = await wire.play(world['other'], { assistant_id: world['assistant'] });
  world['waiting'] = waiting.id;
});

/** `:thread` → the id of the world's thread, and so on; a name may be given another id. */
function fill(path: string, instead: Readonly<Record<string, string>> = {}): string {
  return path.replaceAll(/:(\w+)/g, (_, name: string) => instead[name] ?? world[name] ?? name);
}

/** All there is to see. */
async function picture(): Promise<readonly string[]> {
  const thread = ['/threads/:thread', '/threads/:thread/messages?limit=100', '/threads/:thread/runs'];
  const other = ['/threads/:other/messages', '/threads/:other/runs', '/threads/:other/runs/:waiting/steps'];
  const paths = ['/assistants?limit=100', ...thread, ...other];
  return Promise.all(paths.map(async (path) => (await wire.ask('GET', fill(path))).text));
}

async function expectRefused(
  method: string,
  path: string,
  options: AskOptions,
  refusal: Refusal,
): Promise<void> {
  const before = await picture();
  expectRefusal(await wire.ask(method, fill(path), options), refusal);
  expect(await picture()).toEqual(before);
}

const notJson = (detail: string): Refusal => ({
  message: `We could not parse the JSON body of your request. ${detail}`,
});
const breaksAt = (position: number): Refusal =>
  notJson(`It breaks at character ${position}. (JSON has no comments, trailing commas or single quotes.)`);
const endsEarly = notJson('It ends before the JSON is complete.');
const nothingBehind =
  'There is nothing behind "tool_outputs": a shell script that builds the body failed to quote a tool output.';

describe('a body that is not JSON is refused with the place where it breaks', () => {
  const bodies: readonly [string, string, Refusal][] = [
    ['single quotes', "{'model': 'm'}", breaksAt(1)],
    ['a trailing comma', '{"model": "m",}', breaksAt(14)],
    ['a comma before the bracket', '{"model": "m", "tools": [1,]}', breaksAt(27)],
    ['a comment', '{"model": "m" // the best\n}', breaksAt(14)],
    ['a name without quotes', '{model: "m"}', breaksAt(1)],
    ['undefined', `{"model": undefined, "name": "${'long '.repeat(20)}"}`, breaksAt(10)],
    ['Python words', '{"model": "m", "stream": True}', breaksAt(25)],
    ['a line break in a string', '{"model": "m\n"}', breaksAt(12)],
    ['something behind it', '{"model": "m"} {}', breaksAt(15)],
    ['a form', 'model=m', breaksAt(0)],
    ['a string that does not end', '{"model": "m', endsEarly],
    ['an object that does not end', '{"model": "m"', endsEarly],
    ['the bash trap', '{"tool_outputs": }', notJson(nothingBehind)],
    ['65 levels', '['.repeat(65) + ']'.repeat(65), notJson('It is nested deeper than 64 levels.')],
  ];
  /** Shows A-ERR-15, A-WIRE-22. */
  test.each(bodies)('%s', async (_, body, refusal) => {
    await expectRefused('POST', '/assistants', { body }, refusal);
  });

  test('but 64 levels are read, and a byte order mark is nobody’s fault', async () => {
    const parameters = '{"a":'.repeat(59) + '{}' + '}'.repeat(59);
    const tool = `{"type":"function","function":{"name":"f","parameters":${parameters}}}`;
    const reply = await wire.ask('POST', '/assistants', { body: `\uFEFF{"model":"m","tools":[${tool}]}` });
    expect(reply.status).toBe(200);
  });

  const values: readonly [string, string][] = [
    ['a string', '"model"'],
    ['an array', '[{"model":"m"}]'],
    ['a null value', 'null'],
    ['an integer', '5'],
    ['a boolean', 'true'],
  ];
  test.each(values)('nor is %s a body', async (what, body) => {
    const message = `Invalid type for the request body: expected an object, but got ${what} instead.`;
    await expectRefused('POST', '/assistants', { body }, { message, code: 'invalid_type' });
  });
});

describe('the content type of a body does not matter, its bytes do', () => {
  const types = ['text/plain', 'application/x-www-form-urlencoded', 'application/json; charset=latin1', 'x'];
  /** Shows A-WIRE-09. */
  test.each(types)('%s', async (type) => {
    const reply = await wire.ask('POST', '/threads', { body: '{}', headers: { 'content-type': type } });
    expect(reply.status).toBe(200);
  });

  const unread = notJson('It did not arrive whole, or in an encoding this server does not read.');
  test.each(['gzip', 'compress', 'br'])('what is said to be %s must be', async (encoding) => {
    const headers = { 'content-encoding': encoding };
    await expectRefused('POST', '/assistants', { body: '{"model":"m"}', headers }, unread);
  });

  test('a zipped body is unzipped', async () => {
    const response = await fetch(`${service.baseUrl}/threads`, {
      method: 'POST',
      headers: { authorization: KEY, 'content-encoding': 'gzip' },
      body: gzipSync('{"metadata":{"zipped":"yes"}}'),
    });
    expect(await response.json()).toMatchObject({ metadata: { zipped: 'yes' } });
  });

  /** Shows A-THREAD-01, A-WIRE-07. */
  test('no body at all is an empty object', async () => {
    expect((await wire.ask('POST', '/threads')).status).toBe(200);
    expect((await wire.ask('POST', '/threads', { body: '' })).status).toBe(200);
    expect((await wire.ask('POST', '/threads', { body: ' \n' })).status).toBe(200);
    const missing = {
      message: "Missing required parameter: 'model'.",
      param: 'model',
      code: 'missing_required_parameter',
    };
    await expectRefused('POST', '/assistants', {}, missing);
  });

  /** Shows A-WIRE-23. */
  test('one byte beyond the limit is too much', async () => {
    const body = (length: number): string => {
      const frame = JSON.stringify({ messages: [{ role: 'user', content: '' }] });
      return frame.replace('""', `"${'x'.repeat(length - frame.length)}"`);
    };
    expect((await wire.ask('POST', '/threads', { body: body(BODY_LIMIT) })).status).toBe(200);
    await expectRefused(
      'POST',
      '/threads',
      { body: body(BODY_LIMIT + 1) },
      {
        status: 413,
        message: `The body of the request is larger than ${BODY_LIMIT} bytes, the limit of this server.`,
        code: 'request_too_large',
      },
    );
  });
});

describe('a key', () => {
  const ask = (headers: Readonly<Record<string, string>>): Promise<Reply> =>
    new Wire(service.baseUrl, headers).ask('GET', '/assistants');

  const spellings: readonly [string, (key: string) => string][] = [
    ['authorization', (key) => `Bearer ${key}`],
    ['Authorization', (key) => `bearer ${key}`],
    ['AUTHORIZATION', (key) => `BEARER   ${key}`],
    ['authorization', (key) => key],
    ['X-API-Key', (key) => key],
    ['api-key', (key) => key],
  ];
  /** Shows A-WIRE-02, A-WIRE-03. */
  test.each(spellings)('is read from %s, and refused there when it is wrong', async (name, value) => {
    expect((await ask({ [name]: value(KEY) })).status).toBe(200);
    expectRefusal(await ask({ [name]: value('sk-wrong-and-secret') }), {
      status: 401,
      message: 'Incorrect API key provided: sk-w****cret. Ask the operator of this server for the right one.',
      code: 'invalid_api_key',
    });
  });

  /** Shows A-WIRE-03. */
  test('that is short is not repeated at all', async () => {
    expectRefusal(await ask({ authorization: 'Bearer short' }), {
      status: 401,
      message: /^Incorrect API key provided: \*{4}\. /,
      code: 'invalid_api_key',
    });
  });

  const nothing: readonly [Readonly<Record<string, string>>][] = [
    [{}],
    [{ authorization: 'Bearer' }],
    [{ authorization: 'Bearer ' }],
    [{ 'api-key': '' }],
  ];
  /** Shows A-WIRE-04. */
  test.each(nothing)('is missing from %j', async (headers) => {
    const message = /^You didn't provide an API key\. /;
    expectRefusal(await ask(headers), { status: 401, message });
  });

  /** Shows A-ERR-13, A-WIRE-04. */
  test('comes before everything else: without it no path and no method says more', async () => {
    const stranger = new Wire(service.baseUrl);
    const message = /^You didn't provide an API key\. /;
    const paths = ['/nothing', fill('/threads/:thread'), '/threads/thread_none', '/files', '/models'];
    for (const path of paths) expectRefusal(await stranger.ask('GET', path), { status: 401, message });
    const old = { 'openai-beta': 'assistants=v1' };
    const body = '{no json';
    expectRefusal(await stranger.ask('POST', '/threads', { body, headers: old }), { status: 401, message });
  });
});

describe('the beta header', () => {
  /** Shows A-ERR-13, A-WIRE-06. */
  test('of version 1 is refused, before the path is looked at', async () => {
    const headers = { 'openai-beta': 'assistants=v1' };
    await expectRefused(
      'GET',
      '/threads/thread_none',
      { headers },
      {
        message:
          "Assistants v1 is not served. Send 'OpenAI-Beta: assistants=v2', or leave the header out altogether.",
        code: 'invalid_beta',
      },
    );
  });

  /** Shows A-WIRE-05. */
  test.each(['assistants=v2', 'responses=v1', ''])('may be "%s"', async (value) => {
    const reply = await wire.ask('GET', fill('/threads/:thread'), { headers: { 'openai-beta': value } });
    expect(reply.status).toBe(200);
  });
});

/** Every route with ids in its path. */
const ROUTES: readonly (readonly [string, string])[] = [
  ...['GET', 'POST', 'DELETE'].map((method) => [method, '/assistants/:assistant'] as const),
  ...['GET', 'POST', 'DELETE'].map((method) => [method, '/threads/:thread'] as const),
  ...['GET', 'POST'].map((method) => [method, '/threads/:thread/messages'] as const),
  ...['GET', 'POST', 'DELETE'].map((method) => [method, '/threads/:thread/messages/:message'] as const),
  ...['GET', 'POST'].map((method) => [method, '/threads/:thread/runs'] as const),
  ...['GET', 'POST'].map((method) => [method, '/threads/:thread/runs/:run'] as const),
  ['POST', '/threads/:thread/runs/:run/cancel'],
  ['POST', '/threads/:thread/runs/:run/submit_tool_outputs'],
  ['GET', '/threads/:thread/runs/:run/events'],
  ['GET', '/threads/:thread/runs/:run/steps'],
  ['GET', '/threads/:thread/runs/:run/steps/:step'],
];
const PREFIXES: Readonly<Record<string, string>> = {
  assistant: 'asst',
  thread: 'thread',
  message: 'msg',
  run: 'run',
  step: 'step',
};

describe('an id in the path', () => {
  const places = ROUTES.flatMap(([method, path]) =>
    [...path.matchAll(/:(\w+)/g)].map(([, name = '']) => ({ method, path, name })),
  );

  /** Shows A-ERR-01, A-ERR-02, A-ERR-13, A-ERR-16, A-ID-08, A-ID-09. */
  test.each(places)('that names nothing is not found: $name in $method $path', async (place) => {
    const { method, path, name } = place;
    const before = await picture();
    const prefix = PREFIXES[name];
    const kind = name === 'step' ? 'run step' : name;
    const strange = [
      `${prefix}_a:b`,
      `${prefix}_{x}`,
      `${prefix}_${'x'.repeat(150)}`,
      'null',
      'undefined',
      'None',
      'x_1',
    ];
    for (const id of [`${prefix}_none`, ...strange]) {
      // What is wrong with the path is said before anything about the body.
      const reply = await wire.ask(
        method,
        fill(path, { [name]: id }),
        method === 'POST' ? { body: '{' } : {},
      );
      expectRefusal(reply, { status: 404, message: `No ${kind} found with id '${id}'.` });
    }
    expect(await picture()).toEqual(before);
  });

  /** Shows A-ID-10. */
  test('of an object in another thread or run is not found either', async () => {
    const foreign: readonly [string, string, string][] = [
      ['GET', '/threads/:other/messages/:message', `No message found with id '${world['message']}'.`],
      ['DELETE', '/threads/:other/messages/:message', `No message found with id '${world['message']}'.`],
      ['GET', '/threads/:other/runs/:run', `No run found with id '${world['run']}'.`],
      ['POST', '/threads/:other/runs/:run', `No run found with id '${world['run']}'.`],
      ['POST', '/threads/:thread/runs/:waiting/cancel', `No run found with id '${world['waiting']}'.`],
      ['GET', '/threads/:other/runs/:waiting/steps/:step', `No run step found with id '${world['step']}'.`],
    ];
    for (const [method, path, message] of foreign)
      await expectRefused(method, path, {}, { status: 404, message });
  });

  /** Shows A-ID-12. */
  test('may be percent-encoded, but not by halves', async () => {
    const encoded = fill('/threads/:thread').replace('_', '%5F');
    expect((await wire.ask('GET', encoded)).status).toBe(200);
    const message = 'The path of the request has a broken percent-encoding.';
    await expectRefused('GET', '/threads/thread_%zz', {}, { message });
  });
});

describe('routes and methods', () => {
  const unknown: readonly [string, string][] = [
    ['GET', '/nothing'],
    ['POST', '/threads//runs'],
    ['GET', '/threads/:thread/nothing'],
    ['POST', '/threads/:thread/runs/:run/steps/:step/nothing'],
  ];
  /** Shows A-ID-13, A-WIRE-17. */
  test.each(unknown)('%s %s is unknown', async (method, path) => {
    const message = `Invalid URL (${method} /v1${fill(path)})`;
    await expectRefused(method, path, {}, { status: 404, message });
  });

  const wrong: readonly [string, string, string][] = [
    ['PATCH', '/threads/:thread', 'GET, POST, DELETE'],
    ['PUT', '/assistants/:assistant', 'GET, POST, DELETE'],
    ['DELETE', '/threads', 'POST, GET'],
    ['DELETE', '/threads/:thread/runs/:run', 'GET, POST'],
    ['GET', '/threads/:thread/runs/:run/cancel', 'POST'],
    ['POST', '/threads/:thread/runs/:run/steps', 'GET'],
    ['POST', '/models', 'GET'],
  ];
  /** Shows A-WIRE-16. */
  test.each(wrong)('%s %s is not allowed', async (method, path, allowed) => {
    const reply = await wire.ask(method, fill(path));
    const message = `Not allowed to ${method} on /v1${fill(path)}. Allowed: ${allowed}.`;
    expectRefusal(reply, { status: 405, message, code: 'method_not_supported' });
    expect(reply.headers.get('allow')).toBe(allowed);
  });
});

describe('a list', () => {
  const lists = [
    '/assistants',
    '/threads/:thread/messages',
    '/threads/:thread/runs',
    '/threads/:thread/runs/:run/steps',
  ];
  const queries: readonly [string, Refusal][] = [
    [
      'limit=0',
      {
        message: "Invalid 'limit': integer below minimum value. Expected a value >= 1, but got 0 instead.",
        param: 'limit',
        code: 'integer_below_min_value',
      },
    ],
    [
      'limit=101',
      {
        message:
          "Invalid 'limit': integer above maximum value. Expected a value <= 100, but got 101 instead.",
        param: 'limit',
        code: 'integer_above_max_value',
      },
    ],
    [
      'limit=ten',
      {
        message: "Invalid type for 'limit': expected an integer, but got a string instead.",
        param: 'limit',
        code: 'invalid_type',
      },
    ],
    [
      'order=up',
      {
        message: "Invalid value: 'up'. Supported values are: 'asc' and 'desc'.",
        param: 'order',
        code: 'invalid_value',
      },
    ],
    ...['after', 'before'].flatMap((param) =>
      ['msg_none', 'nonsense'].map((id): [string, Refusal] => [
        `${param}=${id}`,
        { message: `Invalid '${param}': '${id}' is not an item of this list.`, param, code: 'invalid_value' },
      ]),
    ),
  ];
  /** Shows A-ERR-01, A-LIST-07, A-LIST-12, A-LIST-13, A-LIST-16. */
  test.each(lists)('%s: limit, order and cursors', async (path) => {
    for (const [query, refusal] of queries) await expectRefused('GET', `${path}?${query}`, {}, refusal);
    for (const query of ['limit=1', 'limit=100', 'order=asc', 'order=desc', 'after=', 'colour=red'])
      expect((await wire.ask('GET', `${fill(path)}?${query}`)).status, query).toBe(200);
  });

  /** Shows A-LIST-12. */
  test('does not take an item of another list as its cursor', async () => {
    const message = `Invalid 'after': '${world['message']}' is not an item of this list.`;
    const refusal = { message, param: 'after', code: 'invalid_value' };
    await expectRefused('GET', '/threads/:other/messages?after=:message', {}, refusal);
  });
});

describe('tool outputs', () => {
  const path = '/threads/:other/runs/:waiting/submit_tool_outputs';

  /** Shows A-OUT-03, A-OUT-04. */
  test('must be for exactly the calls the run waits for, each once', async () => {
    const [one, two] = outputsOf(waiting, 'sunny');
    const foreign = { tool_call_id: 'call_foreign', output: 'x' };
    const ids = `['${one?.tool_call_id}', '${two?.tool_call_id}']`;
    const wrong: readonly [readonly unknown[], string][] = [
      [[], '[]'],
      [[one], `['${one?.tool_call_id}']`],
      [[one, one], `['${one?.tool_call_id}', '${one?.tool_call_id}']`],
      [[one, foreign], `['${one?.tool_call_id}', 'call_foreign']`],
      [[one, two, foreign], `['${one?.tool_call_id}', '${two?.tool_call_id}', 'call_foreign']`],
      [[one, { output: 'no id' }], `['${one?.tool_call_id}', '']`],
      [[one, { tool_call_id: null, output: 'no id' }], `['${one?.tool_call_id}', '']`],
    ];
    for (const [outputs, got] of wrong) {
      const message = `Expected tool outputs for call_ids ${ids}, got ${got}`;
      for (const stream of [false, true])
        await expectRefused('POST', path, { body: { tool_outputs: outputs, stream } }, { message });
    }
  });

  /** Shows A-OUT-05, A-RETRY-01. */
  test('are not wanted by a run that has ended', async () => {
    const ended = '/threads/:thread/runs/:run/submit_tool_outputs';
    const message = 'Runs in status "completed" do not accept tool outputs.';
    const [one] = outputsOf(waiting, 'sunny');
    for (const outputs of [[], [one]])
      await expectRefused('POST', ended, { body: { tool_outputs: outputs } }, { message });
  });
});

test('and none of it was a fault of the server', () => {
  // What is said of the Redis of these tests at the start is true.
  const isOfRedis = (msg: string): boolean => msg.includes('append-only file');
  expect(service.logs.filter(({ level, msg }) => level >= 40 && !isOfRedis(msg))).toEqual([]);
});
