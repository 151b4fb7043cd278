/**
 * What a web page of another site can do with an installation that nobody has configured: nothing. The headers are those
 * that browsers send; a page can leave out none of them and make up none.
 */
/* oxlint-disable vitest/expect-expect -- expectNothing asserts. */
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ask, type RawReply } from '../support/raw.ts';
import { startPrivateRedis, type RedisServer } from '../support/redis.ts';
import { startService, type Service } from '../support/service.ts';

const EVIL = 'https://evil.example';
const ASSISTANT = '{"model":"demo","tools":[{"type":"function","function":{"name":"fetch_page"}}]}';
const CHAT = '{"model":"demo","messages":[{"role":"user","content":"What is in our intranet?"}]}';
/** Every way in that makes something. */
const WAYS_IN = [
  ['/v1/assistants', ASSISTANT],
  ['/api/assts/v1/threads', '{}'],
  ['/openai/assistants', ASSISTANT],
  ['/openai/deployments/demo/chat/completions', CHAT],
  ['/api/projects/demo/threads', '{}'],
  ['/v1/chat/completions', CHAT],
  ['/chat/completions', CHAT],
  ['/custom_agent/chat', CHAT],
  ['/v1/pluginapi?tid=thread_x&pid=fetch_page', '{}'],
  ['/v1/routes/open/demo/execute', '{"query":"What is in our intranet?"}'],
] as const;

let redis: RedisServer;
let keys: Redis;
let service: Service;
let port = '';
let stored = 0;

beforeAll(async () => {
  redis = await startPrivateRedis();
  keys = new Redis(redis.url);
  service = await startService({ redisUrl: redis.url, workers: 0 });
  ({ port } = new URL(service.url));
  stored = await keys.dbsize();
});
afterAll(async () => {
  await service?.stop();
  await keys?.quit();
  await redis?.stop();
});

/** A request as a browser makes it for a page. */
async function asPage(
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  body = '',
): Promise<RawReply> {
  return ask(service.url, method, path, { headers, body });
}

async function expectNothing(reply: RawReply, because: RegExp): Promise<void> {
  // The agent API knows no 403.
  expect(reply.status).toBe(reply.text.includes('AIAE.') ? 400 : 403);
  expect(reply.text).toMatch(because);
  expect(Object.keys(reply.headers).filter((name) => name.startsWith('access-control-allow'))).toEqual([]);
  expect(await keys.dbsize()).toBe(stored);
}

const FOREIGN_PAGE = /^.*(Pages of|A page of another origin) .*CORS_ORIGINS/;
const FOREIGN_NAME = /does not answer to the name 'evil\.example'.*ALLOWED_HOSTS=evil\.example/;
const CROSS = { origin: EVIL, 'sec-fetch-site': 'cross-site' };
const FETCH = { 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'empty' };
const FORM = { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };

describe.each(WAYS_IN)('POST %s', (path, body) => {
  test.each([
    ['text, which asks for no leave', { ...CROSS, ...FETCH, 'content-type': 'text/plain;charset=UTF-8' }],
    ['a form', { ...CROSS, ...FORM, 'content-type': 'application/x-www-form-urlencoded' }],
    ['a file', { ...CROSS, ...FORM, 'content-type': 'multipart/form-data; boundary=x' }],
    ['nothing about itself', { ...CROSS, ...FETCH, origin: 'null', 'content-type': 'text/plain' }],
    ['JSON', { ...CROSS, 'sec-fetch-mode': 'cors', 'content-type': 'application/json' }],
    ['what an old browser sends', { origin: EVIL, 'content-type': 'text/plain' }],
  ])('of a foreign page that sends %s does nothing', async (_what, headers) => {
    await expectNothing(await asPage('POST', path, headers, body), FOREIGN_PAGE);
  });

  test('is not granted to a foreign page that asks for leave', async () => {
    const asked = {
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'content-type',
    };
    const preflight = await asPage('OPTIONS', path, { ...CROSS, ...asked, 'sec-fetch-mode': 'cors' });
    await expectNothing(preflight, FOREIGN_PAGE);
  });

  test('of a page whose name was made to lead here does nothing', async () => {
    const host = `evil.example:${port}`;
    const headers = {
      host,
      origin: `http://${host}`,
      'sec-fetch-site': 'same-origin',
      'sec-fetch-mode': 'cors',
    };
    await expectNothing(await asPage('POST', path, headers, body), FOREIGN_NAME);
  });
});

describe('a foreign page', () => {
  test.each([
    'http://localhost:3000',
    'http://127.0.0.1:3000',
    'file://',
    'null',
    'chrome-extension://abcdef',
  ])('may be one of %s', async (origin) => {
    const headers = { origin, 'sec-fetch-site': 'same-site', 'content-type': 'text/plain' };
    await expectNothing(await asPage('POST', '/v1/threads', headers, '{}'), FOREIGN_PAGE);
  });

  test('reads no status either', async () => {
    for (const path of ['/', '/ready', '/metrics'])
      await expectNothing(await asPage('GET', path, CROSS), FOREIGN_PAGE);
  });

  test('opens no socket', async () => {
    const headers = {
      ...CROSS,
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
      'sec-websocket-version': '13',
      'sec-fetch-mode': 'websocket',
    };
    await expectNothing(await asPage('GET', '/v1/assistants', headers), FOREIGN_PAGE);
  });

  test.each(['image', 'script', 'iframe', 'document'])('loads nothing as %s', async (dest) => {
    for (const site of ['cross-site', 'same-site']) {
      const mode = dest === 'document' || dest === 'iframe' ? 'navigate' : 'no-cors';
      const headers = { 'sec-fetch-site': site, 'sec-fetch-mode': mode, 'sec-fetch-dest': dest };
      await expectNothing(await asPage('GET', '/v1/assistants', headers), FOREIGN_PAGE);
    }
  });

  test('with a name that was made to lead here reads nothing', async () => {
    for (const path of ['/', '/health', '/metrics', '/v1/assistants'])
      await expectNothing(await asPage('GET', path, { host: `evil.example:${port}` }), FOREIGN_NAME);
  });

  test('is told, and so is its developer, which setting lets it in', async () => {
    const origin = await asPage('POST', '/v1/threads', CROSS);
    expect(origin.text).toContain(`Pages of '${EVIL}' may not call this server.`);
    expect(origin.text).toContain('CORS_ORIGINS');
    const host = await asPage('POST', '/v1/threads', { host: 'a.tunnel.example' });
    expect(host.text).toContain("This server does not answer to the name 'a.tunnel.example'.");
    expect(host.text).toContain('ALLOWED_HOSTS');
  });
});

describe('without any setting', () => {
  beforeEach(async () => void (stored = await keys.dbsize()));

  test.each([
    ['a program', {}],
    ['a program that has another name for this machine', { host: 'LocalHost:1' }],
    ['a program of fetch()', { 'sec-fetch-mode': 'cors' }],
    ['a page of the same origin', { origin: 'http://HOST', 'sec-fetch-site': 'same-origin' }],
    ['an address typed by a person', { 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate' }],
  ])('%s goes on', async (_who, given) => {
    const headers = Object.fromEntries(
      Object.entries(given).map(([name, value]) => [name, value.replace('HOST', `127.0.0.1:${port}`)]),
    );
    const reply = await asPage('POST', '/v1/threads', headers, '{}');
    expect(reply.status).toBe(200);
    expect(await keys.dbsize()).toBeGreaterThan(stored);
  });

  test('links to what operators look at lead there', async () => {
    const headers = { 'sec-fetch-site': 'cross-site', ...FORM };
    for (const path of ['/', '/health', '/metrics'])
      expect((await asPage('GET', path, headers)).status).toBe(200);
  });
});
