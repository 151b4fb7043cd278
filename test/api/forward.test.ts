/** The endpoints that are passed on to model servers, by OpenAI's own library: which server gets what, and what comes back. */
/* oxlint-disable vitest/expect-expect -- expectRefusal asserts. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI, { AzureOpenAI, toFile } from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OtherEndpoints, sendJson } from '../support/endpoints.ts';
import { metricsOf } from '../support/metrics.ts';
import { expectRefusal } from '../support/refusal.ts';
import { Wire } from '../support/wire.ts';
import { withService } from '../support/with-service.ts';

const KEY = 'the key';
/** What the file holds is no text, has line ends of all kinds, and what looks like a delimiter. */
const SOUND = Buffer.from([0, 255, 13, 10, 45, 45, 10, 13, 10, 45, 45, 200, 13, 13, 10]);
const BASES = ['/v1', '/api/assts/v1', '/openai', '/openai/v1', '/api/projects/any'];

const first = new OtherEndpoints();
const second = new OtherEndpoints();
const folder = mkdtempSync(join(tmpdir(), 'longrun-forward-'));
let goneUrl = '';
beforeAll(async () => {
  const gone = new OtherEndpoints();
  await Promise.all([first.listen(), second.listen(), gone.listen()]);
  goneUrl = gone.baseUrl;
  await gone.stop();
});
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await Promise.all([first.stop(), second.stop()]);
});

const { service } = withService(() => {
  const config = join(folder, 'config.json');
  const upstreams = [
    { name: 'default', baseUrl: first.baseUrl, apiKey: 'first-key', aliases: { ours: 'theirs' } },
    {
      name: 'second',
      baseUrl: `${second.baseUrl}/`,
      apiKey: 'second-key',
      models: ['of-second'],
      aliases: { '<scribe>': 'whisper-large' },
    },
    { name: 'gone', baseUrl: goneUrl, models: ['of-gone'] },
  ];
  writeFileSync(config, JSON.stringify({ upstreams }));
  return {
    workers: 0,
    env: {
      LONGRUN_CONFIG: config,
      BODY_LIMIT_BYTES: '65536',
      UPLOAD_LIMIT_BYTES: '200000',
      AUTH: 'key',
      API_KEY: KEY,
      LOG_LEVEL: 'info',
    },
  };
});
const wire = new Wire(() => service.url, { authorization: `Bearer ${KEY}` });
const sdk = (): OpenAI => new OpenAI({ baseURL: service.baseUrl, apiKey: KEY, maxRetries: 0 });
const azure = (deployment?: string): AzureOpenAI =>
  new AzureOpenAI({
    endpoint: service.url,
    apiKey: KEY,
    apiVersion: '2024-10-21',
    maxRetries: 0,
    ...(deployment !== undefined && { deployment }),
  });
const sound = async (): Promise<File> => toFile(SOUND, 'sound.wav');
const fileOf = (server: OtherEndpoints): unknown => server.last.form.find(([name]) => name === 'file')?.[1];

describe("OpenAI's library", () => {
  test('gets embeddings in the encoding that it asks for', async () => {
    const bytes = Buffer.from(new Float32Array([0.5, -2]).buffer);
    first.reply((response) =>
      sendJson(response, 200, {
        object: 'list',
        model: 'm',
        data: [{ object: 'embedding', index: 0, embedding: bytes.toString('base64') }],
        usage: { prompt_tokens: 1, total_tokens: 1 },
      }),
    );
    const answer = await sdk().embeddings.create({ model: 'any', input: 'text' });
    expect(answer.data[0]?.embedding).toEqual([0.5, -2]);
    expect(first.lastJson).toEqual({ model: 'any', input: 'text', encoding_format: 'base64' });
  });

  test('streams a completion, event by event', async () => {
    const told = Promise.withResolvers<void>();
    const event = (text: string): string =>
      `data: ${JSON.stringify({ id: 'c', object: 'text_completion', choices: [{ index: 0, text, finish_reason: null }] })}\n\n`;
    first.reply(async (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
      response.write(event('Once'));
      await told.promise;
      response.end(`${event(' upon')}data: [DONE]\n\n`);
    });
    const stream = await sdk().completions.create({ model: 'any', prompt: 'Tell', stream: true });
    const texts: string[] = [];
    for await (const chunk of stream) {
      texts.push(chunk.choices[0]?.text ?? '');
      told.resolve();
    }
    expect(texts).toEqual(['Once', ' upon']);
  });

  test('moderates without a model: the server has its own', async () => {
    first.reply((response) => sendJson(response, 200, { id: 'modr', results: [{ flagged: true }] }));
    expect((await sdk().moderations.create({ input: 'text' })).results[0]?.flagged).toBe(true);
    expect(first.lastJson).toEqual({ input: 'text' });
  });

  test('hears speech as it is made', async () => {
    const heard = Promise.withResolvers<void>();
    first.reply(async (response) => {
      response.writeHead(200, {
        'content-type': 'audio/mpeg',
        'set-cookie': 'a=b',
        'x-request-id': 'theirs',
      });
      response.write(SOUND);
      await heard.promise;
      response.end(SOUND);
    });
    const speech = await sdk().audio.speech.create({ model: 'any', voice: 'alloy', input: 'text' });
    expect(speech.headers.get('content-type')).toBe('audio/mpeg');
    expect(speech.headers.get('set-cookie')).toBeNull();
    expect(speech.headers.get('x-request-id')).toMatch(/^req_/);
    const got: Uint8Array[] = [];
    const chunks: AsyncIterable<Uint8Array> | null = speech.body;
    for await (const chunk of chunks ?? []) {
      got.push(chunk);
      heard.resolve();
    }
    expect(Buffer.concat(got)).toEqual(Buffer.concat([SOUND, SOUND]));
    expect(first.last.headers['accept']).toBe('application/octet-stream');
  });

  test.each(['transcriptions', 'translations'] as const)(
    'sends a file for %s, before or after its model',
    async (name) => {
      first.reply((response) => sendJson(response, 200, { text: 'heard' }));
      const parts = [
        { file: await sound(), model: 'any' },
        { model: 'any', file: await sound() },
      ];
      for (const body of parts) {
        expect((await sdk().audio[name].create(body)).text).toBe('heard');
        expect(first.last).toMatchObject({ path: `/v1/audio/${name}` });
        expect(fileOf(first)).toEqual({ name: 'sound.wav', bytes: SOUND });
        expect(first.last.headers['content-length']).toBe(String(first.last.body.length));
      }
    },
  );

  test('makes and changes pictures', async () => {
    first.reply((response) => sendJson(response, 200, { created: 1, data: [{ b64_json: 'AAAA' }] }));
    await sdk().images.generate({ prompt: 'A hut', model: 'ours' });
    expect(first.lastJson).toEqual({ prompt: 'A hut', model: 'theirs' });
    const edited = await sdk().images.edit({
      image: [await toFile(SOUND, 'a.png'), await toFile(SOUND, 'b.png')],
      prompt: 'A hat',
      model: 'ours',
    });
    expect(edited.data?.[0]?.b64_json).toBe('AAAA');
    expect(first.last.form.map(([name]) => name)).toEqual(['prompt', 'model', 'image[]', 'image[]']);
    expect(first.last.form[1]).toEqual(['model', 'theirs']);
    await sdk().images.createVariation({ image: await toFile(SOUND, 'a.png'), n: 1 });
    expect(first.last.path).toBe('/v1/images/variations');
  });

  test('gets a transcription that is no JSON', async () => {
    first.reply((response) =>
      response.writeHead(200, { 'content-type': 'text/plain' }).end('1\n00:00 --> 00:01'),
    );
    const body = { file: await sound(), model: 'any', response_format: 'srt' as const };
    expect(await sdk().audio.transcriptions.create(body)).toBe('1\n00:00 --> 00:01');
  });
});

describe('the model decides which server is asked', () => {
  test('under its own name, with that key and ours nowhere', async () => {
    await wire.ask('POST', '/v1/embeddings', { body: { model: 'of-second', input: 'x' } });
    expect(second.last.headers).toMatchObject({
      authorization: 'Bearer second-key',
      'user-agent': 'longrun',
    });
    expect(JSON.stringify(second.last.headers)).not.toContain(KEY);
  });

  test('what a client sends of itself stays here', async () => {
    const headers = {
      cookie: 'a=b',
      'x-stainless-lang': 'js',
      'openai-organization': 'org-1',
      'x-forwarded-for': '10.0.0.1',
      accept: 'audio/wav',
    };
    await wire.ask('POST', '/v1/audio/speech', { body: { model: 'any' }, headers });
    expect(Object.keys(first.last.headers).toSorted()).toEqual([
      'accept',
      'accept-encoding',

      'authorization',
      'connection',
      'content-length',
      'content-type',
      'host',

      'user-agent',
    ]);
    expect(first.last.headers).toMatchObject({ authorization: 'Bearer first-key', accept: 'audio/wav' });
  });

  test.each([
    ['an alias', { model: 'ours', seed: 1 }, '{"model":"theirs","seed":1}'],
    [
      'numbers that JavaScript cannot hold',
      '{"seed": 12345678901234567890, "model" : "ours"}',
      '{"seed": 12345678901234567890, "model" : "theirs"}',
    ],
    [
      'the same word elsewhere',
      '{"input":["model","\\"model\\": 1"],"a":{"model":"ours"},"model":"ours"}',
      '{"input":["model","\\"model\\": 1"],"a":{"model":"ours"},"model":"theirs"}',
    ],
    [
      'a key in disguise, twice',
      String.raw`{"mod\u0065l":"ours","model":"ours"}`,
      String.raw`{"mod\u0065l":"theirs","model":"theirs"}`,
    ],
    ['no alias', '{ "model":"any",  "a":1.0}', '{ "model":"any",  "a":1.0}'],
    ['no model', '{"model": null,"a":1}', '{"model": null,"a":1}'],
    ['a mark of order', '\uFEFF{"model":"ours"}', '{"model":"theirs"}'],
  ])('%s', async (_what, body, expected) => {
    await wire.ask('POST', '/v1/embeddings', { body });
    expect(first.last.body.toString()).toBe(expected);
  });

  test('a form as well, wherever its model is, and only that field is written anew', async () => {
    for (const model of ['<scribe>', 'scribe', 'of-second']) {
      const there = model === 'of-second' ? model : 'whisper-large';
      await sdk().audio.transcriptions.create({ file: await sound(), model, prompt: 'model' });
      expect(second.last.form).toEqual([
        ['file', { name: 'sound.wav', bytes: SOUND }],
        ['model', there],
        ['prompt', 'model'],
      ]);
      await sdk().audio.transcriptions.create({ prompt: 'model', model, file: await sound() });
      expect(second.last.form[1]).toEqual(['model', there]);
      expect(fileOf(second)).toEqual({ name: 'sound.wav', bytes: SOUND });
    }
  });

  test('a form whose file is too large to wait for its model is refused, and goes through the other way round', async () => {
    const large = await toFile(Buffer.alloc(100_000, 'x'), 'large.wav');
    await expect(
      sdk().audio.transcriptions.create({ file: large, model: 'of-second' }),
    ).rejects.toMatchObject({
      status: 413,
      param: 'model',
      code: 'request_too_large',
    });
    await sdk().audio.transcriptions.create({ model: 'of-second', file: large });
    expect(second.last.body.length).toBeGreaterThan(100_000);
  });

  test('an assistant is no model, unless the configuration lists its name', async () => {
    const assistant = await wire.ok('POST', '/v1/assistants', { model: 'any', name: 'Aide' });
    await wire.ok('POST', '/v1/assistants', { model: 'any', name: 'ours' });
    for (const model of ['Aide', '<Aide>', assistant.id]) {
      const name = model.replaceAll(/[<>]/g, '');
      expectRefusal(await wire.ask('POST', '/v1/embeddings', { body: { model, input: 'x' } }), {
        message: `'${name}' is an assistant, and '/embeddings' is answered by a model server, which has no assistants. Name a model: GET /v1/models lists them.`,
        param: 'model',
        code: 'not_a_model',
      });
      const form = sdk().audio.transcriptions.create({ file: await sound(), model });
      await expect(form).rejects.toMatchObject({ status: 400, code: 'not_a_model' });
    }
    await wire.ask('POST', '/v1/embeddings', { body: { model: 'ours', input: 'x' } });
    expect(first.lastJson).toMatchObject({ model: 'theirs' });
  });
});

describe('every base path has them', () => {
  test.each(BASES)('%s', async (base) => {
    for (const path of [
      'embeddings',
      'completions',
      'moderations',
      'rerank',
      'audio/speech',
      'images/generations',
    ]) {
      const { body } = await wire.ask('POST', `${base}/${path}`, { body: { model: 'any' } });
      expect(body).toEqual({ path: `/v1/${path}` });
    }
    const form = 'multipart/form-data; boundary=b';
    const body = '--b\r\nContent-Disposition: form-data; name=model\r\n\r\nany\r\n--b--\r\n';
    for (const path of ['audio/transcriptions', 'audio/translations', 'images/edits', 'images/variations']) {
      const answer = await wire.ask('POST', `${base}/${path}`, { body, headers: { 'content-type': form } });
      expect(answer.body).toEqual({ path: `/v1/${path}` });
      expect(first.last.body.toString()).toBe(body);
    }
  });

  test('and so have deployments, whose name is the model', async () => {
    await azure()
      .embeddings.create({ model: 'of-second', input: 'x' })
      .catch(() => {});
    expect(second.lastJson).toMatchObject({ model: 'of-second' });
    await azure('vendor/ours')
      .images.generate({ prompt: 'A hut' })
      .catch(() => {});
    expect(first.lastJson).toEqual({ model: 'vendor/ours', prompt: 'A hut' });
    await azure('scribe').audio.transcriptions.create({ model: 'any', file: await sound() });
    expect(second.last.form).toContainEqual(['model', 'whisper-large']);
    const form = new FormData();
    form.append('file', await sound());
    const answer = await fetch(`${service.url}/openai/deployments/scribe/audio/transcriptions`, {
      method: 'POST',
      body: form,
      headers: { 'api-key': KEY },
    });
    expect(answer.status).toBe(200);
    expect(second.last.form).toEqual([
      ['file', { name: 'sound.wav', bytes: SOUND }],
      ['model', 'whisper-large'],
    ]);
  });

  test('behind the same door', async () => {
    const before = first.received.length;
    expectRefusal(await new Wire(() => service.url).ask('POST', '/v1/embeddings', { body: {} }), {
      status: 401,
      message: /^You didn't provide an API key/,
    });
    expect((await wire.ask('GET', '/v1/embeddings')).status).toBe(405);
    expect((await wire.ask('POST', '/v1/audio/speech/x', { body: {} })).status).toBe(404);
    const page = await wire.ask('POST', '/v1/embeddings', {
      body: {},
      headers: { origin: 'https://a.example' },
    });
    expect(page.status).toBe(403);
    expect(first.received.length).toBe(before);
  });
});

describe('what is wrong is told', () => {
  test.each([
    ['no JSON', '{"model":', { message: /^We could not parse the JSON body of your request\./ }],
    ['no object', '[1]', { message: 'We could not parse the JSON body of your request. It is no object.' }],
    ['a model that is none', { model: 5 }, { message: /'model'/, param: 'model', code: 'invalid_type' }],
    [
      'too much',
      { input: 'x'.repeat(70_000) },
      { status: 413, message: /larger than 65536 bytes/, code: 'request_too_large' },
    ],
  ])('in a body: %s', async (_what, body, refusal) => {
    expectRefusal(await wire.ask('POST', '/v1/embeddings', { body }), refusal);
  });

  test.each([
    ['no boundary', 'multipart/form-data', 'x', /needs a 'boundary'/],
    [
      'a head without an end',
      'multipart/form-data; boundary=b',
      `--b\r\n${'x'.repeat(20_000)}`,
      /has no end/,
    ],
    [
      'a long model',
      'multipart/form-data; boundary="b"',
      `--b\r\nContent-Disposition: form-data; name="model"\r\n\r\n${'x'.repeat(5_000)}\r\n--b--`,
      /'model' is too long/,
    ],
  ])('in a form: %s', async (_what, type, body, message) => {
    const asked = wire.ask('POST', '/v1/images/edits', { body, headers: { 'content-type': type } });
    expectRefusal(await asked, { message });
  });

  test('a form above the limit, whether it says its size or not', async () => {
    const field = '--b\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\n';
    const head = { authorization: `Bearer ${KEY}`, 'content-type': 'multipart/form-data; boundary=b' };
    const whole = field + 'x'.repeat(200_000);
    const pieces = (async function* (): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < whole.length; at += 50_000) yield Buffer.from(whole.slice(at, at + 50_000));
    })();
    for (const body of [whole, ReadableStream.from(pieces)]) {
      const url = `${service.url}/openai/deployments/any/images/edits`;
      const answer = await fetch(url, { method: 'POST', body, headers: head, duplex: 'half' });
      expect(answer.status).toBe(413);
      expect(await answer.text()).toContain('larger than 200000 bytes');
    }
  });

  test('many token ids are no reason to refuse', async () => {
    const input = Array.from({ length: 30_000 }, () => 1);
    expect((await wire.ask('POST', '/v1/embeddings', { body: { model: 'any', input } })).status).toBe(200);
  });

  test('a server that is not there', async () => {
    const answer = await wire.ask('POST', '/v1/embeddings', { body: { model: 'of-gone' } });
    expectRefusal(answer, {
      status: 502,
      message: "The upstream 'gone' cannot be reached (ECONNREFUSED). Check that it runs, and its baseUrl.",
      type: 'server_error',
      code: 'upstream_error',
    });
    const form = sdk().audio.transcriptions.create({ model: 'of-gone', file: await sound() });
    await expect(form).rejects.toMatchObject({ status: 502, code: 'upstream_error' });
  });

  const said = (status: number, body: unknown, headers = {}) =>
    first.reply((response) =>
      typeof body === 'string'
        ? response.writeHead(status, { 'content-type': 'text/plain', ...headers }).end(body)
        : sendJson(response, status, body, headers),
    );
  const invalid = {
    message: 'No first-key, no sk-abcdef here',
    type: 'invalid_request_error',
    param: 'input',
    code: 'too_long',
  };

  test.each([
    [400, { error: invalid }, {}, 400, { ...invalid, message: 'No [key], no [key] here' }],
    [
      400,
      [{ error: { code: 400, message: 'Bad.', status: 'INVALID_ARGUMENT' } }],
      {},
      400,
      { message: 'Bad.', type: 'invalid_request_error', param: null, code: null },
    ],
    [
      422,
      { detail: 'Missing input' },
      {},
      422,
      { message: 'Missing input', type: 'invalid_request_error', param: null, code: null },
    ],
    [
      429,
      { error: { message: 'Slow down', type: 'tokens', code: 'rate_limit_exceeded' } },
      { 'retry-after': '7' },
      429,
      { message: 'Slow down', type: 'tokens', param: null, code: 'rate_limit_exceeded' },
    ],
    [
      404,
      { error: { message: 'The model any does not exist', code: 'model_not_found' } },
      {},
      404,
      {
        message: 'The model any does not exist',
        type: 'invalid_request_error',
        param: null,
        code: 'model_not_found',
      },
    ],
    [
      404,
      '404 page not found',
      {},
      404,
      {
        message:
          "The upstream 'default' does not answer '/embeddings', or does not know the model (404). It said: 404 page not found",
        type: 'invalid_request_error',
        param: null,
        code: null,
      },
    ],
    [
      501,
      {
        error: {
          code: 501,
          message: 'This server does not support embeddings.',
          type: 'not_supported_error',
        },
      },
      {},
      501,
      {
        message:
          "The upstream 'default' does not answer '/embeddings', or does not know the model (501). It said: This server does not support embeddings.",
        type: 'not_supported_error',
        param: null,
        code: null,
      },
    ],
    [
      401,
      { error: { message: 'Incorrect API key: first-key' } },
      {},
      502,
      {
        message:
          "The upstream 'default' refused its key (401). Check the apiKey of 'default' in the config file, or OPENAI_API_KEY. It said: Incorrect API key: [key]",
        type: 'server_error',
        param: null,
        code: 'upstream_error',
      },
    ],
    [
      500,
      '<html>oops</html>',
      {},
      502,
      {
        message: "The upstream 'default' failed (500). It said: an HTML page",
        type: 'server_error',
        param: null,
        code: 'upstream_error',
      },
    ],
    [
      503,
      { error: { message: 'Loading model', type: 'unavailable_error' } },
      { 'retry-after': '3' },
      503,
      {
        message: "The upstream 'default' failed (503). It said: Loading model",
        type: 'unavailable_error',
        param: null,
        code: 'upstream_error',
      },
    ],
    [
      302,
      '',
      { location: 'http://elsewhere.example/' },
      502,
      {
        message:
          "The upstream 'default' sends its callers on to http://elsewhere.example (302), and redirects are not followed. Set the baseUrl of 'default' in the config file, or OPENAI_BASE_URL, to the address that answers itself.",
        type: 'server_error',
        param: null,
        code: 'upstream_error',
      },
    ],
    [
      200,
      '<html>Sign in</html>',
      { 'content-type': 'text/html' },
      502,
      {
        message:
          "The upstream 'default' sent something that is not an answer to '/embeddings': <html>Sign in</html>",
        type: 'server_error',
        param: null,
        code: 'upstream_error',
      },
    ],
  ])('by the server, with %s %j', async (status, body, headers, expected, error) => {
    said(status, body, headers);
    const answer = await wire.ask('POST', '/v1/embeddings', { body: { model: 'any' } });
    expect(answer).toMatchObject({ status: expected, body: { error } });
    expect(answer.headers.get('retry-after')).toBe(Reflect.get(headers, 'retry-after') ?? null);
    const isFinal = [404, 501, 401, 302, 200].includes(status);
    expect(answer.headers.get('x-should-retry')).toBe(isFinal ? 'false' : null);
  });
});

test('metrics count by route, server and status, and the log has sizes and no words', async () => {
  const before = await metricsOf(service.url);
  await wire.ask('POST', '/v1/rerank', { body: { model: 'of-second', query: 'private-words' } });
  await wire.ask('POST', '/v1/rerank', { body: { model: 'of-gone', query: 'private-words' } });
  let after = await metricsOf(service.url);
  // An answer may be read to its end a moment before it is counted.
  while (after.get('longrun_forwarded_open') !== 0) after = await metricsOf(service.url);
  const name = (upstream: string, status: string): string =>
    `longrun_forwarded_total{route="/rerank",upstream="${upstream}",status="${status}"}`;
  expect((after.get(name('second', '200')) ?? 0) - (before.get(name('second', '200')) ?? 0)).toBe(1);
  expect(after.get(name('gone', '502'))).toBe(1);
  expect(after.get('longrun_forwarded_bytes_total{route="/rerank",upstream="gone",direction="sent"}')).toBe(
    43,
  );
  const line = await service.waitForLog(
    ({ msg, route, upstream }) => msg === 'forwarded' && route === '/rerank' && upstream === 'gone',
  );
  expect(line).toMatchObject({ status: 502, bytes_sent: 43, bytes_received: 0 });
  expect(JSON.stringify(service.logs)).not.toContain('private-words');
});
