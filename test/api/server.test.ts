/**
 * What an operator and a browser may rely on from the server around the API, whatever it is sent: every answer is data that says
 * so, what is no request gets a sentence, nobody holds a connection for ever, and a crowd that comes at once gets in.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { RequestListener, Server } from 'node:http';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { createApiServer } from '../../src/api/http/server.ts';
import { newId } from '../../src/runs/ids.ts';
import { exchange } from '../support/raw.ts';
import { startService, type Service } from '../support/service.ts';
import { FakeUpstream } from '../support/upstream.ts';
import { Wire } from '../support/wire.ts';

const isLinux = process.platform === 'linux';
/** What a Mac lets wait for a server, unless told otherwise. */
const MAC_SOMAXCONN = 128;

const HEADERS = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
};

/** A server whose app is `app`, with so little patience that nobody has to wait for it. */
async function start(app: RequestListener): Promise<{ url: string; server: Server }> {
  const patience = { headersMs: 100, lookEveryMs: 20, bodyLimitBytes: 1_000 };
  const server = createApiServer(app, { log: pino({ enabled: false }), newId, maxStreams: 10, ...patience });
  server.listen(0, '127.0.0.1');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  await once(server, 'listening');
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('the server has no address');
  return { url: `http://127.0.0.1:${address.port}`, server };
}

/** Answers when the body is there. */
const patientApp: RequestListener = (request, response) => {
  request.resume().once('end', () => response.end('fine'));
};

const bodySchema = z.object({ error: z.unknown() });

/** An answer as it came: status, headers and the error in the body. */
function read(answer: string): { status: number; headers: unknown; error: unknown } {
  const [head = '', body = ''] = answer.split('\r\n\r\n');
  const [line = '', ...lines] = head.split('\r\n');
  const headers = lines.map((line) => [line.split(': ')[0] ?? '', line.replace(/^.*?: /, '')]);
  const { error } = bodySchema.parse(JSON.parse(body));
  return { status: Number(line.split(' ')[1]), headers: Object.fromEntries(headers), error };
}

describe('what never becomes a request of the API', () => {
  const head = 'POST /v1/threads HTTP/1.1\r\nHost: localhost\r\n';
  test.each([
    ['is no HTTP', 'hello there\r\n\r\n', 400, 'malformed_request'],
    ['speaks TLS', '\u0016\u0003\u0001\u0002', 400, 'malformed_request'],
    [
      'has two lengths',
      `${head}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`,
      400,
      'malformed_request',
    ],
    ['has a broken chunk', `${head}Transfer-Encoding: chunked\r\n\r\nx\r\n`, 400, 'malformed_request'],
    ['has giant headers', `${head}x: ${'x'.repeat(20_000)}\r\n\r\n`, 431, 'request_too_large'],
    [
      'has giant extensions',
      `${head}Transfer-Encoding: chunked\r\n\r\n2;${'x'.repeat(20_000)}\r\n`,
      413,
      'request_too_large',
    ],
    ['expects a miracle', `${head}Expect: a-miracle\r\n\r\n`, 417, 'expectation_failed'],
    ['says nothing at all', '', 408, 'request_timeout'],
    ['never ends its headers', head, 408, 'request_timeout'],
    ['never ends its body', `${head}Content-Length: 9\r\n\r\n{`, 408, 'request_timeout'],
  ])('because it %s gets a sentence in JSON', async (_why, bytes, status, code) => {
    const { url } = await start(patientApp);
    const answer = read(await exchange(url, bytes));
    const message: unknown = expect.stringMatching(/^[A-Z].*\.$/);
    expect(answer).toMatchObject({
      status,
      error: { message, type: 'invalid_request_error', param: null, code },
    });
    expect(answer.headers).toMatchObject({
      ...HEADERS,
      'content-type': 'application/json; charset=utf-8',
      'x-request-id': expect.stringMatching(/^req_/) as unknown,
      connection: 'close',
    });
  });

  test('leaves an answer alone that has begun', async () => {
    const { url } = await start((_request, response) => void response.write('the beginning'));
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
    const pieces: string[] = [];
    for await (const piece of socket.setEncoding('utf8')) {
      pieces.push(String(piece));
      socket.write('hello there\r\n\r\n');
    }
    expect(pieces.join('')).toContain('the beginning');
    expect(pieces.join('').match(/HTTP\/1\.1/g)).toHaveLength(1);
  });

  test('is dropped where more are connected than may be, until there is room again', async () => {
    const { url, server } = await start(patientApp);
    server.maxConnections = 1;
    const { port } = new URL(url);
    const first = connect(Number(port), '127.0.0.1');
    await once(first, 'connect');
    expect(await exchange(url, '').catch(() => '')).toBe('');
    first.destroy();
    await once(first, 'close');
    while ((await connections(server)) > 0) await new Promise(setImmediate);
    expect(await exchange(url, 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n')).toContain('fine');
  });
});

async function connections(server: Server): Promise<number> {
  return new Promise((resolve, reject) =>
    server.getConnections((error, count) => (error === null ? resolve(count) : reject(error))),
  );
}

describe('the API', () => {
  let upstream: FakeUpstream;
  let service: Service;
  beforeAll(async () => {
    upstream = await FakeUpstream.start();
    service = await startService({ redisUrl: inject('redisUrl'), upstream });
  });
  afterAll(async () => {
    await service?.stop();
    await upstream?.stop();
  });

  test('says of every answer that it is data, for nobody else and not to be kept', async () => {
    const wire = new Wire(service.url);
    const chat = { model: 'm', messages: [{ role: 'user', content: 'hello' }] };
    const replies = [
      await wire.ask('GET', '/'),
      await wire.ask('GET', '/metrics'),
      await wire.ask('GET', '/nothing'),
      await wire.ask('PATCH', '/v1/assistants'),
      await wire.ask('POST', '/v1/assistants', { body: '{' }),
      await wire.ask('POST', '/v1/assistants', { body: { model: 'm' } }),
      await wire.ask('POST', '/v1/threads', { headers: { origin: 'https://evil.example' } }),
      await wire.ask('OPTIONS', '/v1/threads'),
      await wire.ask('POST', '/v1/chat/completions', { body: { ...chat, stream: true } }),
    ];
    expect(replies.map(({ status }) => status)).toEqual([200, 200, 404, 405, 400, 200, 403, 204, 200]);
    for (const { headers } of replies) {
      expect(Object.fromEntries(headers)).toMatchObject(HEADERS);
      expect(headers.get('cache-control')).toContain('no-store');
    }
  });

  test('takes all of a crowd that comes while it is busy', async () => {
    const limit = isLinux ? Number(readFileSync('/proc/sys/net/core/somaxconn', 'utf8')) : MAC_SOMAXCONN;
    const api = service.living.find(({ name }) => name === 'api');
    if (api === undefined) throw new Error('there is no API');
    const { port } = new URL(service.url);
    // More than Node's own 511, less than what the system grants.
    const crowd = Math.min(1_500, limit);
    const sockets: Socket[] = [];
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
    });
    // It stands still, so that nothing is taken from what the system holds.
    api.freeze();
    try {
      for (let index = 0; index < crowd; index += 1) sockets.push(connect(Number(port), '127.0.0.1'));
      await Promise.all(sockets.map(async (socket) => once(socket, 'connect')));
    } finally {
      api.proceed();
    }
    const answers = await Promise.all(
      sockets.map(async (socket) => {
        socket.write('GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
        return (await text(socket)).split(' ')[1];
      }),
    );
    expect(answers.filter((status) => status === '200')).toHaveLength(crowd);
  });
});
