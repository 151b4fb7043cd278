/** Tools of MCP servers and OpenAPI documents in runs: the reference MCP server over both transports, and the Petstore. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest';
import { z } from 'zod';
import { startService, type Service } from '../support/service.ts';
import { calls, FakeUpstream, says } from '../support/upstream.ts';
import { FakeWeb } from '../support/web.ts';
import { Wire, type WireRun } from '../support/wire.ts';

// Tools' processes come up in a fifth of a second, on a loaded machine in half a minute.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const EVERYTHING = fileURLToPath(
  import.meta.resolve('@modelcontextprotocol/server-everything/dist/index.js'),
);
const PETSTORE = fileURLToPath(new URL('../toolbox/petstore/openapi-3.0.json', import.meta.url));
/** Says its pid where our log has it; the server then takes its place. */
const BY_SHELL = `echo "pid=$$" >&2; exec "${process.execPath}" "${EVERYTHING}" stdio`;

let folder = '';
let upstream: FakeUpstream;
let pets: FakeWeb;
let http: ChildProcess;
let service: Service;
let wire: Wire;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'longrun-sources-'));
  upstream = await FakeUpstream.start();
  pets = await FakeWeb.start();
  const port = await freePort();
  http = spawn(process.execPath, [EVERYTHING, 'streamableHttp'], {
    env: { PORT: String(port) },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  if (http.stderr === null) throw new Error('the MCP server has no stderr');
  for await (const line of createInterface({ input: http.stderr })) if (line.includes('listening')) break;
  const config = join(folder, 'config.json');
  await writeFile(
    config,
    JSON.stringify({
      mcpServers: {
        near: { command: 'sh', args: ['-c', BY_SHELL] },
        far: { url: `http://127.0.0.1:${port}/mcp` },
      },
      openapi: [{ document: PETSTORE, baseUrl: `${pets.url}/v2`, headersEnv: { api_key: 'PETS_KEY' } }],
    }),
  );
  service = await startService({
    redisUrl: inject('redisUrl'),
    upstream,
    env: {
      LONGRUN_CONFIG: config,
      PETS_KEY: 'key-of-the-pets',
      SEARXNG_URL: pets.url,
      LOG_LEVEL: 'debug',
    },
  });
  wire = new Wire(service.baseUrl);
  for (const process of ['api', 'worker 0']) {
    await service.waitForLog((line) => line.process === process && line.msg === 'OpenAPI document loaded');
    for (const name of ['near', 'far']) await connected(process, name);
  }
});

afterAll(async () => {
  await service?.stop();
  http?.kill('SIGKILL');
  await pets?.close();
  await upstream?.stop();
  await rm(folder, { recursive: true });
});

const connected = (process: string, server: string): Promise<unknown> =>
  service.waitForLog(
    (line) => line.process === process && line['mcp_server'] === server && /connected/.test(line.msg),
  );

async function freePort(): Promise<number> {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = z.object({ port: z.number() }).parse(server.address());
  server.close();
  await once(server, 'close');
  return port;
}

/** Plays a run in which the model calls one tool; the run, and what the tool answered. */
async function call(name: string, args: object): Promise<{ run: WireRun; output: string }> {
  upstream.reply(({ outputs }) =>
    outputs.length === 0 ? calls([{ name, arguments: args }]) : says('Done.'),
  );
  const { id: assistant_id } = await wire.ok('POST', '/assistants', {
    model: 'm',
    metadata: { auto_tools: name },
  });
  const run = await wire.play(await wire.thread('go'), { assistant_id });
  return { run, output: upstream.requests.at(-1)?.outputs[0] ?? '' };
}

describe.each(['near', 'far'])('an MCP server that is %s', (server) => {
  test('has its tools listed and used by a run', async () => {
    const { text } = await wire.ask('GET', '/plugins');
    expect(text).toContain(`"${server}_echo"`);
    const { run, output } = await call(`${server}_echo`, { message: 'hello' });
    expect(run.status).toBe('completed');
    expect(output).toBe('Echo: hello');
  });

  test('tells the model what is wrong with its arguments', async () => {
    const { run, output } = await call(`${server}_get-sum`, { a: 'two' });
    expect(run.status).toBe('completed');
    expect(output).toContain('"error"');
  });
});

test('an MCP server that is killed in the middle of a call fails the call, the run ends well, and the next call works', async () => {
  const name = 'near_trigger-long-running-operation';
  const pids = service.logs.filter((line) => line.process === 'worker 0').flatMap(pidIn);
  const playing = call(name, { duration: 60, steps: 60 });
  await upstream.asked(({ body }) => JSON.stringify(body.tools).includes(name));
  // The call is on its way once the run's step shows it.
  await service.waitForLog((line) => line.msg === 'tool call begins' && line['tool'] === name);
  for (const pid of pids) process.kill(pid, 'SIGKILL');
  const { run, output } = await playing;
  expect(run.status).toBe('completed');
  expect(output).toContain('"error"');
  await service.waitForLog(
    (line) => line.process === 'worker 0' && pidIn(line).some((pid) => !pids.includes(pid)),
  );
  expect((await call('near_echo', { message: 'again' })).output).toBe('Echo: again');
});

function pidIn(line: object): readonly number[] {
  const [, pid] = /pid=(\d+)/.exec(JSON.stringify(line)) ?? [];
  return pid === undefined ? [] : [Number(pid)];
}

test('the operations of a public OpenAPI document are tools that call its server, with the key and without telling it', async () => {
  pets.answer = () => ({
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ id: 7, name: 'Doggie', status: 'sold' }),
  });
  const { run, output } = await call('getPetById', { petId: 7 });
  expect(run.status).toBe('completed');
  expect(JSON.parse(output)).toEqual({ id: 7, name: 'Doggie', status: 'sold' });
  expect(pets.requests.at(-1)).toMatchObject({
    method: 'GET',
    path: '/v2/pet/7',
    headers: { api_key: 'key-of-the-pets' },
  });
  const { text } = await wire.ask('GET', '/plugins');
  expect(text).toContain('getPetById');
  expect(text).not.toContain('key-of-the-pets');
  expect(JSON.stringify(service.logs)).not.toContain('key-of-the-pets');
});

test('a SearXNG of one’s own is asked, and no other tool may reach it', async () => {
  pets.answer = () => ({
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      results: [{ title: 'Tea', url: 'https://tea.example.org/', content: 'A <b>drink</b>.' }],
    }),
  });
  const { output } = await call('SEARCH', { query: { q: 'oolong tea', mkt: 'en-US' }, topk: '2' });
  expect(JSON.parse(output)).toEqual({
    provider: 'searxng',
    results: [{ title: 'Tea', url: 'https://tea.example.org/', snippet: 'A drink.' }],
  });
  const asked = pets.requests.length;
  const page = await call('fetch_page', { url: `${pets.url}/secret` });
  expect(page.run.status).toBe('completed');
  expect(page.output).toContain('"error"');
  expect(pets.requests).toHaveLength(asked);
});
