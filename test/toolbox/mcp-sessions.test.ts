/** MCP servers that lose a connection or forget a session: their calls are made again where that does no harm. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { ToolError } from '../../src/runs/tool.ts';
import { closeSources, openHostile, openSource, type Opened } from './mcp-source.ts';

const servers: Server[] = [];
afterEach(async () => {
  await closeSources();
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

const connected = ({ source, until }: Opened): Promise<unknown> =>
  until(() => source.health().status === 'ok');

const requestSchema = z.looseObject({
  id: z.number().optional(),
  method: z.string(),
  params: z.looseObject({ protocolVersion: z.string().optional() }).optional(),
});

/** How a server refuses a request of a session that it does not know. */
type Refuse = (response: ServerResponse, id: number | undefined) => void;

const refusal =
  (status: number, body: string): Refuse =>
  (response) =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(body);

/** A server over HTTP that keeps its sessions until the test lets it forget them. */
class Forgetful {
  readonly #refuse: Refuse;
  #sessions = new Set<string>();
  /** Whether it knows no session any more when a tool is called, however new the session is. */
  forgetsAtCalls = false;
  /** The calls before which it has forgotten all sessions. */
  forgotten = 0;
  opened = 0;
  /** The calls of tools that it has answered. */
  calls = 0;

  constructor(refuse: Refuse) {
    this.#refuse = refuse;
  }

  forget(): void {
    this.#sessions = new Set();
  }

  async listen(): Promise<string> {
    const server = createServer((request, response) => void this.#answer(request, response));
    servers.push(server);
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    return `http://127.0.0.1:${address.port}/mcp`;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== 'POST') return void response.writeHead(405).end();
    const { id, method, params } = requestSchema.parse(await json(request));
    const answer = (result: object, headers = {}): void =>
      void response
        .writeHead(200, { 'content-type': 'application/json', ...headers })
        .end(JSON.stringify({ jsonrpc: '2.0', id, result }));
    if (method === 'initialize') {
      this.opened += 1;
      const session = `s${this.opened}`;
      this.#sessions.add(session);
      const capabilities = { tools: {} };
      const serverInfo = { name: 'forgetful', version: '1' };
      return answer(
        { protocolVersion: params?.protocolVersion, capabilities, serverInfo },
        { 'mcp-session-id': session },
      );
    }
    if (this.forgetsAtCalls && method === 'tools/call') {
      this.forgotten += 1;
      this.forget();
    }
    if (!this.#sessions.has(String(request.headers['mcp-session-id']))) return this.#refuse(response, id);
    if (id === undefined) return void response.writeHead(202).end();
    if (method === 'tools/list') return answer({ tools: [{ name: 'act', inputSchema: { type: 'object' } }] });
    if (method === 'tools/call') this.calls += 1;
    return answer({ content: [{ type: 'text', text: `call ${this.calls}` }] });
  }
}

describe('a session that the server has forgotten', () => {
  test.each<[string, Refuse]>([
    ['404, as the protocol says', refusal(404, '{"error":"Session not found"}')],
    ['404 without a word', refusal(404, '')],
    [
      '400',
      refusal(
        400,
        '{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: No valid session ID provided"},"id":null}',
      ),
    ],
    ['400 of a server that was not greeted', refusal(400, 'Server not initialized')],
    [
      'an error under the status 200',
      (response, id) =>
        refusal(
          200,
          JSON.stringify({ jsonrpc: '2.0', id, error: { code: -32_001, message: 'Session not found' } }),
        )(response, id),
    ],
  ])('(%s) is opened again, and the call is made once', async (_, refuse) => {
    const server = new Forgetful(refuse);
    const opened = openSource({ url: await server.listen(), headers: {} });
    await connected(opened);
    expect(await opened.call('act')).toBe('call 1');
    server.forget();
    expect(await Promise.all([opened.call('act'), opened.call('act')])).toHaveLength(2);
    expect([server.calls, server.opened]).toEqual([3, 2]);
  });

  test('again and again fails the call after the second time', async () => {
    const server = new Forgetful(refusal(404, ''));
    const opened = openSource({ url: await server.listen(), headers: {} });
    await connected(opened);
    server.forgetsAtCalls = true;
    await expect(opened.call('act')).rejects.toThrow(ToolError);
    expect([server.forgotten, server.calls]).toEqual([2, 0]);
  });

  test('is not thought of when the server refuses the call for another reason', async () => {
    const server = new Forgetful(refusal(400, 'Bad arguments'));
    const opened = openSource({ url: await server.listen(), headers: {} });
    await connected(opened);
    server.forget();
    await expect(opened.call('act')).rejects.toThrow('It answered with HTTP status 400.');
  });
});

describe('a process that dies in a call', () => {
  test.each([
    ['look', 'call 2', 2],
    ['act', "ToolError: The tool's server did not answer the call. It has ended the connection.", 1],
  ])(
    'is started again; the call of %s is made again only if the tool says that it may be',
    async (name, answer, calls) => {
      const folder = await mkdtemp(join(tmpdir(), 'longrun-test-'));
      const notes = join(folder, 'calls');
      const server = openHostile('dies-in-call', { args: [notes] });
      await connected(server);
      expect(await server.call(name).catch(String)).toBe(answer);
      expect(await readFile(notes, 'utf8')).toBe('call\n'.repeat(calls));
      await rm(folder, { recursive: true });
    },
  );
});
