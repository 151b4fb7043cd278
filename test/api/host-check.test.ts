/** Which names a server answers to, over real connections: what is listed, where it listens, and every spelling of a name. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import express from 'express';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkHost } from '../../src/api/http/host-check.ts';
import { readConfig } from '../../src/config.ts';
import { ApiError } from '../../src/errors.ts';
import { ask, exchange } from '../support/raw.ts';

/** The lists of the tests, by the path where each holds. */
const LISTS = ['', 'longrun.example', '*.tunnel.example', '192.168.1.5,fd00::5', '*'] as const;

const server = createServer({ requireHostHeader: false }, app());
let url = '';

beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('the server has no address');
  url = `http://127.0.0.1:${address.port}`;
});
afterAll(() => server.close());

function app(): express.Express {
  const app = express();
  for (const [index, list] of LISTS.entries())
    for (const loopbackOnly of [true, false]) {
      const { allowedHosts } = readConfig({ ALLOWED_HOSTS: list }, '');
      app.use(
        `/${index}/${loopbackOnly}`,
        checkHost({ allowedHosts, loopbackOnly }, () => {}),
      );
    }
  app.use((_request, response) => void response.send('come in'));
  const onError: express.ErrorRequestHandler = (error, _request, response, _next) => {
    if (error instanceof ApiError) response.status(error.status).send(error.message);
    else response.status(500).send(String(error));
  };
  app.use(onError);
  return app;
}

async function answer(host: string, list: (typeof LISTS)[number], loopbackOnly = true): Promise<number> {
  const path = `/${LISTS.indexOf(list)}/${loopbackOnly}/`;
  return (await ask(url, 'GET', path, { headers: { host } })).status;
}

describe('on a loopback address', () => {
  test.each([
    'localhost',
    'LOCALHOST:80',
    'localhost.',
    'a.localhost:1',
    '127.0.0.1',
    '127.8.8.8:9',
    '[::1]',
    '[::1]:8080',
  ])('%s needs no entry', async (host) => {
    for (const list of LISTS) expect(await answer(host, list)).toBe(200);
  });

  test.each([
    'evil.example',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '0.0.0.0',
    '10.0.0.1',
    '[::2]',
    'notlocalhost',
  ])('%s needs one', async (host) => {
    expect(await answer(host, '')).toBe(403);
    expect(await answer(host, 'longrun.example')).toBe(403);
    expect(await answer(host, '*')).toBe(200);
  });

  test.each([
    'a b',
    'localhost@evil.example',
    'localhost,evil.example',
    'localhost/evil',
    '::1',
    '[::1',
    'localhost:port',
  ])('‘%s’ is no name', async (host) => expect(await answer(host, '')).toBe(400));

  test.each([
    ['longrun.example', 'longrun.example', 200],
    ['Longrun.Example.:443', 'longrun.example', 200],
    ['a.longrun.example', 'longrun.example', 403],
    ['a.tunnel.example', '*.tunnel.example', 200],
    ['a.b.tunnel.example', '*.tunnel.example', 200],
    ['tunnel.example', '*.tunnel.example', 403],
    ['eviltunnel.example', '*.tunnel.example', 403],
    ['192.168.1.5:8080', '192.168.1.5,fd00::5', 200],
    ['[FD00::5]:8080', '192.168.1.5,fd00::5', 200],
    ['192.168.1.6', '192.168.1.5,fd00::5', 403],
  ] as const)('%s, where %s is listed: %i', async (host, list, status) => {
    expect(await answer(host, list)).toBe(status);
  });
});

describe('on another address', () => {
  test('every name is taken until some are listed', async () => {
    expect(await answer('any.example', '', false)).toBe(200);
    expect(await answer('any.example', 'longrun.example', false)).toBe(403);
    expect(await answer('longrun.example', 'longrun.example', false)).toBe(200);
    expect(await answer('localhost', 'longrun.example', false)).toBe(200);
  });

  test('probes come by any name, and bare addresses need no entry', async () => {
    const probe = `/${LISTS.indexOf('longrun.example')}/false/health`;
    expect((await ask(url, 'GET', probe, { headers: { host: 'api:8080' } })).status).toBe(200);
    expect(await answer('api:8080', 'longrun.example', false)).toBe(403);
    expect(await answer('10.0.0.7:8080', 'longrun.example', false)).toBe(200);
    expect(await answer('[fd00::7]:8080', 'longrun.example', false)).toBe(200);
  });
});

describe('a request line', () => {
  const send = async (target: string, ...headers: readonly string[]): Promise<string> => {
    const lines = [`GET ${target} HTTP/1.1`, ...headers, 'Connection: close', '', ''];
    return (await exchange(url, lines.join('\r\n'))).split(' ')[1] ?? '';
  };

  test('with a name of its own is held to it, too', async () => {
    expect(await send('http://evil.example/0/true/', 'Host: localhost')).toBe('403');
    expect(await send('http://localhost/0/true/', 'Host: evil.example')).toBe('403');
    expect(await send('http://a@localhost/0/true/', 'Host: localhost')).toBe('400');
    expect(await send('http://localhost/0/true/', 'Host: localhost')).toBe('200');
  });

  test('needs one Host, and X-Forwarded-Host is none', async () => {
    expect(await send('/0/true/')).toBe('400');
    expect(await send('/0/true/', 'Host:')).toBe('400');
    expect(await send('/0/true/', 'Host: localhost', 'Host: evil.example')).toBe('400');
    expect(await send('/0/true/', 'Host: evil.example', 'X-Forwarded-Host: localhost')).toBe('403');
    expect(await exchange(url, 'GET /0/true/ HTTP/1.0\r\n\r\n')).toContain('come in');
  });
});
