import { afterEach, describe, expect, test } from 'vitest';
import {
  begin,
  chunk,
  DONE,
  STOP,
  failureOf,
  HELLO,
  HELLO_PARTS,
  modelAt,
  partsOf,
  startUpstream,
  type TestUpstream,
} from './upstream.ts';

let upstream: TestUpstream;
afterEach(() => upstream.stop());

/** How a turn fails when the upstream answers so. */
async function failure(status: number, body: string, more = {}) {
  upstream = await startUpstream((response) => void response.writeHead(status).end(body));
  return await failureOf(modelAt(upstream.url, { upstream: more }));
}

/** How a turn fails when the upstream sends this as its event stream. */
async function streamFailure(body: string | Buffer) {
  upstream = await startUpstream((response) => {
    begin(response);
    response.end(body);
  });
  return await failureOf(modelAt(upstream.url));
}

const QUOTA = 'You exceeded your current quota, please check your plan and billing details.';

describe('error statuses', () => {
  /** Shows A-LIFE-09, A-LIFE-10. */
  test.each([
    [429, { error: { message: QUOTA, type: 'insufficient_quota' } }, 'rate_limit_exceeded', QUOTA],
    [400, { error: { message: 'This model has no vision.' } }, 'invalid_prompt', 'This model has no vision.'],
    [400, { object: 'error', message: 'Too long.', code: 400 }, 'invalid_prompt', 'Too long.'],
    [413, { error: 'request too large' }, 'invalid_prompt', 'request too large'],
    [422, { detail: [{ msg: 'field required' }] }, 'invalid_prompt', 'field required'],
    [
      422,
      {
        detail: [
          {
            type: 'extra_forbidden',
            loc: ['body', 'top_k'],
            msg: 'Extra inputs are not permitted',
            input: 1,
          },
          { loc: ['body', 'messages', 0, 'role'], msg: 'Field required' },
        ],
      },
      'invalid_prompt',
      'body → top_k: Extra inputs are not permitted; body → messages → 0 → role: Field required',
    ],
    [400, { errors: [{ title: 'No.' }] }, 'invalid_prompt', 'No.'],
    [400, { error_code: 336_003, error_msg: 'No.' }, 'invalid_prompt', 'No.'],
    [422, { detail: 'no such role' }, 'invalid_prompt', 'no such role'],
    [400, 'no such role', 'invalid_prompt', 'no such role'],
    [400, [{ error: { code: 400, message: 'Not here.' } }], 'invalid_prompt', 'Not here.'],
    [500, { error: { message: 'CUDA' } }, 'server_error', "The upstream 'test' failed (500). It said: CUDA"],
    [402, { error: { message: 'Pay.' } }, 'server_error', "The upstream 'test' failed (402). It said: Pay."],
  ])('%i %j', async (status, body, code, message) => {
    expect(await failure(status, JSON.stringify(body))).toEqual({ parts: [], code, message });
  });

  test.each([
    ['text', 'Service down', 'Service down'],
    ['an HTML page', '<!doctype html><h1>502</h1>', 'an HTML page'],
    ['nothing', '', 'status 502, without a message'],
  ])('whose body is %s', async (_, body, said) => {
    const message = `The upstream 'test' failed (502). It said: ${said}`;
    expect(await failure(502, body)).toEqual({ parts: [], code: 'server_error', message });
  });

  test('404 names the model and the upstream', async () => {
    const { code, message } = await failure(404, '{"error":{"message":"not here"}}');
    expect(code).toBe('server_error');
    expect(message).toMatch(/'test'.*'gpt-test'.*not here/);
  });

  test.each([401, 403])('%i says whose key to check, and masks every key', async (status) => {
    const said =
      'Incorrect API key: sk-own-key-123456, sk-proj-ab*****cd, gsk_0123456789abcdefgh, Bearer abc.def';
    const { code, message } = await failure(status, JSON.stringify({ error: { message: said } }));
    expect(code).toBe('server_error');
    expect(message).toMatch(/'test' refused its key .* apiKey of 'test'/);
    expect(message).toMatch(/Incorrect API key: \[key\], \[key\], \[key\], \[key\]$/);
  });

  test('a key of no known shape is masked as well', async () => {
    const { message } = await failure(401, 'bad key hunter2-hunter2', { apiKey: 'hunter2-hunter2' });
    expect(message).not.toContain('hunter2');
  });

  test('401 without a key says that there is none', async () => {
    expect((await failure(401, '', { apiKey: undefined })).message).toContain('has no key');
  });

  test('long messages are cut and stay on one line', async () => {
    const { message } = await failure(400, JSON.stringify({ error: { message: `a\nb${'x'.repeat(5000)}` } }));
    expect(message).toHaveLength(501);
    expect(message).toMatch(/^a bx+…$/);
  });

  test('an endless error page is not read to its end', async () => {
    upstream = await startUpstream((response) => {
      response.writeHead(500);
      const more = () => {
        while (!response.destroyed && response.write('x'.repeat(65_536)));
      };
      response.on('drain', more);
      more();
    });
    expect((await failureOf(modelAt(upstream.url))).code).toBe('server_error');
  });
});

describe('errors inside a stream', () => {
  test.each([
    ['{"error":{"message":"m","code":429}}', 'rate_limit_exceeded'],
    ['{"error":{"message":"m","type":"rate_limit_error"}}', 'rate_limit_exceeded'],
    ['{"error":{"message":"m","code":"insufficient_quota"}}', 'rate_limit_exceeded'],
    [
      '{"error":{"message":"m","type":"invalid_request_error","code":"context_length_exceeded"}}',
      'invalid_prompt',
    ],
    ['{"object":"error","message":"m","type":"BadRequestError","code":400}', 'invalid_prompt'],
    ['{"error":{"message":"m","type":"invalid_api_key"}}', 'server_error'],
    ['{"error":{"message":"m","type":"server_error"}}', 'server_error'],
    ['{"error":"m"}', 'server_error'],
  ])('%s', async (data, code) => {
    for (const name of ['', 'event: error\n']) {
      const failed = await streamFailure(`${chunk({ content: 'a' })}${name}data: ${data}\n\n`);
      expect(failed).toMatchObject({ parts: [{ type: 'text', text: 'a' }], code });
      expect(failed.message).toMatch(/\bm$/);
      if (name === '') await upstream.stop();
    }
  });

  const error = { code: 500, message: 'GPU on fire' };
  const fire = JSON.stringify(error);
  const a = chunk({ content: 'a' });
  const failed = {
    code: 'server_error',
    message: "The upstream 'test' failed (500). It said: GPU on fire",
  };
  describe.each([
    ['an error object', `data: {"error":${fire}}\n\n`],
    ['an error object in a list', `data: [{"error":${fire}}]\n\n`],
    ['an error object in the choice', chunk({}, { finish_reason: 'error', error })],
    ['an error event', `event: error\ndata: ${fire}\n\n`],
    ['an error line', `error: ${fire}\n\n`],
    ['an error line without a space', `error:${fire}\n\n`],
    ['an error line that ends with CRLF', `error: ${fire}\r\n\r\n`],
  ])('%s', (_, said) => {
    test.each([
      ['at the end', said],
      ['before [DONE]', said + DONE],
      ['before a finish reason', said + STOP + DONE],
    ])('fails the turn in words of the server, %s', async (__, body) => {
      expect(await streamFailure(body)).toEqual({ ...failed, parts: [] });
      await upstream.stop();
      for (const begun of [a, a.replaceAll('\n', '\r\n')]) {
        expect(await streamFailure(begun + body)).toEqual({
          ...failed,
          parts: [{ type: 'text', text: 'a' }],
        });
        if (begun === a) await upstream.stop();
      }
    });

    test('is asked again where nothing was said', async () => {
      upstream = await startUpstream(
        (response, count) => void response.end(count === 1 ? said + DONE : HELLO),
      );
      expect(await partsOf(modelAt(upstream.url, { retries: 1 }))).toEqual(HELLO_PARTS);
    });
  });

  test.each([
    ['behind an event that has no end', `${a.trimEnd()}\nerror: ${fire}\n\n`],
    ['behind one that a lone CR ends', `${a.trimEnd()}\rerror: ${fire}\n\n`],
    ['that the body ends', `${a}error: ${fire}`],
  ])('an error line %s', async (_, body) => {
    expect(await streamFailure(body)).toEqual({ ...failed, parts: [{ type: 'text', text: 'a' }] });
  });

  /** Shapes of servers and gateways, and what a run then says. */
  const shapes: readonly [string, string][] = [
    ['{"error":"GPU on fire"}', 'GPU on fire'],
    ['{"error":true,"message":"GPU on fire"}', 'GPU on fire'],
    ['{"errors":[{"message":"GPU on fire"}],"success":false}', 'GPU on fire'],
    ['{"object":"error","message":"GPU on fire","type":"InternalServerError"}', 'GPU on fire'],
    ['{"type":"error","message":"GPU on fire"}', 'GPU on fire'],
    ['{"type":"error","error":{"type":"api_error","message":"GPU on fire"}}', 'GPU on fire'],
    ['{"detail":"GPU on fire"}', 'GPU on fire'],
    ['{"error_code":336501,"error_msg":"GPU on fire"}', 'GPU on fire'],
    ['{"code":1305,"msg":"GPU on fire","success":false}', 'GPU on fire'],
    ['{"code":"InternalError.Algo","message":"GPU on fire","request_id":"r"}', 'GPU on fire'],
    ['{"status":500,"title":"GPU on fire"}', 'GPU on fire'],
    ['{"statusCode":502,"message":"GPU on fire"}', 'GPU on fire'],
    ['{"status":"error","description":"GPU on fire"}', 'GPU on fire'],
    ['{"choices":null,"base_resp":{"status_code":1000,"status_msg":"GPU on fire"}}', 'GPU on fire'],
    [
      chunk({ error: { message: 'GPU on fire' } })
        .slice(6)
        .trim(),
      'GPU on fire',
    ],
  ];

  test.each(shapes)('%s, streamed or whole, is an error before [DONE]', async (data, words) => {
    let body = '';
    upstream = await startUpstream((response) => void response.end(body));
    const message: unknown = expect.stringMatching(new RegExp(`It said: ${words}$`));
    for (body of [`data: ${data}\n\n${DONE}`, `event: exception\ndata: ${data}\n\n`, data])
      expect(await failureOf(modelAt(upstream.url))).toMatchObject({ parts: [], message });
    body = `${chunk({ content: 'a' })}data: ${data}\n\n${DONE}`;
    expect(await failureOf(modelAt(upstream.url))).toMatchObject({
      parts: [{ type: 'text', text: 'a' }],
      message,
    });
  });

  test('a message alone is an error where it is all that comes', async () => {
    expect((await streamFailure('{"message":"Endpoint is gone"}')).message).toMatch(
      /It said: Endpoint is gone$/,
    );
  });

  test('an error event of bare text', async () => {
    expect((await streamFailure('event: error\ndata: out of memory\n\n')).message).toMatch(/out of memory$/);
  });
});

describe('what passes by itself is asked again', () => {
  const says = (message: string, more: object = {}) => ({ error: { message, ...more } });
  const passing: readonly [number, object][] = [
    [400, says('Failed to call a function. Please adjust your prompt.', { code: 'tool_use_failed' })],
    [400, says('Model did not answer in time', { failed_generation: '<function=x>' })],
    [400, says('tool call validation failed: parameters for tool f did not match schema')],
    [422, says('Failed to parse tool call arguments as JSON')],
    [500, says('error parsing tool call: raw=\'{"a"\', err=unexpected end')],
    [409, says('conflict')],
    [425, says('too early')],
    [499, says('client closed request')],
    [522, says('connection timed out')],
    [529, says('Overloaded', { type: 'overloaded_error' })],
    [400, says('The model is currently loading, please retry')],
    [404, says("Model 'm' is loading")],
    [503, says('Loading model', { type: 'unavailable_error' })],
    [500, says('llm server loading model')],
    [502, says('模型正在加载，请稍后再试')],
  ];

  test.each(passing)('%i %j', async (status, body) => {
    upstream = await startUpstream((response, count) =>
      count === 1
        ? void response.writeHead(status).end(JSON.stringify(body))
        : void response.end(count === 2 ? `data: ${JSON.stringify(body)}\n\n${DONE}` : HELLO),
    );
    expect(await partsOf(modelAt(upstream.url, { retries: 2 }))).toEqual(HELLO_PARTS);
    expect(upstream.asked).toHaveLength(3);
  });

  test.each<[number, object]>([
    [400, says('Invalid tool schema: parameters must be an object')],
    [400, says('Failed to load image')],
    [501, says('This server does not support tools')],
    [404, says('No models loaded. Please load a model.')],
  ])('but not %i %j', async (status, body) => {
    upstream = await startUpstream((response) => void response.writeHead(status).end(JSON.stringify(body)));
    await failureOf(modelAt(upstream.url, { retries: 2 }));
    expect(upstream.asked).toHaveLength(1);
  });

  test('a call that stays unreadable is the fault of the model, not of the prompt', async () => {
    const body = JSON.stringify(says('Failed to call a function.', { code: 'tool_use_failed' }));
    expect(await failure(400, body)).toMatchObject({
      code: 'server_error',
      message: "The upstream 'test' failed (400). It said: Failed to call a function.",
    });
  });
});

describe('a finish reason that no answer ends with', () => {
  const ended = (content: string, finish_reason: string): string =>
    chunk({ content }) + chunk({}, { finish_reason }) + DONE;
  const message = (reason: string): string =>
    `The upstream 'test' did not finish its answer. The reason it gave is '${reason}'.`;
  const reasons = [
    'error', // OpenRouter, vLLM, Mistral
    'abort', // vLLM, SGLang
    'MALFORMED_FUNCTION_CALL', // Gemini
    'insufficient_system_resource', // DeepSeek
    'network_error', // GLM
    'because',
    'constructor',
  ];

  test.each(reasons)('%s fails the turn in words of the server', async (reason) => {
    const failed = await streamFailure(ended('a', reason));
    expect(failed).toEqual({
      parts: [{ type: 'text', text: 'a' }],
      code: 'server_error',
      message: message(reason),
    });
  });

  test.each(reasons)('%s is no answer as a whole either', async (finish_reason) => {
    const choices = [{ index: 0, message: { content: null }, finish_reason }];
    expect(await failure(200, JSON.stringify({ choices }))).toMatchObject({
      message: message(finish_reason),
    });
  });

  test('is asked again where nothing was said', async () => {
    upstream = await startUpstream(
      (response, count) => void response.end(count < 3 ? ended('', 'abort') : HELLO),
    );
    expect(await partsOf(modelAt(upstream.url, { retries: 2 }))).toEqual(HELLO_PARTS);
    expect(upstream.asked).toHaveLength(3);
  });

  test('is told in part if it is long, and without keys', async () => {
    const { message: long } = await streamFailure(ended('a', `sk-abcdef123456 ${'x'.repeat(1_000)}`));
    expect(long).toMatch(/'\[key\] x+'\.$/);
    expect(long.length).toBeLessThan(280);
  });
});

describe('answers that are none', () => {
  test.each<[string, string | Buffer, RegExp]>([
    ['an HTML page', '<html>login</html>', /not an event stream: <html>login/],
    ['plain text', 'Hello, I am a text', /not an event stream: Hello/],
    [
      'an event that is not JSON',
      `${chunk({ content: 'a' })}data: nonsense\n\n`,
      /not a chunk of a chat completion: nonsense/,
    ],
    ['an event that is a list', 'data: [1,2]\n\n', /not a chunk/],
    ['JSON of another kind', '{"hello":1}', /not a chat completion/],
    ['JSON lines', '{"message":"a"}\n{"message":"b"}\n', /not a chat completion/],
    ['a completion without choices', '{"choices":[]}', /without a word or a call/],
    ['a completion with null for choices', '{"choices":null}', /without a word or a call/],
    ['an error in a list', '[{"error":{"message":"no"}}]', /failed \(500\). It said: no/],
    [
      'words in place of a completion',
      'data: {"message":"no"}\n\ndata: [DONE]\n\n',
      /failed \(500\). It said: no/,
    ],
    [
      'words in place of the rest',
      `${chunk({ content: 'a' })}data: {"message":"no"}\n\ndata: [DONE]\n\n`,
      /failed \(500\). It said: no/,
    ],
    ['an error under status 200', '{"error":{"message":"no"}}', /failed \(500\). It said: no/],
    [
      'an end in the middle of an event',
      `${chunk({ content: 'a' })}data: {"choices":[{"del`,
      /'test' broke off/,
    ],
    ['an end without a finish', chunk({ content: 'a' }), /'test' broke off/],
    [
      'a call without a name',
      `${chunk({ tool_calls: [{ index: 0, function: { arguments: '{}' } }] })}data: [DONE]\n\n`,
      /not a tool call with a name/,
    ],
    ['an event of more than 1 MB', chunk({ content: 'x'.repeat(2 ** 20) }), /an event of more than 1 MB/],
    ['an event that never ends', `data: ${'x'.repeat(3 * 2 ** 20)}`, /an event of more than 1 MB/],
    [
      'more than 16 MB',
      Buffer.from(chunk({ reasoning: 'x'.repeat(2 ** 19) }).repeat(33)),
      /an answer of more than 16 MB/,
    ],
    ['more than 16 MB of JSON', `{"a":"${'x'.repeat(17 * 2 ** 20)}"}`, /an answer of more than 16 MB/],
  ])('%s', async (_, body, message) => {
    const failed = await streamFailure(body);
    expect(failed.code).toBe('server_error');
    expect(failed.message).toMatch(message);
    expect(failed.message.length).toBeLessThan(300);
  });

  test.each(['<html>Bad Gateway</html>', 'upstream connect error', '{"choices":[]}'])(
    'are asked for again: %s',
    async (body) => {
      upstream = await startUpstream((response) => {
        begin(response);
        response.end(upstream.asked.length <= 2 ? body : HELLO);
      });
      expect(await partsOf(modelAt(upstream.url, { retries: 2 }))).toEqual(HELLO_PARTS);
    },
  );

  test('what is quoted of them holds no key', async () => {
    expect((await streamFailure('data: token sk-abcdef123456\n\n')).message).toMatch(/token \[key\]$/);
  });
});
