import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { afterEach, describe, expect, test, vi } from 'vitest';
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
  TOOL,
  type TestUpstream,
} from './upstream.ts';

let upstream: TestUpstream;
afterEach(async () => {
  vi.unstubAllEnvs();
  await upstream.stop();
});

const good = (response: ServerResponse) => {
  begin(response);
  response.end(HELLO);
};

describe('the request', () => {
  /** Shows A-MAP-10, A-MAP-11, A-MAP-12. */
  test('holds what was given and nothing else', async () => {
    upstream = await startUpstream(good);
    await partsOf(modelAt(upstream.url));
    expect(upstream.asked[0]?.path).toBe('/v1/chat/completions');
    expect(upstream.asked[0]?.body).toEqual({
      model: 'gpt-test',
      messages: [{ role: 'user', content: 'hi' }],
      stream: true,
    });
  });

  /** Shows A-MAP-10, A-MAP-13, A-MAP-22. */
  test('holds tools and settings when there are any, under the names the upstream knows', async () => {
    upstream = await startUpstream(good);
    const strict = { ...TOOL, function: { ...TOOL.function, name: 'act', strict: true } };
    const choice = { type: 'function' as const, function: { name: 'look' } };
    await partsOf(
      modelAt(upstream.url, { upstream: { maxTokensField: 'max_tokens', aliases: { 'gpt-test': 'real' } } }),
      ask({
        tools: [TOOL, strict],
        tool_choice: choice,
        parallel_tool_calls: false,
        response_format: { type: 'json_object' },
        temperature: 0,
        top_p: 0.5,
        reasoning_effort: 'low',
        max_completion_tokens: 7,
      }),
    );
    expect(upstream.asked[0]?.body).toEqual({
      model: 'real',
      messages: [{ role: 'user', content: 'hi' }],
      stream: true,
      tools: [
        {
          type: 'function',
          function: { name: 'look', description: 'Looks.', parameters: { type: 'object', properties: {} } },
        },
        {
          type: 'function',
          function: {
            name: 'act',
            description: 'Looks.',
            parameters: { type: 'object', properties: {} },
            strict: true,
          },
        },
      ],
      tool_choice: choice,
      parallel_tool_calls: false,
      response_format: { type: 'json_object' },
      temperature: 0,
      top_p: 0.5,
      reasoning_effort: 'low',
      max_tokens: 7,
    });
  });

  test('carries the key of its upstream', async () => {
    upstream = await startUpstream(good);
    await partsOf(modelAt(upstream.url));
    expect(upstream.asked[0]?.headers.authorization).toBe('Bearer sk-own-key-123456');
  });

  test('carries no key when there is none, and nothing of the process environment', async () => {
    upstream = await startUpstream(good);
    for (const [name, value] of Object.entries({
      OPENAI_API_KEY: 'sk-leak-1',
      OPENAI_ADMIN_KEY: 'sk-leak-2',
      OPENAI_ORG_ID: 'leak-3',
      OPENAI_PROJECT_ID: 'leak-4',
      OPENAI_CUSTOM_HEADERS: 'x-secret: leak-5\nauthorization: leak-6',
      OPENAI_BASE_URL: 'http://leak.invalid/v1',
    }))
      vi.stubEnv(name, value);
    const model = modelAt(upstream.url, { upstream: { apiKey: undefined } });
    expect(await partsOf(model)).toEqual(HELLO_PARTS);
    expect(upstream.asked[0]?.headers.authorization).toBeUndefined();
    expect(
      JSON.stringify(upstream.asked.map(({ path, headers, body }) => [path, headers, body])),
    ).not.toContain('leak');
  });
});

describe('retries', () => {
  test.each<[string, (response: ServerResponse) => void]>([
    ['status 408', (response) => response.writeHead(408).end()],
    ['status 429', (response) => response.writeHead(429).end('{"error":{"message":"slow down"}}')],
    ['status 500', (response) => response.writeHead(500).end('oops')],
    ['status 503', (response) => response.writeHead(503).end('<html>busy</html>')],
    ['a reset connection', (response) => response.socket?.resetAndDestroy()],
    [
      'an empty body',
      (response) => {
        begin(response);
        response.end();
      },
    ],
    [
      'a body that ends before a part',
      (response) => {
        begin(response);
        response.end(chunk({ role: 'assistant', content: '' }));
      },
    ],
    [
      'a body that breaks before a part',
      (response) => {
        begin(response);
        response.write(': hello\n\n', () => response.destroy());
      },
    ],
    [
      'an overload said in the stream',
      (response) => {
        begin(response);
        response.end('data: {"error":{"type":"overloaded_error"}}\n\n');
      },
    ],
  ])('%s is tried again', async (_, fail) => {
    upstream = await startUpstream((response, count) => (count < 3 ? fail(response) : good(response)));
    expect(await partsOf(modelAt(upstream.url, { retries: 2 }))).toEqual(HELLO_PARTS);
    expect(upstream.asked).toHaveLength(3);
  });

  test('end after the number that is configured', async () => {
    upstream = await startUpstream((response) => void response.writeHead(500).end());
    await failureOf(modelAt(upstream.url, { retries: 2 }));
    expect(upstream.asked).toHaveLength(3);
  });

  test.each([400, 401, 403, 404, 413, 422])('status %i is not tried again', async (status) => {
    upstream = await startUpstream((response) => void response.writeHead(status).end());
    await failureOf(modelAt(upstream.url, { retries: 2 }));
    expect(upstream.asked).toHaveLength(1);
  });

  /** Shows A-MAP-21. */
  test('are over once a part was passed on', async () => {
    upstream = await startUpstream((response) => {
      begin(response);
      response.write(chunk({ content: 'Hel' }), () => response.destroy());
    });
    const { parts, code, message } = await failureOf(modelAt(upstream.url, { retries: 2 }));
    expect(parts).toEqual([{ type: 'text', text: 'Hel' }]);
    expect([code, message]).toEqual(['server_error', expect.stringContaining("'test' broke off")]);
    expect(upstream.asked).toHaveLength(1);
  });

  test('wait as long as the upstream asks, and not as long as we would', async () => {
    upstream = await startUpstream((response, count) => {
      if (count > 2) return good(response);
      response.writeHead(429, count === 1 ? { 'retry-after-ms': '1' } : { 'retry-after': '0' }).end();
    });
    expect(await partsOf(modelAt(upstream.url, { retries: 2, backoffMs: 1e9 }))).toEqual(HELLO_PARTS);
  });

  test.each([{ 'retry-after': '3600' }, { 'x-should-retry': 'false' }])(
    'do not happen after %j',
    async (headers) => {
      upstream = await startUpstream((response) => void response.writeHead(429, headers).end());
      await failureOf(modelAt(upstream.url, { retries: 2 }));
      expect(upstream.asked).toHaveLength(1);
    },
  );

  test('of a server that is not there end with what to check', async () => {
    upstream = await startUpstream(good);
    await upstream.stop();
    const { code, message } = await failureOf(modelAt(upstream.url, { retries: 1 }));
    upstream = await startUpstream(good);
    expect(code).toBe('server_error');
    expect(message).toMatch(/'test' cannot be reached \(ECONNREFUSED\).*baseUrl/);
  });
});

/** A silence that no busy machine makes by itself, where the upstream is not silent. */
const IDLE_MS = 2_000;

describe('the connection', () => {
  test.each([
    ['before the head', () => {}],
    [
      'before the first part',
      (response: ServerResponse) => {
        begin(response);
        response.flushHeaders();
      },
    ],
  ])('is closed by an abort %s, and the reason is thrown', async (_, answer) => {
    const closed = Promise.withResolvers<void>();
    const abort = new AbortController();
    const reason = new Error('cancelled by a test');
    upstream = await startUpstream((response) => {
      response.on('close', closed.resolve);
      answer(response);
      abort.abort(reason);
    });
    await expect(partsOf(modelAt(upstream.url, { retries: 2 }), ask(), abort.signal)).rejects.toBe(reason);
    await closed.promise;
    expect(upstream.asked).toHaveLength(1);
  });

  test('is closed by an abort between two parts, although nobody reads', async () => {
    const closed = Promise.withResolvers<void>();
    upstream = await startUpstream((response) => {
      response.on('close', closed.resolve);
      begin(response);
      response.write(chunk({ content: 'a' }));
    });
    const abort = new AbortController();
    const stream = modelAt(upstream.url).stream(ask(), abort.signal);
    expect(await stream.next()).toEqual({ done: false, value: { type: 'text', text: 'a' } });
    abort.abort('enough');
    await closed.promise;
    await expect(stream.next()).rejects.toBe('enough');
  });

  test('is closed when the reader stops', async () => {
    const closed = Promise.withResolvers<void>();
    upstream = await startUpstream((response) => {
      response.on('close', closed.resolve);
      begin(response);
      response.write(chunk({ content: 'a' }));
    });
    for await (const part of modelAt(upstream.url).stream(ask(), new AbortController().signal)) {
      expect(part).toEqual({ type: 'text', text: 'a' });
      break;
    }
    await closed.promise;
  });

  test('is not opened when the signal was aborted before', async () => {
    upstream = await startUpstream(good);
    const aborted = AbortSignal.abort('too late');
    await expect(partsOf(modelAt(upstream.url), ask(), aborted)).rejects.toBe('too late');
    expect(upstream.asked).toHaveLength(0);
  });

  test('an abort ends the wait for the next try', async () => {
    const abort = new AbortController();
    upstream = await startUpstream((response) => {
      response.on('finish', () => setImmediate(() => abort.abort('enough')));
      response.writeHead(429, { 'retry-after': '20' }).end();
    });
    await expect(partsOf(modelAt(upstream.url, { retries: 2 }), ask(), abort.signal)).rejects.toBe('enough');
  });

  test('is used again for the next turn, even if the end of the body comes late', async () => {
    let end = () => {};
    upstream = await startUpstream((response) => {
      begin(response);
      response.write(HELLO);
      end = () => response.end();
    });
    const model = modelAt(upstream.url);
    const turn = async () => {
      await partsOf(model);
      end();
    };
    await turn();
    await vi.waitFor(async () => {
      await turn();
      expect(upstream.asked.at(-1)?.socket).toBe(upstream.asked.at(-2)?.socket);
    });
  });

  test('is given up when the upstream never sends a head', async () => {
    upstream = await startUpstream(() => {});
    const { code, message } = await failureOf(modelAt(upstream.url, { idleMs: 100, retries: 2 }));
    expect([code, message]).toEqual([
      'server_error',
      expect.stringContaining("'test' sent nothing for 0.1 s"),
    ]);
    expect(upstream.asked).toHaveLength(1);
  });

  test('is given up and closed when the upstream falls silent in the middle', async () => {
    const closed = Promise.withResolvers<void>();
    upstream = await startUpstream((response) => {
      response.on('close', closed.resolve);
      begin(response);
      response.write(chunk({ content: 'a' }));
    });
    const { parts, message } = await failureOf(modelAt(upstream.url, { idleMs: IDLE_MS }));
    expect(parts).toEqual([{ type: 'text', text: 'a' }]);
    expect(message).toContain('sent nothing');
    await closed.promise;
  });

  test('keep-alive comments keep it open', async () => {
    upstream = await startUpstream(async (response) => {
      begin(response);
      for (let count = 0; count < 10; count += 1) {
        response.write(': still thinking\n\n');
        await new Promise((resolve) => setTimeout(resolve, IDLE_MS / 8));
      }
      response.end(HELLO);
    });
    expect(await partsOf(modelAt(upstream.url, { idleMs: IDLE_MS }))).toEqual(HELLO_PARTS);
  });

  test('a reader who takes long is no silence of the upstream', async () => {
    const more = Promise.withResolvers<void>();
    upstream = await startUpstream(async (response) => {
      begin(response);
      response.write(chunk({ content: 'a' }));
      await more.promise;
      response.end(STOP + DONE);
    });
    const stream = modelAt(upstream.url, { idleMs: IDLE_MS }).stream(ask(), new AbortController().signal);
    await stream.next();
    await once(AbortSignal.timeout(IDLE_MS + 500), 'abort');
    const last = stream.next();
    more.resolve();
    expect(await last).toMatchObject({ value: { type: 'finish' } });
    await stream.return();
  });

  test('a process that stood still reads what came meanwhile before it blames the upstream', async () => {
    upstream = await startUpstream((response) => {
      begin(response);
      response.write(chunk({ content: 'a' }), () => {
        // As when the machine sleeps: the answer has left, and the reader's time is over when it wakes.
        response.end(STOP + DONE);
        const wakesMs = performance.now() + IDLE_MS + 500;
        while (performance.now() < wakesMs);
      });
    });
    expect(await partsOf(modelAt(upstream.url, { idleMs: IDLE_MS }))).toHaveLength(2);
  });

  test.each([
    ['stays open', () => {}],
    [
      'breaks',
      (response: ServerResponse) => {
        response.destroy();
      },
    ],
  ])('an answer that said its finish reason is complete, even if the connection %s', async (_, then) => {
    upstream = await startUpstream((response) => {
      begin(response);
      response.write(chunk({ content: 'Hello' }) + STOP, () => then(response));
    });
    expect(await partsOf(modelAt(upstream.url, { idleMs: IDLE_MS }))).toEqual(HELLO_PARTS);
  });
});
