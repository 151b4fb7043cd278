import { describe, expect, test } from 'vitest';
import type { IncomingHttpHeaders } from 'node:http';
import { setDefaultCACertificates } from 'node:tls';
import { CERTIFICATE } from './certificate.ts';
import { guardWith, refusalOf, serve, serveTls } from './servers.ts';

interface Seen {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Answers `/301/x` and the like with a redirect to what `to` says, and everything else with what it saw. */
async function redirector(to: () => string) {
  const seen: Seen[] = [];
  const server = await serve((request, response) => {
    void (async () => {
      let body = '';
      for await (const piece of request.setEncoding('utf8')) body += String(piece);
      seen.push({ method: request.method, url: request.url, headers: request.headers, body });
      const status = Number(request.url?.slice(1, 4));
      if (status >= 300) response.writeHead(status, { location: to() });
      response.end('done');
    })();
  });
  return { ...server, seen, origin: `http://127.0.0.1:${server.port}` };
}

const SECRETS = {
  authorization: 'Bearer secret',
  cookie: 'secret=1',
  'x-api-key': 'secret',
  'api-key': 'secret',
  'x-subscription-token': 'secret',
  referer: 'https://example/?key=secret',
};
const HARMLESS = { accept: 'text/plain', 'accept-language': 'de', 'user-agent': 'longrun-test' };

describe('a redirect', () => {
  test.each([301, 302, 303, 307, 308])(
    'with %i is followed, and the answer says where it is from',
    async (status) => {
      const server = await redirector(() => '/here?q=1#part');
      const guard = guardWith({ allow: ['127.0.0.1'] });
      const answer = await guard.fetch(`${server.origin}/${status}`);
      expect(await answer.text()).toBe('done');
      expect(answer.url).toBe(`${server.origin}/here?q=1`);
      expect(answer.redirected).toBe(true);
      expect(answer.status).toBe(200);
    },
  );

  test.each([
    [301, 'POST', 'GET', ''],
    [302, 'POST', 'GET', ''],
    [303, 'POST', 'GET', ''],
    [303, 'PUT', 'GET', ''],
    [301, 'PUT', 'PUT', 'body'],
    [302, 'DELETE', 'DELETE', 'body'],
    [307, 'POST', 'POST', 'body'],
    [308, 'PATCH', 'PATCH', 'body'],
  ])('with %i makes of %s a %s with the body "%s"', async (status, method, becomes, body) => {
    const server = await redirector(() => '/here');
    const guard = guardWith({ allow: ['127.0.0.1'] });
    const headers = { 'content-type': 'text/x' };
    await guard.fetch(`${server.origin}/${status}`, { method, headers, body: 'body' });
    expect(server.seen[1]).toMatchObject({ method: becomes, body });
    expect(server.seen[1]?.headers['content-type']).toBe(body === '' ? undefined : 'text/x');
  });

  test('with 303 leaves HEAD as it is', async () => {
    const server = await redirector(() => '/here');
    await guardWith({ allow: ['127.0.0.1'] }).fetch(`${server.origin}/303`, { method: 'HEAD' });
    expect(server.seen[1]?.method).toBe('HEAD');
  });

  test('keeps all headers within an origin', async () => {
    const server = await redirector(() => '/here');
    await guardWith({ allow: ['127.0.0.1'] }).fetch(`${server.origin}/302`, { headers: SECRETS });
    expect(server.seen[1]?.headers).toMatchObject(SECRETS);
  });

  test('to another origin takes only headers along that no key can be in, also when it leads back', async () => {
    const other = await redirector(() => `${server.origin}/home`);
    const server = await redirector(() => `${other.origin}/307`);
    const guard = guardWith({ allow: ['127.0.0.1'] });
    const headers = { ...SECRETS, ...HARMLESS };
    const answer = await guard.fetch(`${server.origin}/307`, { method: 'POST', headers, body: 'body' });
    expect(answer.url).toBe(`${server.origin}/home`);
    expect(server.seen[0]?.headers).toMatchObject(headers);
    for (const seen of [other.seen[0], server.seen[1]]) {
      expect(seen).toMatchObject({ method: 'POST', body: 'body', headers: HARMLESS });
      for (const name of Object.keys(SECRETS)) expect(seen?.headers).not.toHaveProperty(name);
    }
  });

  test('to nowhere, or with a status that is none, is the answer', async () => {
    const server = await serve((request, response) => {
      response.writeHead(request.url === '/300' ? 300 : 302).end('stay');
    });
    const guard = guardWith({ allow: ['127.0.0.1'] });
    const of = async (path: string) => (await guard.fetch(`http://127.0.0.1:${server.port}${path}`)).text();
    expect([await of('/300'), await of('/302')]).toEqual(['stay', 'stay']);
  });

  test('is an answer when the caller follows by hand, and a refusal when it wants none', async () => {
    const server = await redirector(() => '/here');
    const guard = guardWith({ allow: ['127.0.0.1'] });
    const answer = await guard.fetch(`${server.origin}/302`, { redirect: 'manual' });
    expect([answer.status, answer.headers.get('location'), answer.redirected]).toEqual([302, '/here', false]);
    expect(await refusalOf(guard.fetch(`${server.origin}/302`, { redirect: 'error' }))).toMatch(
      /redirected, which the request does not permit/,
    );
    expect(server.seen).toHaveLength(2);
  });

  test('may be written in UTF-8, and have a body that is left alone', async () => {
    const server = await serve((request, response) => {
      if (request.url !== '/') return response.end(request.url);
      const location = Buffer.from('/路?q=é', 'utf8').toString('latin1');
      response.writeHead(302, { location, 'content-encoding': 'gzip' });
      return response.end('not gzip at all');
    });
    const answer = await guardWith({ allow: ['127.0.0.1'] }).fetch(`http://127.0.0.1:${server.port}/`);
    expect(await answer.text()).toBe('/%E8%B7%AF?q=%C3%A9');
  });

  test('in a circle ends at the limit', async () => {
    const server = await redirector(() => '/302');
    const guard = guardWith({ allow: ['127.0.0.1'] });
    expect(await refusalOf(guard.fetch(`${server.origin}/302`))).toMatch(/redirected more than 3 times/);
    expect(server.seen).toHaveLength(4);
  });
});

describe('a redirect is refused', () => {
  test.each([
    ['http://127.0.0.1:PORT/', /private address/],
    ['http://2130706433:PORT/', /private address/],
    ['http://[::ffff:7f00:1]:PORT/', /private address/],
    ['//localhost:PORT/', /private address/],
    ['http://inside.example:PORT/', /private address/],
    ['http://169.254.169.254/', /private address/],
    ['http://[fd00:ec2::254]/', /private address/],
    ['http://93.184.216.34:6379/', /only ports 80 and 443/],
    ['file:///etc/passwd', /only http and https/i],
    ['ftp://127.0.0.1:PORT/', /only http and https/i],
    ['data:text/plain,x', /only http and https/i],
    ['gopher://127.0.0.1:PORT/', /only http and https/i],
    ['http://user:password@127.0.0.1:PORT/', /user name or a password/],
    ['http://[', /redirected to something that is not a URL/],
  ])('to %s', async (location, why) => {
    const target = await serve((_request, response) => response.end('secret'));
    const server = await redirector(() => location.replace('PORT', String(target.port)));
    const names = { 'inside.example': ['127.0.0.1'], localhost: ['127.0.0.1'] };
    const guard = guardWith({ allow: [`127.0.0.1:${server.port}`] }, names);
    expect(await refusalOf(guard.fetch(`${server.origin}/302`))).toMatch(why);
    expect(server.seen).toHaveLength(1);
    expect(target.connections()).toBe(0);
  });

  test('from https to http', async () => {
    setDefaultCACertificates([CERTIFICATE]);
    const plain = await serve((_request, response) => response.end('plain'));
    const secure = await serveTls((request, response) => {
      if (request.url === '/') response.end('secure');
      else response.writeHead(302, { location: `http://secure.example:${plain.port}/` }).end();
    });
    const guard = guardWith({ allow: ['secure.example'] }, { 'secure.example': ['127.0.0.1'] });
    const answer = await guard.fetch(`https://secure.example:${secure.port}/`);
    expect(await answer.text()).toBe('secure');
    expect(await refusalOf(guard.fetch(`https://secure.example:${secure.port}/down`))).toMatch(
      /redirected from https to http/,
    );
    expect(plain.connections()).toBe(0);
  });
});
