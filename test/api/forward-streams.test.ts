/**
 * Endpoints that are passed on, while bytes are on their way: large bodies in little memory, slow readers on both sides, and
 * whoever hangs up. Here callers bring keys of their own, and there is one model server.
 */
/* oxlint-disable vitest/expect-expect -- expectRefusal asserts. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request, type ClientRequest, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OtherEndpoints, sendJson } from '../support/endpoints.ts';
import { lookUntil } from '../support/looks.ts';
import { metricsOf } from '../support/metrics.ts';
import { expectRefusal } from '../support/refusal.ts';
import type { LogLine } from '../support/service.ts';
import { Wire } from '../support/wire.ts';
import { withService } from '../support/with-service.ts';

const MIB = 1024 * 1024;
const UPLOAD = 192 * MIB;
const LIMIT = 200 * MIB;
/** Below what is sent, and above what passing it on costs: buffers that wait for the garbage collector. */
const MOST_GROWTH = 144 * MIB;
const MOST_AT_ONCE = 3;
const KEY = 'callers-own-key-123';
const PIECE = Buffer.alloc(MIB, 'x');
const HEAD = '--form-7f3a\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n';
const TAIL =
  '\r\n--form-7f3a\r\nContent-Disposition: form-data; name="model"\r\n\r\nours\r\n--form-7f3a--\r\n';
const TYPE = 'multipart/form-data; boundary=form-7f3a';

const model = new OtherEndpoints();
const folder = mkdtempSync(join(tmpdir(), 'longrun-forward-'));
beforeAll(async () => model.listen());
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await model.stop();
});

const { service } = withService(() => {
  const config = join(folder, 'config.json');
  const upstreams = [
    { name: 'default', baseUrl: model.baseUrl, apiKey: 'our-key', aliases: { ours: 'theirs!' } },
  ];
  writeFileSync(config, JSON.stringify({ upstreams }));
  return {
    workers: 0,
    env: {
      LONGRUN_CONFIG: config,
      AUTH: 'passthrough',
      SECRET: 'the secret of these tests',
      BODY_LIMIT_BYTES: String(MIB),
      BODIES_LIMIT_BYTES: String(2 * MIB),
      ANSWERS_LIMIT_BYTES: String(2 * MIB),
      UPLOAD_LIMIT_BYTES: String(LIMIT),
      MAX_FORWARDED: String(MOST_AT_ONCE),
      UPSTREAM_IDLE_MS: '3000',
    },
  };
});
const wire = new Wire(() => service.baseUrl, { authorization: `Bearer ${KEY}` });
const figure = async (name: string): Promise<number> => (await metricsOf(service.url)).get(name) ?? 0;
const memory = async (): Promise<number> => figure('longrun_memory_bytes');
/** Resolves when nothing is passed on any more. */
const allOver = (): Promise<number> =>
  lookUntil(
    () => figure('longrun_forwarded_open'),
    (open) => open === 0,
  );

/** The next line about a request that was passed on. */
function nextLine(): Promise<LogLine> {
  const known = service.logs.filter(({ msg }) => msg === 'forwarded').length;
  let seen = 0;
  return service.waitForLog(({ msg }) => msg === 'forwarded' && (seen += 1) > known);
}

function open(path: string, headers: Readonly<Record<string, string | number>>): ClientRequest {
  const { hostname, port } = new URL(service.url);
  return request({
    hostname,
    port,
    path: `/v1${path}`,
    method: 'POST',
    agent: false,
    headers: { authorization: `Bearer ${KEY}`, ...headers },
  });
}

async function answerOf(sent: ClientRequest): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  sent.once('response', resolve).once('error', reject);
  return promise;
}

async function write(sent: ClientRequest, bytes: Buffer | string): Promise<void> {
  if (!sent.write(bytes)) await once(sent, 'drain');
}

/** Speech, asked for in JSON. */
function speak(body: object = { model: 'any' }): ClientRequest {
  const sent = open('/audio/speech', { 'content-type': 'application/json' });
  sent.end(JSON.stringify(body));
  return sent;
}

describe('a large upload', () => {
  test(`of ${UPLOAD / MIB} MiB passes in little memory, as fast as the server takes it`, async () => {
    let received = 0;
    const begun = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    const ends: Buffer[] = [];
    model.reply(async (response, incoming) => {
      begun.resolve();
      await goOn.promise;
      for await (const chunk of incoming as AsyncIterable<Buffer>) {
        received += chunk.length;
        ends.push(chunk.subarray(-200));
        if (ends.length > 3) ends.shift();
      }
      sendJson(response, 200, { text: 'heard' });
    }, true);
    const before = await memory();
    const length = HEAD.length + UPLOAD + TAIL.length;
    const sent = open('/audio/transcriptions', { 'content-type': TYPE, 'content-length': length });
    const answer = answerOf(sent);
    await write(sent, HEAD);
    await begun.promise;
    // The server reads nothing yet, so sooner or later this client may send no more.
    let written = 0;
    while (sent.write(PIECE)) written += 1;
    for (; written < 8; written += 1) sent.write(PIECE);
    const held = await memory();
    goOn.resolve();
    for (written += 1; written < UPLOAD / MIB; written += 1) await write(sent, PIECE);
    const after = await memory();
    sent.end(TAIL);
    expect(await text(await answer)).toBe('{"text":"heard"}');
    // The model came after the file, under another name.
    expect(Buffer.concat(ends).toString()).toMatch(/\r\n\r\ntheirs!\r\n--form-7f3a--\r\n$/);
    expect(received).toBe(length + 'theirs!'.length - 'ours'.length);
    expect(held - before).toBeLessThan(MOST_GROWTH);
    expect(after - before).toBeLessThan(MOST_GROWTH);
  });

  test('is not sent to its end when the server has refused it', async () => {
    model.reply((response) => sendJson(response, 400, { error: { message: 'No such sound.' } }), true);
    const sent = open('/audio/transcriptions', { 'content-type': TYPE });
    const answer = answerOf(sent);
    await write(sent, HEAD);
    await write(sent, PIECE);
    const refused = await answer;
    expect(refused.statusCode).toBe(400);
    expect(await text(refused)).toContain('No such sound.');
    sent.end(TAIL);
    await allOver();
  });

  test('packed is refused', async () => {
    const headers = { 'content-type': TYPE, 'content-encoding': 'gzip' };
    const refused = await wire.ask('POST', '/images/edits', { body: 'x', headers });
    expectRefusal(refused, { status: 415, message: /without a Content-Encoding/, code: 'unsupported' });
  });
});

describe('a client that hangs up', () => {
  test('in the middle of its body: the server loses its connection at once', async () => {
    const begun = Promise.withResolvers<void>();
    const closed = Promise.withResolvers<void>();
    model.reply((_response, incoming) => {
      begun.resolve();
      incoming.on('error', () => {}).once('close', closed.resolve);
      incoming.resume();
    }, true);
    const line = nextLine();
    const sent = open('/images/edits', { 'content-type': TYPE });
    sent.on('error', () => {});
    await write(sent, HEAD);
    await write(sent, PIECE);
    await begun.promise;
    sent.destroy();
    await closed.promise;
    expect(await line).toMatchObject({ status: 499 });
  });

  test.each(['before the answer', 'in the middle of the answer'])('%s: likewise', async (when) => {
    const begun = Promise.withResolvers<void>();
    const closed = Promise.withResolvers<void>();
    model.reply((response) => {
      response.once('close', closed.resolve);
      if (when !== 'before the answer') response.writeHead(200, { 'content-type': 'audio/mpeg' }).write('so');
      begun.resolve();
    });
    const line = nextLine();
    const sent = speak();
    sent.on('error', () => {});
    if (when === 'before the answer') await begun.promise;
    else await once(await answerOf(sent), 'data');
    sent.destroy();
    await closed.promise;
    expect(await line).toMatchObject({ status: 499 });
    await allOver();
  });

  test('or reads nothing: the server has to wait, and little is held here', async () => {
    const before = await memory();
    let written = 0;
    const full = Promise.withResolvers<void>();
    model.reply(async (response) => {
      response.writeHead(200, { 'content-type': 'audio/mpeg' });
      while (response.write(PIECE)) written += 1;
      while (written < 32) {
        written += 1;
        response.write(PIECE);
      }
      full.resolve();
      response.end();
    });
    const answer = await answerOf(speak());
    answer.pause();
    await full.promise;
    expect((await memory()) - before).toBeLessThan(MOST_GROWTH);
    let size = 0;
    for await (const chunk of answer as AsyncIterable<Buffer>) size += chunk.length;
    expect(size).toBeGreaterThanOrEqual(32 * MIB);
  });
});

describe('a server that breaks off', () => {
  const breaks = (type: string, said: string) =>
    model.reply((response) => {
      response.writeHead(200, { 'content-type': type });
      response.write(said, () => response.destroy());
    });

  test('breaks the connection of its client', async () => {
    breaks('audio/mpeg', 'half a so');
    const answer = await answerOf(speak());
    await expect(text(answer)).rejects.toThrow('aborted');
  });

  test('is told in an event stream', async () => {
    const said = 'data: {"choices":[]}\n\n';
    breaks('text/event-stream', said);
    const { status, text: got } = await wire.ask('POST', '/completions', {
      body: { prompt: 'x', stream: true },
    });
    expect(status).toBe(200);
    const error = {
      message: "The upstream 'default' broke off in the middle of its answer.",
      type: 'server_error',
      param: null,
      code: 'upstream_error',
    };
    expect(got).toBe(`${said}data: ${JSON.stringify({ error })}\n\ndata: [DONE]\n\n`);
  });

  test('unless an event is incomplete: then the connection breaks', async () => {
    breaks('text/event-stream', 'data: {"cho');
    await expect(wire.ask('POST', '/completions', { body: { prompt: 'x', stream: true } })).rejects.toThrow(
      'terminated',
    );
  });

  test('before its answer is a 502', async () => {
    model.reply((response) => response.destroy());
    const refused = await wire.ask('POST', '/completions', { body: { prompt: 'x' } });
    expect(refused).toMatchObject({ status: 502, body: { error: { code: 'upstream_error' } } });
    expect(refused.headers.get('x-should-retry')).toBeNull();
  });
});

describe('a server that says nothing', () => {
  test.each(['before its answer', 'in an error'])('%s is given up', async (when) => {
    const closed = Promise.withResolvers<void>();
    model.reply((response) => {
      if (when === 'in an error') response.writeHead(400).write('{');
      response.once('close', closed.resolve);
    });
    const refused = await wire.ask('POST', '/embeddings', { body: { input: 'x' } });
    expectRefusal(refused, {
      status: 504,
      message: "The upstream 'default' sent nothing for 3 s and was given up.",
      type: 'server_error',
      code: 'upstream_error',
    });
    expect(refused.headers.get('x-should-retry')).toBe('false');
    await closed.promise;
  });

  test('in the middle is given up, and its client hears no end', async () => {
    model.reply((response) => response.writeHead(200, { 'content-type': 'audio/mpeg' }).write('so'));
    await expect(text(await answerOf(speak()))).rejects.toThrow('aborted');
  });

  test('while its client sends slowly has time', async () => {
    model.reply((response, _request, { body }) => sendJson(response, 200, { size: body.length }));
    const sent = open('/audio/translations', { 'content-type': TYPE });
    const answer = answerOf(sent);
    for (const piece of [HEAD, 'a', 'b', 'c']) {
      await write(sent, piece);
      // Each pause is shorter than the limit, and together they are longer.
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
    sent.end(TAIL);
    expect((await answer).statusCode).toBe(200);
  });
});

test('so many requests are passed on at once, and further ones have to come again', async () => {
  const all = Array.from({ length: MOST_AT_ONCE }, () => Promise.withResolvers<() => void>());
  const waiting = [...all];
  model.reply((response) => waiting.shift()?.resolve(() => sendJson(response, 200, {})));
  const asked = all.map(async () => wire.ask('POST', '/embeddings', { body: { input: 'x' } }));
  const answers = await Promise.all(all.map(async ({ promise }) => promise));
  expect(await figure('longrun_forwarded_open')).toBe(MOST_AT_ONCE);
  const refused = await wire.ask('POST', '/embeddings', { body: { input: 'x' } });
  expectRefusal(refused, {
    status: 503,
    message: /^Too many requests are being passed on/,
    type: 'server_error',
    code: 'too_many_forwarded',
  });
  expect(refused.headers.get('retry-after')).toBe('1');
  for (const answer of answers) answer();
  for (const { status } of await Promise.all(asked)) expect(status).toBe(200);
  await allOver();
});

describe("the caller's own key", () => {
  test('goes to the server, from JSON and forms', async () => {
    await wire.ask('POST', '/embeddings', { body: { input: 'x' } });
    expect(model.last.headers.authorization).toBe(`Bearer ${KEY}`);
    await wire.ask('POST', '/images/edits', { body: HEAD + TAIL, headers: { 'content-type': TYPE } });
    expect(model.last.headers.authorization).toBe(`Bearer ${KEY}`);
    expect(model.last.form.at(-1)).toEqual(['model', 'theirs!']);
  });

  test('is refused as wrong where the server says so, and never shown', async () => {
    const error = {
      message: `Incorrect API key: ${KEY}`,
      type: 'invalid_request_error',
      code: 'invalid_api_key',
    };
    model.reply((response) => sendJson(response, 401, { error }));
    const refused = await wire.ask('POST', '/embeddings', { body: { input: 'x' } });
    expectRefusal(refused, { status: 401, message: 'Incorrect API key: [key]', code: 'invalid_api_key' });
    expect(JSON.stringify(service.logs)).not.toContain(KEY);
  });
});
