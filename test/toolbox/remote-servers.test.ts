/** MCP servers that come with requests, and mean harm: what they send is bounded, and none of their schemas is run. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import { z } from 'zod';
import { createGuard } from '../../src/guard/fetch.ts';
import type { RemoteTarget, RemoteTools } from '../../src/runs/remote.ts';
import { RemoteServers, type RemoteLimits } from '../../src/toolbox/remote-servers.ts';
import { closeSources, openSource } from './mcp-source.ts';

const messageSchema = z.looseObject({
  id: z.number().optional(),
  method: z.string().optional(),
  params: z
    .looseObject({ protocolVersion: z.string().optional(), cursor: z.string().optional() })
    .default({}),
});

/** One page of a list of tools; what it is depends on the cursor. */
type Page = { readonly tools: readonly object[]; readonly nextCursor?: string };

const tool = (name: string, more: object = {}): object => ({
  name,
  inputSchema: { type: 'object', properties: {} },
  ...more,
});
const said = (id: number | undefined, result: object): string =>
  JSON.stringify({ jsonrpc: '2.0', id, result });
const event = (message: string): string => `data: ${message}\n\n`;

class Hostile {
  page: (cursor: string | undefined) => Page = () => ({ tools: [tool('look_up')] });
  result: object = { content: [] };
  /** What it sends before each list of tools; then its answers are streams. */
  before: readonly string[] = [];
  /** How often it was asked for tools. */
  listed = 0;
  /** How often it was asked for a stream of its own messages. */
  opened = 0;
  /** How many of its own requests were answered. */
  answered = 0;
  #server: Server | null = null;

  async listen(): Promise<RemoteTarget> {
    this.#server = createServer((request, response) => void this.#answer(request, response));
    await once(this.#server.listen(0, '127.0.0.1'), 'listening');
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    return { url: `http://127.0.0.1:${address.port}/mcp`, headers: {} };
  }

  stop(): void {
    this.#server?.closeAllConnections();
    this.#server?.close();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method === 'GET') {
      this.opened += 1;
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      return void response.write(
        event(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/tools/list_changed' })),
      );
    }
    const { id, method, params } = messageSchema.parse(await json(request));
    const plain = (result: object): void =>
      void response.writeHead(200, { 'content-type': 'application/json' }).end(said(id, result));
    switch (method) {
      case undefined:
        this.answered += 1;
        return void response.writeHead(202).end();
      case 'initialize':
        return plain({
          protocolVersion: params.protocolVersion,
          capabilities: { tools: { listChanged: true } },
          serverInfo: { name: 'hostile', version: '1' },
        });
      case 'tools/list': {
        this.listed += 1;
        const page = this.page(params.cursor);
        if (this.before.length === 0) return plain(page);
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        return void response.end([...this.before, said(id, page)].map(event).join(''));
      }
      case 'tools/call':
        return plain(this.result);
      default:
        return id === undefined ? void response.writeHead(202).end() : plain({});
    }
  }
}

const open: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  await closeSources();
  for (const close of open.splice(0).toReversed()) await close();
});

const { signal } = new AbortController();
const asked = {
  project: 'p',
  runId: 'run_1',
  threadId: 'thread_1',
  assistantId: null,
  callId: 'call_1',
  extras: {},
  secrets: {},
};

async function hostile(
  changes: Partial<Hostile> = {},
  limits: Partial<RemoteLimits> = {},
): Promise<{
  readonly server: Hostile;
  readonly target: RemoteTarget;
  readonly list: () => Promise<RemoteTools>;
  readonly call: (name: string) => Promise<unknown>;
  readonly close: () => Promise<void>;
}> {
  const server = Object.assign(new Hostile(), changes);
  const target = await server.listen();
  open.push(() => server.stop());
  const guard = createGuard({ allow: [new URL(target.url).host] });
  open.push(() => guard.close());
  const remotes = new RemoteServers({
    fetch: guard.fetch,
    cache: { get: async () => null, set: async () => {} },
    log: pino({ level: 'silent' }),
    limits,
  });
  open.push(() => remotes.close());
  return {
    server,
    target,
    list: () => remotes.list('p', target, signal),
    call: (name) => remotes.run(target, name, { written: '{}', asked }, signal),
    close: () => remotes.close(),
  };
}

const namesOf = (listed: RemoteTools): readonly string[] =>
  listed.type === 'tools' ? listed.tools.map(({ name }) => name) : [listed.reason];

test('a pattern that would never end is not run on the result', async () => {
  const endless = { type: 'object', properties: { a: { type: 'string', pattern: '^(a+)+$' } } };
  const structuredContent = { a: `${'a'.repeat(60)}!` };
  const { list, call } = await hostile({
    page: () => ({ tools: [tool('look_up', { outputSchema: endless })] }),
    result: { content: [], structuredContent },
  });
  expect(namesOf(await list())).toStrictEqual(['look_up']);
  expect(await call('look_up')).toStrictEqual(structuredContent);
});

test('an output schema is not even compiled', async () => {
  const { list, call } = await hostile({
    page: () => ({ tools: [tool('look_up', { outputSchema: { type: 'object', $ref: '#/nowhere' } })] }),
    result: { content: [{ type: 'text', text: 'found' }] },
  });
  expect(namesOf(await list())).toStrictEqual(['look_up']);
  expect(await call('look_up')).toBe('found');
});

test('only the parts of a tool that somebody needs are kept', async () => {
  const { list } = await hostile({
    page: () => ({
      tools: [
        tool('look_up', {
          title: 'Looks up',
          description: 'é'.repeat(2_000),
          annotations: { title: 'Looks up', readOnlyHint: true, openWorldHint: false, other: [1] },
          outputSchema: 'none at all',
          _meta: { x: [1] },
          icons: [{ src: 'https://example.com/a.png' }],
        }),
      ],
    }),
  });
  expect(await list()).toStrictEqual({
    type: 'tools',
    tools: [
      {
        name: 'look_up',
        description: 'é'.repeat(1_024),
        parameters: { type: 'object', properties: {} },
        annotations: { readOnlyHint: true, openWorldHint: false },
        isReadOnly: true,
      },
    ],
  });
});

test('no further page is asked for once there are 128 tools', async () => {
  const { server, list } = await hostile({
    page: (cursor = '0') => ({
      tools: Array.from({ length: 100 }, (_, index) => tool(`t${cursor}_${index}`)),
      nextCursor: String(Number(cursor) + 1),
    }),
  });
  expect(namesOf(await list())).toHaveLength(128);
  expect(server.listed).toBe(2);
});

test('no further page is asked for once the tools take 512 KB', async () => {
  const parameters = {
    type: 'object',
    properties: { q: { type: 'string', description: 'x'.repeat(30_000) } },
  };
  const { server, list } = await hostile({
    page: (cursor = '0') => ({
      tools: Array.from({ length: 10 }, (_, index) =>
        tool(`t${cursor}_${index}`, { inputSchema: parameters }),
      ),
      nextCursor: String(Number(cursor) + 1),
    }),
  });
  expect(namesOf(await list())).toHaveLength(17);
  expect(server.listed).toBe(2);
});

test('a list with much else in its pages is refused', async () => {
  const junk = Array.from({ length: 100_000 }, () => ({}));
  const { server, list } = await hostile({
    page: (cursor = '0') => ({
      tools: [tool(`t${cursor}`, { _meta: { junk } })],
      nextCursor: String(Number(cursor) + 1),
    }),
  });
  expect(await list()).toStrictEqual({
    type: 'unavailable',
    reason: 'Its list of tools has more than 2097152 bytes.',
  });
  expect(server.listed).toBe(7);
});

test('a page of more than 512 KB is refused', async () => {
  const { list } = await hostile({
    page: () => ({ tools: [tool('look_up', { _meta: { x: 'x'.repeat(600_000) } })] }),
  });
  expect(await list()).toStrictEqual({
    type: 'unavailable',
    reason: 'It cannot be reached: 127.0.0.1 sent more than 524288 bytes.',
  });
});

test('a connection is given up whose server asks too much', async () => {
  const { server, list, close } = await hostile({
    before: Array.from({ length: 5_000 }, (_, id) => JSON.stringify({ jsonrpc: '2.0', id, method: 'ping' })),
  });
  expect(await list()).toStrictEqual({
    type: 'unavailable',
    reason: 'It sends too many requests of its own.',
  });
  await close();
  expect(server.answered).toBeLessThanOrEqual(20);
});

test('a connection is given up whose server tells too much', async () => {
  const { list } = await hostile({
    before: Array.from({ length: 2_000 }, () =>
      JSON.stringify({ jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 1 } }),
    ),
  });
  expect(await list()).toStrictEqual({ type: 'unavailable', reason: 'It sends too many notifications.' });
});

test('a few requests and notifications do no harm', async () => {
  const { server, list } = await hostile({
    before: [
      ...Array.from({ length: 5 }, (_, id) => JSON.stringify({ jsonrpc: '2.0', id, method: 'ping' })),
      ...Array.from({ length: 50 }, () =>
        JSON.stringify({ jsonrpc: '2.0', method: 'notifications/tools/list_changed' }),
      ),
    ],
  });
  expect(namesOf(await list())).toStrictEqual(['look_up']);
  expect(server.listed).toBe(1);
});

test('a server is not heard between the calls, and its tools are not listed again', async () => {
  const { server, list, call } = await hostile({ result: { content: [{ type: 'text', text: 'found' }] } });
  await list();
  await call('look_up');
  expect([server.opened, server.listed]).toStrictEqual([0, 1]);
});

test('the tools are listed again after some time', async () => {
  const { server, list } = await hostile({}, { freshMs: 0 });
  expect(namesOf(await list())).toStrictEqual(['look_up']);
  server.page = () => ({ tools: [tool('changed')] });
  expect(namesOf(await list())).toStrictEqual(['changed']);
});

test('a tool that is left out by its name has its output schema not compiled', async () => {
  const { target } = await hostile({
    page: () => ({
      tools: [
        tool('same'),
        tool('same'),
        tool('same', { outputSchema: { type: 'object', $ref: '#/nowhere' } }),
      ],
    }),
  });
  const { lines, until } = openSource(target);
  expect(await until(() => lines.find((line) => line.includes('left out')))).toContain('named twice');
});
