/** The bytes of a request to an upstream and of its answer, as they are sent and read. */
import { execFile } from 'node:child_process';
import type { ServerResponse } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { promisify } from 'node:util';
import {
  brotliCompressSync,
  deflateRawSync,
  deflateSync,
  gzipSync,
  zstdCompressSync,
  createGzip,
  constants,
} from 'node:zlib';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { UpstreamAnswer } from '../../src/model/upstream-answer.ts';
import { addressOf } from '../../src/model/client.ts';
import {
  ask,
  begin,
  chunk,
  DONE,
  failureOf,
  HELLO,
  HELLO_PARTS,
  modelAt,
  partsOf,
  startUpstream,
  STOP,
  upstreamAt,
  type TestUpstream,
} from './upstream.ts';

const run = promisify(execFile);

let upstream: TestUpstream;
afterEach(async () => {
  await upstream.stop();
});

/** A request for what the upstream has at `/v1`. */
const get = (): UpstreamAnswer =>
  new UpstreamAnswer({ address: new URL(upstream.url), method: 'GET', headers: {} });

test('a request has our own headers, and those that it cannot do without', async () => {
  upstream = await startUpstream((response) => {
    begin(response);
    response.end(HELLO);
  });
  await partsOf(modelAt(upstream.url, { upstream: { headers: { 'x-own': 'yes' } } }));
  const { 'content-length': length, host, ...headers } = upstream.asked[0]?.headers ?? {};
  expect(headers).toEqual({
    connection: 'keep-alive',
    'user-agent': 'longrun',
    authorization: 'Bearer sk-own-key-123456',
    'x-own': 'yes',
    accept: 'text/event-stream, application/json',
    'content-type': 'application/json',
    'accept-encoding': 'identity',
  });
  expect([Number(length), host]).toEqual([
    JSON.stringify(upstream.asked[0]?.body).length,
    new URL(upstream.url).host,
  ]);
});

/** Answers, and leaves it to the client how long the connection is kept. */
function greet(response: ServerResponse): void {
  response.setHeader('connection', 'keep-alive');
  response.end('hello');
}

/** One request, until its connection serves the next. */
async function greeting(): Promise<string> {
  const text = await new UpstreamAnswer({
    address: new URL(upstream.url),
    method: 'POST',
    headers: {},
    body: '{"is":"sent"}',
  }).text(1024);
  await nextTurn();
  return text;
}

const sockets = (): readonly unknown[] => upstream.asked.map(({ socket }) => socket);

test('a connection is kept for the pauses of a conversation', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    upstream = await startUpstream(greet);
    await greeting();
    vi.advanceTimersByTime(50_000);
    await greeting();
    vi.advanceTimersByTime(70_000);
    await greeting();
    const [first, second, third] = sockets();
    expect(second).toBe(first);
    expect(third).not.toBe(first);
  } finally {
    vi.useRealTimers();
  }
});

describe('an upstream that closes a connection in place of an answer', () => {
  const closing = async (...numbers: readonly number[]): Promise<TestUpstream> =>
    startUpstream((response, count) => {
      if (numbers.includes(count)) response.socket?.end();
      else greet(response);
    });

  test('is asked once more where the connection was kept', async () => {
    upstream = await closing(2);
    await greeting();
    expect(await greeting()).toBe('hello');
    const [first, second, third] = sockets();
    expect(second).toBe(first);
    expect(third).not.toBe(first);
    expect(upstream.asked[2]?.body).toEqual({ is: 'sent' });
  });

  test('is not asked once more where it was new', async () => {
    upstream = await closing(1);
    await expect(greeting()).rejects.toThrow('closed');
    expect(upstream.asked).toHaveLength(1);
  });

  test('is not asked a third time', async () => {
    upstream = await closing(2, 3);
    await greeting();
    await expect(greeting()).rejects.toThrow('closed');
    expect(upstream.asked).toHaveLength(3);
  });
});

test.each([
  ['http://h/v1', {}, 'http://h/v1/chat'],
  ['http://h/v1//', {}, 'http://h/v1/chat'],
  ['http://h/v1?a=1', { b: '2' }, 'http://h/v1/chat?a=1&b=2'],
  ['http://h/v1/?a=1', { a: '2' }, 'http://h/v1/chat?a=2'],
])('the address of an endpoint: %s with %j', (baseUrl, query, address) => {
  expect(addressOf(upstreamAt(baseUrl, { query }), '/chat')).toBe(address);
});

describe('an answer that is packed although nobody asked for it', () => {
  test.each([
    ['gzip', gzipSync],
    ['x-gzip', gzipSync],
    ['GZIP', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
    ['zstd', zstdCompressSync],
    // Without the wrapper that the standard demands, as some servers send it.
    ['deflate', deflateRawSync],
    ['gzip, identity', gzipSync],
    // Twice, by a server and the proxy before it.
    [['identity', 'gzip'], gzipSync],
  ] as const)('in %s is unpacked', async (encoding, pack) => {
    upstream = await startUpstream((response) => {
      response.setHeader('content-encoding', encoding);
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(pack(HELLO));
    });
    expect(await partsOf(modelAt(upstream.url))).toEqual(HELLO_PARTS);
  });

  test('is read piece by piece', async () => {
    const { promise: isRead, resolve: told } = Promise.withResolvers<void>();
    upstream = await startUpstream(async (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'content-encoding': 'gzip' });
      const pack = createGzip({ flush: constants.Z_SYNC_FLUSH });
      pack.pipe(response);
      pack.write(chunk({ content: 'Hello' }));
      await isRead;
      pack.end(STOP + DONE);
    });
    const parts = [];
    for await (const part of modelAt(upstream.url).stream(ask(), new AbortController().signal)) {
      parts.push(part);
      told();
    }
    expect(parts).toEqual(HELLO_PARTS);
  });

  test('says why it refuses', async () => {
    upstream = await startUpstream((response) => {
      response.writeHead(400, { 'content-encoding': 'gzip' });
      response.end(gzipSync('{"error":{"message":"no such voice"}}'));
    });
    expect((await failureOf(modelAt(upstream.url))).message).toBe('no such voice');
  });

  test('and is broken is an answer that broke off', async () => {
    upstream = await startUpstream((response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' });
      response.end('no gzip');
    });
    expect((await failureOf(modelAt(upstream.url))).message).toContain('broke off');
  });
});

test('a request that is given up before it has a connection is not sent', async () => {
  upstream = await startUpstream((response) => void response.end('late'));
  const answer = get();
  answer.abort();
  await expect(answer.head()).rejects.toThrow('aborted');
  expect(await get().text(100)).toBe('late');
  expect(upstream.asked).toHaveLength(1);
});

test('a slow reader stops the upstream, and gets all of it in the end', async () => {
  const bytes = 64 * 1024 * 1024;
  let sending: ServerResponse | undefined;
  upstream = await startUpstream((response) => {
    sending = response;
    response.end(Buffer.alloc(bytes));
  });
  const answer = get();
  let read = (await answer.read())?.length ?? 0;
  let before = -1;
  await vi.waitFor(
    () => {
      const written = sending?.socket?.bytesWritten ?? 0;
      const isStill = written === before;
      before = written;
      if (!isStill) throw new Error('the upstream still writes');
    },
    { interval: 200, timeout: 10_000 },
  );
  expect(sending?.writableFinished).toBe(false);
  for (let packet = await answer.read(); packet !== null; packet = await answer.read()) read += packet.length;
  expect(read).toBe(bytes);
});

test('a proxy is used where Node was told to', async () => {
  upstream = await startUpstream((response) => {
    begin(response);
    response.end(HELLO);
  });
  const helpers = JSON.stringify(new URL('upstream.ts', import.meta.url));
  const away = 'http://model-server.invalid/v1';
  const program = `import { modelAt, partsOf } from ${helpers};
    console.log(JSON.stringify(await partsOf(modelAt('${away}'))));
    process.exit();`;
  const env = { ...process.env, NODE_USE_ENV_PROXY: '1', HTTP_PROXY: new URL(upstream.url).origin };
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', program], { env });
  expect(JSON.parse(stdout)).toEqual(HELLO_PARTS);
  expect(upstream.asked[0]?.path).toBe(`${away}/chat/completions`);
});
