import { createServer } from 'node:net';
import { gzipSync } from 'node:zlib';
import { Agent } from 'undici';
import { describe, expect, test } from 'vitest';
import { createGuard } from '../../src/guard/fetch.ts';
import { FailedRequest } from '../../src/guard/refusal.ts';
import { ToolError } from '../../src/runs/tool.ts';
import { errorOf, guardWith, listen, refusalOf, serve, serveTls } from './servers.ts';

const allow = ['127.0.0.1'];
const urlOf = ({ port }: { readonly port: number }): string => `http://127.0.0.1:${port}/`;

describe('an allowed host', () => {
  test('answers as with the global fetch', async () => {
    const server = await serve((request, response) => {
      response.writeHead(201, 'Made', { 'content-type': 'application/json', 'set-cookie': ['a=1', 'b=2'] });
      response.end(JSON.stringify({ method: request.method, url: request.url }));
    });
    const answer = await guardWith({ allow }).fetch(new URL('/path?q=1#part', urlOf(server)));
    expect(answer).toBeInstanceOf(Response);
    expect([answer.status, answer.statusText, answer.ok]).toEqual([201, 'Made', true]);
    expect([answer.url, answer.redirected]).toEqual([`${urlOf(server)}path?q=1`, false]);
    expect(answer.headers.getSetCookie()).toEqual(['a=1', 'b=2']);
    expect(await answer.json()).toEqual({ method: 'GET', url: '/path?q=1' });
  });

  test('is sent every kind of body', async () => {
    const server = await serve((request, response) => {
      response.setHeader('content-type', request.headers['content-type'] ?? 'none');
      request.pipe(response);
    });
    const guard = guardWith({ allow });
    const echo = (body: RequestInit['body']): Promise<Response> =>
      guard.fetch(urlOf(server), { method: 'post', body, duplex: 'half' });
    const form = new FormData();
    form.set('field', 'value');
    form.set('file', new Blob(['content']), 'name.txt');
    expect(await (await echo('text')).text()).toBe('text');
    expect(await (await echo(new Uint8Array([1, 2]))).arrayBuffer()).toEqual(new Uint8Array([1, 2]).buffer);
    expect(await (await echo(new URLSearchParams({ a: 'b' }))).text()).toBe('a=b');
    expect(await (await echo(new Blob(['blob']).stream())).text()).toBe('blob');
    const echoed = await (await echo(form)).formData();
    expect(echoed.get('field')).toBe('value');
  });

  test('streams piece by piece', async () => {
    const heard = Promise.withResolvers<void>();
    const server = await serve((_request, response) => {
      response.write('first');
      void heard.promise.then(() => response.end('second'));
    });
    const answer = await guardWith({ allow }).fetch(urlOf(server));
    const pieces: string[] = [];
    for await (const piece of answer.body ?? []) {
      pieces.push(Buffer.from(piece).toString());
      heard.resolve();
    }
    expect(pieces).toEqual(['first', 'second']);
  });

  test('may compress', async () => {
    const server = await serve((_request, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('small'));
    });
    expect(await (await guardWith({ allow }).fetch(urlOf(server))).text()).toBe('small');
  });

  test('may say nothing, and announce with HEAD what would be too much', async () => {
    const server = await serve((request, response) => {
      if (request.method === 'HEAD') response.setHeader('content-length', 1_000_000);
      response.statusCode = request.method === 'HEAD' ? 200 : 204;
      response.end();
    });
    const guard = guardWith({ allow, maxBytes: 10 });
    const empty = await guard.fetch(urlOf(server));
    expect([empty.status, empty.body, await empty.text()]).toEqual([204, null, '']);
    const head = await guard.fetch(urlOf(server), { method: 'HEAD' });
    expect(head.headers.get('content-length')).toBe('1000000');
  });

  test('is told its own name, whatever the caller says', async () => {
    const server = await serve((request, response) => response.end(request.headers.host));
    const answer = await guardWith({ allow }).fetch(urlOf(server), { headers: { host: 'admin.internal' } });
    expect(await answer.text()).toBe(`127.0.0.1:${server.port}`);
  });

  test('is not allowed on ports that the fetch standard blocks', async () => {
    expect(await refusalOf(guardWith({ allow }).fetch('http://127.0.0.1:6000/'))).toMatch(/blocks port 6000/);
  });
});

test('a dispatcher that a tool hands in is not used', async () => {
  const server = await serve((_request, response) => response.end('secret'));
  const dispatcher = new Agent();
  const init: object = { dispatcher };
  expect(await refusalOf(guardWith().fetch(urlOf(server), init))).toMatch(/private address/);
  expect(server.connections()).toBe(0);
  await dispatcher.close();
});

describe('an answer that is too big fails', () => {
  const pattern = /^127\.0\.0\.1 sent more than 1000 bytes\.$/;

  test('at once when its length is announced', async () => {
    const server = await serve((_request, response) => {
      response.writeHead(200, { 'content-length': 1_001 }).flushHeaders();
    });
    expect((await errorOf(guardWith({ allow, maxBytes: 1_000 }).fetch(urlOf(server)))).message).toMatch(
      pattern,
    );
    await server.disconnected;
  });

  test('at the limit, and one byte less is fine', async () => {
    const server = await serve((request, response) => {
      response.write('x'.repeat(500));
      response.end('x'.repeat(Number(request.url?.slice(1)) - 500));
    });
    const guard = guardWith({ allow, maxBytes: 1_000 });
    expect(await (await guard.fetch(`${urlOf(server)}1000`)).text()).toHaveLength(1_000);
    const answer = await guard.fetch(`${urlOf(server)}1001`);
    const error = await errorOf(answer.text());
    expect(error).toBeInstanceOf(FailedRequest);
    expect(error.message).toMatch(pattern);
  });

  test('when it never ends', async () => {
    const server = await serve((_request, response) => {
      const more = (): void => {
        while (response.write('x'.repeat(10_000)));
        response.once('drain', more);
      };
      more();
    });
    const answer = await guardWith({ allow, maxBytes: 1_000 }).fetch(urlOf(server));
    expect((await errorOf(answer.arrayBuffer())).message).toMatch(pattern);
    await server.disconnected;
  });

  test.each([['gzip'], ['gzip, gzip']])(
    'when it grows beyond the limit by decompression: %s',
    async (coding) => {
      const once = gzipSync(Buffer.alloc(10_000_000));
      const bomb = coding === 'gzip' ? once : gzipSync(once);
      const server = await serve((_request, response) => {
        response.writeHead(200, { 'content-encoding': coding, 'content-length': bomb.length }).end(bomb);
      });
      const answer = await guardWith({ allow, maxBytes: 1_000_000 }).fetch(urlOf(server));
      expect((await errorOf(answer.json())).message).toMatch(/sent more than 1000000 bytes/);
    },
  );

  test('for the request that says so, which cannot ask for more', async () => {
    const server = await serve((_request, response) => response.end('x'.repeat(2_000)));
    const guard = guardWith({ allow, maxBytes: 1_000 });
    for (const maxBytes of [5_000, Infinity, Number.NaN]) {
      expect((await errorOf(guard.fetch(urlOf(server), { maxBytes }))).message).toMatch(pattern);
    }
    expect((await errorOf(guard.fetch(urlOf(server), { maxBytes: 10 }))).message).toMatch(/than 10 bytes/);
  });
});

describe('an answer that takes too long fails', () => {
  const pattern = /^[\w.]+ did not finish its answer within 0\.3 s\.$/;

  test('when nothing comes', async () => {
    const silent = await listen(
      createServer((socket) => socket.resume()),
      '127.0.0.1',
      0,
    );
    const error = await errorOf(guardWith({ allow, timeoutMs: 300 }).fetch(urlOf(silent)));
    expect(error).toBeInstanceOf(FailedRequest);
    expect(error.message).toMatch(pattern);
    await silent.disconnected;
  });

  test('when it drips', async () => {
    const server = await serve((_request, response) => {
      const drip = setInterval(() => response.write('x'), 20);
      response.on('close', () => clearInterval(drip));
    });
    const answer = await guardWith({ allow, timeoutMs: 300 }).fetch(urlOf(server));
    expect((await errorOf(answer.text())).message).toMatch(pattern);
    await server.disconnected;
  });

  test('when nobody reads it', async () => {
    const server = await serve((_request, response) => response.write('x'));
    const answer = await guardWith({ allow, timeoutMs: 300 }).fetch(urlOf(server));
    await server.disconnected;
    expect((await errorOf(answer.text())).message).toMatch(pattern);
  });

  test('when its name is not found in time, or the request has no end', async () => {
    const never = new Promise<never>(() => {});
    const guard = guardWith({ allow, timeoutMs: 300, resolve: () => never });
    expect((await errorOf(guard.fetch('http://slow.example/'))).message).toMatch(pattern);
    const body = new ReadableStream<Uint8Array>({ pull: () => never });
    const endless = guard.fetch('http://127.0.0.1/', { method: 'POST', body, duplex: 'half' });
    expect((await errorOf(endless)).message).toMatch(pattern);
  });

  test('over redirects, as one exchange', async () => {
    const server = await serve((_request, response) => {
      setTimeout(() => response.writeHead(302, { location: '/' }).end(), 100);
    });
    const guard = guardWith({ allow, timeoutMs: 300, maxRedirects: 1_000 });
    expect((await errorOf(guard.fetch(urlOf(server)))).message).toMatch(pattern);
  });

  test('for the request that says so, which cannot ask for more', async () => {
    const silent = await listen(createServer(), '127.0.0.1', 0);
    const guard = guardWith({ allow, timeoutMs: 300 });
    expect((await errorOf(guard.fetch(urlOf(silent), { timeoutMs: 60_000 }))).message).toMatch(pattern);
    expect((await errorOf(guard.fetch(urlOf(silent), { timeoutMs: 100 }))).message).toMatch(/within 0\.1 s/);
  });
});

describe('a caller that gives up is heard', () => {
  const reason = new Error('given up');

  test('before the request', async () => {
    const server = await serve((_request, response) => response.end());
    const asked = guardWith({ allow }).fetch(urlOf(server), { signal: AbortSignal.abort(reason) });
    expect(await errorOf(asked)).toBe(reason);
    expect(server.connections()).toBe(0);
  });

  test('before the answer', async () => {
    const caller = new AbortController();
    const server = await serve(() => caller.abort(reason));
    const asked = guardWith({ allow }).fetch(urlOf(server), { signal: caller.signal });
    expect(await errorOf(asked)).toBe(reason);
    await server.disconnected;
  });

  test('within the answer, or by no longer reading it', async () => {
    const caller = new AbortController();
    const server = await serve((_request, response) => response.write('x'));
    const guard = guardWith({ allow });
    const answer = await guard.fetch(urlOf(server), { signal: caller.signal });
    const reading = errorOf(answer.text());
    caller.abort(reason);
    expect(await reading).toBe(reason);
    await server.disconnected;

    const another = await serve((_request, response) => response.write('x'));
    await (await guard.fetch(urlOf(another))).body?.cancel();
    await another.disconnected;
  });
});

describe('what the network does is said in one sentence, with its cause', () => {
  test.each([
    ['nobody listens', 'http://127.0.0.1:1025/', '127.0.0.1 could not be reached.'],
    ['there is no such name', 'http://nobody.example/', 'nobody.example could not be reached.'],
  ])('when %s', async (_what, url, message) => {
    const error = await errorOf(guardWith({ allow }).fetch(url));
    expect(error).toBeInstanceOf(FailedRequest);
    expect(error).toBeInstanceOf(ToolError);
    expect(error.message).toBe(message);
    expect(error.cause).toBeInstanceOf(Error);
  });

  test('when its certificate is not to be trusted', async () => {
    const server = await serveTls((_request, response) => response.end('secret'));
    const error = await errorOf(guardWith({ allow }).fetch(`https://127.0.0.1:${server.port}/`));
    expect(error.message).toBe('127.0.0.1 could not be reached.');
  });

  test.each([
    ['closes at once', ''],
    ['does not speak HTTP', 'SSH-2.0-OpenSSH_9.9\r\n'],
  ])('when a server %s', async (_what, bytes) => {
    const server = await listen(
      createServer((socket) => socket.end(bytes)),
      '127.0.0.1',
      0,
    );
    const error = await errorOf(guardWith({ allow }).fetch(urlOf(server)));
    expect(error.message).toBe('127.0.0.1 could not be reached.');
  });

  test('when a status is none', async () => {
    const server = await serve((_request, response) => response.writeHead(999).end());
    const error = await errorOf(guardWith({ allow }).fetch(urlOf(server)));
    expect(error.message).toBe('127.0.0.1 answered with status 999, which HTTP does not have.');
  });

  test.each([
    ['shorter than announced', 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort'],
    ['broken off between chunks', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nshort\r\n'],
    [
      'not what its encoding says',
      'HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 5\r\n\r\nshort',
    ],
  ])('when an answer is %s', async (_what, bytes) => {
    const server = await listen(
      createServer((socket) => socket.end(bytes)),
      '127.0.0.1',
      0,
    );
    const answer = await guardWith({ allow }).fetch(urlOf(server));
    const error = await errorOf(answer.text());
    expect(error).toBeInstanceOf(FailedRequest);
    expect(error.message).toBe('127.0.0.1 broke off in the middle of its answer.');
    expect(error.cause).toBeInstanceOf(Error);
  });

  test('when an answer is longer than announced, what was announced is read', async () => {
    const server = await listen(
      createServer((socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nshort and more')),
      '127.0.0.1',
      0,
    );
    expect(await (await guardWith({ allow }).fetch(urlOf(server))).text()).toBe('short');
  });
});

test('a closed guard ends what is under way, and lets nothing more out', async () => {
  const server = await serve((_request, response) => response.write('x'));
  const guard = createGuard({ allow });
  const answer = await guard.fetch(urlOf(server));
  const reading = errorOf(answer.text());
  await guard.close();
  expect((await reading).message).toMatch(/broke off/);
  expect((await errorOf(guard.fetch(urlOf(server)))).message).toMatch(/could not be reached/);
});

test('a guard is not made of entries that are none', () => {
  expect(() => createGuard({ allow: ['localhost', 'http://localhost/'] })).toThrow(/a URL, not a host/);
});
