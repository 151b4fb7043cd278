/** Bodies of requests: refused before memory is spent on them, and never in the way of everybody else. */
import { createServer, request as send, type ClientRequest, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import express, { type ErrorRequestHandler, type RequestHandler } from 'express';
import { describe, expect, onTestFinished, test } from 'vitest';
import { bodyReader, releaseBody, type BodyLimits } from '../../src/api/http/body.ts';
import { ApiError } from '../../src/errors.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

interface Told {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
}

/** A server that tells how many bytes it read, and with which refusal; `hold` keeps requests of a path open. */
async function reading(limits: Partial<BodyLimits>, before?: RequestHandler) {
  const app = express();
  if (before !== undefined) app.use(before);
  app.use(bodyReader({ bodyLimitBytes: 4 * MIB, bodiesLimitBytes: 4 * MIB, ...limits }));
  app.post('/held', (_request, response) => {
    response.write(' ');
  });
  const bodies: WeakRef<object>[] = [];
  app.post('/released', (request, response) => {
    if (Buffer.isBuffer(request.body)) bodies.push(new WeakRef(request.body));
    releaseBody(request, response);
    response.write(' ');
  });
  app.post('/', (request, response) => {
    response.end(String(Buffer.isBuffer(request.body) ? request.body.length : 'none'));
  });
  const refuse: ErrorRequestHandler = (error, _request, response, _next) => {
    if (!(error instanceof ApiError)) throw error;
    response.writeHead(error.status, error.headers).end(error.message);
  };
  app.use(refuse);
  const server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const begin = (headers: Readonly<Record<string, string | number>>, path = '/'): ClientRequest => {
    const begun = send({ host: '127.0.0.1', port, path, method: 'POST', headers });
    begun.on('error', () => {});
    onTestFinished(() => void begun.destroy());
    return begun;
  };
  const post = async (body: Buffer, headers: Readonly<Record<string, string>> = {}): Promise<Told> => {
    const begun = begin({ 'content-length': body.length, ...headers });
    begun.end(body);
    return told(begun);
  };
  return { begin, post, bodies };
}

async function told(begun: ClientRequest): Promise<Told> {
  const response = await new Promise<IncomingMessage>((resolve) => begun.once('response', resolve));
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += String(chunk);
  return { status: response.statusCode ?? 0, headers: response.headers, text };
}

/** When the server has understood the request and goes on holding it. */
async function held(begun: ClientRequest): Promise<void> {
  await once(begun, 'response');
}

const words = (bytes: number): Buffer =>
  Buffer.from(
    Array.from({ length: bytes / 8 }, (_, index) => index.toString(36).padStart(8, '-')).join(''),
  ).subarray(0, bytes);
const PACKERS = [
  ['gzip', gzipSync],
  ['deflate', deflateSync],
  ['br', brotliCompressSync],
  ['zstd', zstdCompressSync],
] as const;

describe('one body', () => {
  test('is read up to its limit, in whatever pieces it comes', async () => {
    const { begin, post } = await reading({ bodyLimitBytes: 100_000 });
    expect(await post(Buffer.alloc(100_000))).toMatchObject({ status: 200, text: '100000' });
    expect(await post(Buffer.alloc(100_001))).toMatchObject({ status: 413 });
    const chunked = begin({ 'transfer-encoding': 'chunked' });
    for (let sent = 0; sent < 100_000; sent += 1_000) chunked.write(Buffer.alloc(1_000));
    chunked.end();
    expect(await told(chunked)).toMatchObject({ status: 200, text: '100000' });
  });

  test('that says it is too large is refused before it is sent', async () => {
    const { begin } = await reading({});
    const begun = begin({ 'content-length': 5 * MIB });
    begun.flushHeaders();
    const { status, text } = await told(begun);
    expect(status).toBe(413);
    expect(text).toContain(String(4 * MIB));
  });

  test('that does not say is refused when it has become too large', async () => {
    const { begin } = await reading({});
    const begun = begin({ 'transfer-encoding': 'chunked' });
    for (let sent = 0; sent <= 4 * MIB; sent += 256 * KIB) begun.write(Buffer.alloc(256 * KIB));
    expect(await told(begun)).toMatchObject({ status: 413 });
  });

  test('that stops in the middle is given up', async () => {
    const { begin } = await reading({ idleMs: 50 });
    const begun = begin({ 'content-length': 1_000 });
    begun.write('{');
    const { status, text, headers } = await told(begun);
    expect({ status, text }).toStrictEqual({
      status: 408,
      text: 'Nothing came of the body of the request for 0.05 s. Send it again as a whole.',
    });
    expect(headers.connection).toBe('close');
  });

  test.each(['constructor', '__proto__', 'toString', 'hasOwnProperty', 'valueOf', 'nothing', 'gzip, gzip'])(
    'in an encoding that nobody reads is refused: %s',
    async (encoding) => {
      const { post } = await reading({});
      const { status, text } = await post(Buffer.from('{}'), { 'content-encoding': encoding });
      expect({ status, text }).toStrictEqual({
        status: 400,
        text: 'We could not parse the JSON body of your request. It did not arrive whole, or in an encoding this server does not read.',
      });
    },
  );

  test('is read once, however many paths want to', async () => {
    const again = bodyReader({ bodyLimitBytes: MIB, bodiesLimitBytes: MIB });
    const { post } = await reading({ idleMs: 50 }, again);
    expect(await post(Buffer.alloc(1_000))).toMatchObject({ status: 200, text: '1000' });
  });

  test('that cannot even be begun leaves nothing behind that fails later', async () => {
    const unobserved: unknown[] = [];
    const note = (reason: unknown): void => void unobserved.push(reason);
    process.on('unhandledRejection', note);
    onTestFinished(() => void process.off('unhandledRejection', note));
    const broken: RequestHandler = (request, _response, next) => {
      if (request.get('content-encoding') === 'gzip')
        request.pipe = () => {
          throw new Error('no pipe today');
        };
      next();
    };
    const { begin, post } = await reading({ idleMs: 50 }, broken);
    expect(await post(gzipSync('{}'), { 'content-encoding': 'gzip' })).toMatchObject({ status: 500 });
    // Its connection breaks, and its time is over before that of the next one.
    const stopped = begin({ 'content-length': 1_000 });
    stopped.write('{');
    expect(await told(stopped)).toMatchObject({ status: 408 });
    expect(unobserved).toStrictEqual([]);
  });
});

describe.each(PACKERS)('a body packed by %s', (encoding, pack) => {
  const headers = { 'content-encoding': encoding };

  test('is unpacked', async () => {
    const { post } = await reading({});
    expect(await post(pack(words(2 * MIB)), headers)).toMatchObject({ status: 200, text: String(2 * MIB) });
    expect(await post(pack(Buffer.alloc(MIB)), headers)).toMatchObject({ status: 200, text: String(MIB) });
  });

  test('that unpacks to a hundred times its size is refused, however small it is', async () => {
    const { post } = await reading({});
    const { status, text } = await post(pack(Buffer.alloc(3 * MIB)), headers);
    expect({ status, text }).toStrictEqual({
      status: 413,
      text: 'The compressed body of the request unpacks to more than 100 times its size. Send it as it is.',
    });
  });

  test('counts as what it unpacks to', async () => {
    const { post } = await reading({ bodyLimitBytes: MIB });
    expect(await post(pack(words(MIB + 8)), headers)).toMatchObject({ status: 413 });
  });

  test('that is cut short is refused', async () => {
    const { post } = await reading({});
    expect(await post(pack(words(100_000)).subarray(0, -5), headers)).toMatchObject({ status: 400 });
  });
});

describe('all bodies together', () => {
  const full = 'Too many large requests are being read on this server. Try again in a few seconds.';

  /** Sends `count` bodies of 1 MiB but for their last byte, and waits until the server has them. */
  async function unfinished(
    begin: (headers: Record<string, string | number>) => ClientRequest,
    count: number,
  ) {
    const begun = Array.from({ length: count }, () => begin({ 'content-length': MIB }));
    await Promise.all(
      begun.map(async (one) => new Promise((resolve) => one.write(Buffer.alloc(MIB - 1), resolve))),
    );
    return begun;
  }

  test('have one budget: what is beyond comes back later, and small ones pass', async () => {
    const { begin, post } = await reading({});
    await unfinished(begin, 3);
    const refused = await untilRefused(async () => post(Buffer.alloc(2 * MIB)));
    expect(refused).toMatchObject({ status: 503, text: full });
    expect(refused.headers).toMatchObject({ 'retry-after': '1', 'retry-after-ms': '1000' });
    expect(await post(Buffer.alloc(16 * KIB))).toMatchObject({ status: 200 });
  });

  test('that say how long they are, are refused before they are sent', async () => {
    const { begin, post } = await reading({});
    await unfinished(begin, 3);
    await untilRefused(async () => post(Buffer.alloc(2 * MIB)));
    const late = begin({ 'content-length': 2 * MIB });
    late.flushHeaders();
    expect(await told(late)).toMatchObject({ status: 503 });
  });

  test('that do not say are counted as they come, unpacked', async () => {
    const { begin, post } = await reading({});
    await unfinished(begin, 3);
    await untilRefused(async () => post(Buffer.alloc(2 * MIB)));
    const packed = await post(gzipSync(words(3 * MIB)), { 'content-encoding': 'gzip' });
    expect(packed).toMatchObject({ status: 503, text: full });
  });

  test('make room when their connections break', async () => {
    const { begin, post } = await reading({});
    const begun = await unfinished(begin, 3);
    await untilRefused(async () => post(Buffer.alloc(2 * MIB)));
    for (const one of begun) one.destroy();
    expect(await untilTaken(async () => post(Buffer.alloc(4 * MIB)))).toMatchObject({ status: 200 });
  });

  test('count until they were understood, and no longer', async () => {
    const { begin, post } = await reading({});
    const kept = begin({ 'content-length': 3 * MIB }, '/held');
    kept.end(Buffer.alloc(3 * MIB));
    await held(kept);
    expect(await post(Buffer.alloc(2 * MIB))).toMatchObject({ status: 503 });
    kept.destroy();
    await untilTaken(async () => post(Buffer.alloc(4 * MIB)));
    const released = begin({ 'content-length': 3 * MIB }, '/released');
    released.end(Buffer.alloc(3 * MIB));
    await held(released);
    expect(await post(Buffer.alloc(4 * MIB))).toMatchObject({ status: 200 });
  });

  test.each(['identity', 'gzip'])(
    'are let go when they were understood, while the answer lasts: %s',
    async (encoding) => {
      const { begin, bodies } = await reading({});
      const released = begin({ 'content-encoding': encoding }, '/released');
      released.end(encoding === 'gzip' ? gzipSync(words(MIB)) : words(MIB));
      await held(released);
      await turn();
      setFlagsFromString('--expose-gc');
      runInNewContext('gc()');
      expect(bodies.map((body) => body.deref())).toStrictEqual([undefined]);
    },
  );

  test('leave room for one, whatever the setting says', async () => {
    const { post } = await reading({ bodiesLimitBytes: 1 });
    expect(await post(Buffer.alloc(4 * MIB))).toMatchObject({ status: 200 });
  });
});

/** The server sees what was written, or that a connection broke, a moment later. */
async function untilRefused(ask: () => Promise<Told>): Promise<Told> {
  for (;;) {
    const answer = await ask();
    if (answer.status !== 200) return answer;
  }
}

async function untilTaken(ask: () => Promise<Told>): Promise<Told> {
  for (;;) {
    const answer = await ask();
    if (answer.status === 200) return answer;
  }
}
