/**
 * Logs at info and above hold ids, hosts and sizes: nothing that users, models, tools or the services behind them have said,
 * however they fail, and no query of a URL. What an operator needs to find a fault is at debug.
 */
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { z } from 'zod';
import { asking, post } from '../support/chat.ts';
import { startService, type LogLine, type Service } from '../support/service.ts';
import { calls, FakeUpstream, finish, refuses, says, text, type Script } from '../support/upstream.ts';
import { Wire } from '../support/wire.ts';

/** In whatever anybody says. */
const MARK = 'private-words-7f3a';
const INFO = 30;
const WARN = 40;
const GOSSIPS = fileURLToPath(new URL('../toolbox/mcp-servers/gossips.ts', import.meta.url));

/** How the service behind the tools answers, by path. */
const ANSWERS: Readonly<Record<string, (response: ServerResponse) => void>> = {
  '/refused': (response) => response.writeHead(404).end(`no such ${MARK}`),
  '/broken': (response) => response.writeHead(200, { 'content-type': 'application/json' }).end(`{"${MARK}`),
  '/ill': (response) =>
    response.writeHead(500, { 'content-type': 'application/json' }).end(JSON.stringify({ error: MARK })),
  '/elsewhere': (response) => response.writeHead(302, { location: `/there?q=${MARK}` }).end(MARK),
  '/bytes': (response) => response.writeHead(200, { 'content-type': `image/${MARK}` }).end(MARK),
  '/gone': (response) => response.destroy(),
  '/search': (response) => response.writeHead(200).end(`{"${MARK}`),
  '/yaml': (response) => response.end(`openapi: 3.0.0\n  ${MARK}: [`),
  '/json': (response) => response.end(`{"${MARK}": ${MARK}`),
  '/mcp': (response) => {
    const error = { code: -32000, message: MARK };
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ jsonrpc: '2.0', id: 0, error }));
  },
};
const OPERATIONS = ['refused', 'broken', 'ill', 'elsewhere', 'bytes', 'gone'];

/** A tool of an operator that fails while it knows what was said: in its own process, or in the worker. */
const toolFile = (name: string, isIsolated: boolean): string => `
import { z } from 'zod';
export default {
  name: '${name}', description: 'x', parameters: z.object({ way: z.string(), q: z.string() }), isolated: ${isIsolated},
  async run({ way, q }, { fetch }) {
    switch (way) {
      case 'prints': console.log(q); console.error(q); return q;
      case 'throws': throw new Error('cannot do ' + q);
      case 'parses': return JSON.parse(q);
      case 'fetches': return await fetch('http://127.0.0.1:1/path?q=' + q);
      case 'misspells': return await fetch(q + '://x/?q=' + q);
      case 'hides': throw Object.assign(new TypeError('Failed to parse URL from http://a.example/?q=' + q), { cause: q });
    }
  },
};`;
/** Inside of the worker a tool prints where the worker does. */
const WAYS = ['throws', 'parses', 'fetches', 'misspells', 'hides'];

let folder = '';
let upstream: FakeUpstream;
let service: Service;
let wire: Wire;
const web = createServer((request, response) => {
  const [path = ''] = (request.url ?? '').split('?');
  (ANSWERS[path] ?? (() => response.writeHead(404).end(MARK)))(response);
});

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'longrun-logs-'));
  const tools = join(folder, 'tools');
  await mkdir(tools);
  await writeFile(join(tools, 'odd.ts'), toolFile('odd', true));
  await writeFile(join(tools, 'near_odd.ts'), toolFile('near_odd', false));
  await once(web.listen(0, '127.0.0.1'), 'listening');
  const { port } = z.object({ port: z.number() }).parse(web.address());
  const origin = `http://127.0.0.1:${port}`;
  const parameters = [{ name: 'q', in: 'query', schema: { type: 'string' } }];
  const paths = Object.fromEntries(
    OPERATIONS.map((operationId) => [`/${operationId}`, { get: { operationId, parameters, responses: {} } }]),
  );
  const document = join(folder, 'api.json');
  await writeFile(document, JSON.stringify({ openapi: '3.0.0', info: { title: 'api' }, paths }));
  upstream = await FakeUpstream.start();
  const config = {
    upstreams: [{ name: 'default', baseUrl: upstream.baseUrl }],
    openapi: [
      { document, baseUrl: origin },
      { document: `${origin}/yaml?key=${MARK}` },
      { document: `${origin}/json?key=${MARK}` },
    ],
    mcpServers: {
      near: { command: process.execPath, args: [GOSSIPS] },
      far: { url: `${origin}/mcp?key=${MARK}` },
    },
  };
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
  service = await startService({
    redisUrl: inject('redisUrl'),
    env: {
      LONGRUN_CONFIG: join(folder, 'config.json'),
      TOOL_FOLDERS: tools,
      SEARXNG_URL: origin,
      ALLOW_HOSTS: '127.0.0.1:1',
      UPSTREAM_RETRIES: '1',
      LOG_LEVEL: 'debug',
    },
  });
  wire = new Wire(service.baseUrl);
  for (const process of ['api', 'worker 0']) {
    await service.waitForLog((line) => line.process === process && /MCP server connected/.test(line.msg));
    await service.waitForLog((line) => line.process === process && /MCP server unavailable/.test(line.msg));
    for (const name of ['yaml', 'json'])
      await service.waitForLog(
        (line) =>
          line.process === process && /cannot be used/.test(line.msg) && JSON.stringify(line).includes(name),
      );
  }
});

afterAll(async () => {
  await service?.stop();
  await upstream?.stop();
  web.closeAllConnections();
  web.close();
  await rm(folder, { recursive: true, force: true });
});

/** The lines so far that hold what was said. */
const telling = (atLeast: number): readonly LogLine[] =>
  service.logs.filter((line) => line.level >= atLeast && JSON.stringify(line).includes(MARK));

const CALLS: readonly (readonly [name: string, args: object])[] = [
  ['odd', { way: 'prints', q: MARK }],
  ...WAYS.flatMap((way) => ['odd', 'near_odd'].map((name) => [name, { way, q: MARK }] as const)),
  ...[...OPERATIONS, 'near_says', 'near_refuses', 'near_leaves'].map((name) => [name, { q: MARK }] as const),
  ['odd', { way: 7, [MARK]: MARK }],
  ['SEARCH', { query: { q: MARK } }],
  ['fetch_page', { url: `http://127.0.0.1:9/?q=${MARK}` }],
];

describe('a tool that fails leaves nothing of what was said in the log', () => {
  test.each(CALLS)('%s %j', async (name, args) => {
    const thread = await wire.thread(MARK);
    const from = service.logs.length;
    const path = `/pluginapi?tid=${thread}&aid=asst_1&pid=${name}`;
    expect((await wire.ask('POST', path, { body: args })).status).toBe(200);
    upstream.reply(({ outputs }) => (outputs.length === 0 ? calls([{ name, arguments: args }]) : says(MARK)));
    const { id } = await wire.ok('POST', '/assistants', { model: 'm', metadata: { auto_tools: name } });
    await wire.play(thread, { assistant_id: id, instructions: MARK });
    const ends = (process: string) => (line: LogLine) =>
      service.logs.indexOf(line) >= from &&
      line.process === process &&
      line.msg === 'tool call' &&
      line['tool'] === name;
    await Promise.all(['api', 'worker 0'].map((process) => service.waitForLog(ends(process))));
    expect(telling(INFO)).toEqual([]);
  });
});

describe('nor does a model server', () => {
  test.each<[string, Script]>([
    ['refuses', refuses(400, MARK)],
    ['is busy', refuses(429, MARK, { 'retry-after-ms': '1' })],
    ['is ill', refuses(500, MARK)],
    ['talks nonsense', [{ type: 'line', line: `data: {${MARK}` }]],
    ['talks nonsense in the middle', [text(MARK), { type: 'line', line: `data: ${MARK}` }]],
    ['says an error', [{ type: 'line', line: `data: {"error":{"message":"${MARK}"}}` }]],
    ['ends without a word', [{ type: 'line', line: `error: ${MARK}` }]],
    ['calls what nobody has', [...calls([{ name: MARK, arguments: { q: MARK } }])]],
    ['says nothing', [finish('stop')]],
  ])('that %s', async (_, script) => {
    upstream.reply(() => script);
    await (await post(`${service.baseUrl}/chat/completions`, asking(MARK, { stream: true }))).text();
    await (await post(`${service.url}/custom_agent/chat`, asking(MARK, { user: MARK, extra: MARK }))).text();
    expect(telling(INFO)).toEqual([]);
  });
});

test('why a run failed is said all the same, where its id is', async () => {
  upstream.reply(() => refuses(401, MARK));
  const { id } = await wire.ok('POST', '/assistants', { model: 'm' });
  const run = await wire.play(await wire.thread(MARK), { assistant_id: id });
  const line = await service.waitForLog(
    ({ level, ['run_id']: runId }) => level === WARN && runId === run['id'],
  );
  const reason =
    "The upstream 'default' refused the request, which has no key (401). Check the apiKey of 'default' in the config file, or OPENAI_API_KEY.";
  expect(line).toMatchObject({
    msg: `a run failed: ${reason}`,
    thread_id: run['thread_id'],
    error_code: 'server_error',
    reason,
    upstream: 'default',
    model: 'm',
    status: 401,
  });
  expect(line).toHaveProperty('request_id');
});

test('nor do requests that cannot be meant', async () => {
  const paths = [`/threads/%zz?q=${MARK}`, `/${MARK}?q=${MARK}`, `/threads/thread_x?q=${MARK}`];
  for (const path of paths) await wire.ask('GET', path);
  await wire.ask('POST', `/threads?q=${MARK}`, { body: `{"${MARK}"` });
  await wire.ask('POST', '/assistants', { body: { model: 7, [MARK]: MARK } });
  expect(telling(INFO)).toEqual([]);
});

test('what an operator needs is at debug: what a tool printed, and why a call was refused', () => {
  const told = telling(0).map(({ msg }) => msg);
  for (const message of ['tool printed', 'tool call failed']) expect(told).toContain(message);
  // And in the lines for everybody: which call, how it ended, how long it took.
  const line = service.logs.find(({ msg, ['tool']: tool }) => msg === 'tool call' && tool === 'refused');
  expect(line).toMatchObject({
    level: WARN,
    outcome: 'refused',
    status: 404,
  });
});
