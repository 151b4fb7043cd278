/** Every way we know to write, hide or rename an address that a request must not reach. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import { ToolError } from '../../src/runs/tool.ts';
import { errorOf, guardWith, hasIpv6, refusalOf, serve } from './servers.ts';

const LOOPBACKS = hasIpv6 ? ['127.0.0.1', '::1'] : ['127.0.0.1'];

let port = 0;
let connections = 0;
const servers: Server[] = [];

/** One port on both loopbacks, so that whatever gets through is counted. */
beforeAll(async () => {
  for (const host of LOOPBACKS) await count(host);
});
afterAll(() => servers.forEach((server) => server.close()));

/** Those that reach the server when nobody guards it. */
const LOOPBACK = [
  'http://127.0.0.1:PORT/',
  'http://127.1:PORT/',
  'http://127.0.1:PORT/',
  'http://2130706433:PORT/',
  'http://0x7f000001:PORT/',
  'http://0x7F.0x0.0x0.0x1:PORT/',
  'http://017700000001:PORT/',
  'http://0177.0.0.01:PORT/',
  'http://0x7f.0.1:PORT/',
  'http://0177.0x0.1:PORT/',
  'http://127.0.0.1.:PORT/',
  'http://0:PORT/',
  'http://0.0.0.0:PORT/',
  'http://[::1]:PORT/',
  'http://[0:0:0:0:0:0:0:1]:PORT/',
  'http://[::]:PORT/',
  'http://[::ffff:127.0.0.1]:PORT/',
  'http://[::ffff:7f00:1]:PORT/',
  'http://[0:0:0:0:0:ffff:7f00:0001]:PORT/',
  'http://①②⑦.⓪.⓪.①:PORT/',
  'http://１２７．０．０．１:PORT/',
  'http://127。0。0。1:PORT/',
  'http://%31%32%37.0.0.1:PORT/',
  'http://127.0.0.1\u00AD:PORT/',
  'http://127.0.\t0.1:PORT/',
  'http:\\\\127.0.0.1:PORT\\',
  'http:///127.0.0.1:PORT/',
  'http:127.0.0.1:PORT',
  'http://localhost:PORT/',
  'http://LOCALHOST:PORT/',
  'http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:PORT/',
];

describe('loopback', () => {
  const isWithin = (url: string): boolean => hasIpv6 || !/\[(::|::1|0:0:0:0:0:0:0:1)\]/.test(url);
  test.each(LOOPBACK.filter(isWithin))('written %j is there to be reached', async (url) => {
    const answer = await fetch(here(url));
    expect(await answer.text()).toBe('secret');
  });

  test.each(LOOPBACK)('written %j is refused', async (url) => {
    const before = connections;
    const guard = guardWith({ resolve: undefined });
    expect(await refusalOf(guard.fetch(here(url)))).toMatch(/private address/);
    expect(connections).toBe(before);
  });

  test.each(['http://localhost.:PORT/', 'http://a.localhost:PORT/', 'http://localhost.localdomain:PORT/'])(
    'by the name in %s is never reached, whether the system knows it or not',
    async (url) => {
      const before = connections;
      expect(await errorOf(guardWith({ resolve: undefined }).fetch(here(url)))).toBeInstanceOf(ToolError);
      expect(connections).toBe(before);
    },
  );
});

const ELSEWHERE = [
  'http://127.255.255.254:PORT/',
  'http://[::127.0.0.1]:PORT/',
  'http://[64:ff9b::7f00:1]:PORT/',
  'http://[64:ff9b:1::7f00:1]:PORT/',
  'http://[2002:7f00:1::]:PORT/',
  'http://[2001:0:7f00:1::1]/',
  'http://[::ffff:0:127.0.0.1]:PORT/',
  'http://169.254.169.254/latest/meta-data/',
  'http://2852039166/',
  'http://0xA9FEA9FE/',
  'http://0251.0376.0251.0376/',
  'http://169.254.43518/',
  'http://[::ffff:169.254.169.254]/',
  'http://[::ffff:a9fe:a9fe]/',
  'http://169.254.170.2/v2/credentials',
  'http://100.100.100.200/',
  'http://168.63.129.16/',
  'http://192.0.0.192/',
  'http://[fd00:ec2::254]/',
  'http://[fd20:ce::254]/',
  'http://10.0.0.1/',
  'http://10.255.255.255/',
  'http://172.16.0.1/',
  'http://172.31.255.255/',
  'http://192.168.0.1/',
  'http://100.64.0.1/',
  'http://198.18.0.1/',
  'http://192.0.2.1/',
  'http://224.0.0.1/',
  'http://239.255.255.250/',
  'http://240.0.0.1/',
  'http://255.255.255.255/',
  'http://[fe80::1]/',
  'http://[fec0::1]/',
  'http://[fc00::1]/',
  'http://[fd12:3456::1]/',
  'http://[ff02::1]/',
  'http://[2001:db8::1]/',
  'https://10.0.0.1/',
  'https://[::1]:PORT/',
];

test.each(ELSEWHERE)('%s is refused', async (url) => {
  const before = connections;
  expect(await refusalOf(guardWith().fetch(here(url)))).toMatch(/private address/);
  expect(connections).toBe(before);
});

describe('a name', () => {
  test.each([
    ['127.0.0.1'],
    ['0.0.0.0'],
    ['::1'],
    ['::ffff:127.0.0.1'],
    ['::ffff:7f00:1'],
    ['::127.0.0.1'],
    ['64:ff9b::7f00:1'],
    ['169.254.169.254'],
    ['10.0.0.1', '192.168.0.1', 'fd00::1'],
    ['fe80::1%lo'],
    ['no address'],
    [],
  ])('that resolves to %s is refused, without saying where it led', async (...addresses) => {
    const before = connections;
    const guard = guardWith({}, { 'innocent.example': addresses });
    const message = await refusalOf(guard.fetch(here('http://innocent.example:PORT/')));
    expect(message).toBe(
      'The request to innocent.example was refused: it leads to a private address, which the operator has not allowed.',
    );
    expect(connections).toBe(before);
  });

  test.each(['metadata.google.internal', 'metadata', 'instance-data.ec2.internal'])(
    'of a metadata service is refused: %s',
    async (name) => {
      const guard = guardWith({}, { [name]: ['169.254.169.254'] });
      expect(await refusalOf(guard.fetch(`http://${name}/`))).toMatch(/private address/);
    },
  );

  test('with good and bad addresses is used only by the good ones', async () => {
    const good = await serve((_request, response) => response.end('good'));
    const bad = await serve((_request, response) => response.end('bad'), '127.0.0.2', good.port);
    const names = { 'mixed.example': ['127.0.0.2', '::1', '127.0.0.1', '10.0.0.1'] };
    const guard = guardWith({ allow: [`127.0.0.1:${good.port}`] }, names);
    const answer = await guard.fetch(`http://mixed.example:${good.port}/`);
    expect(await answer.text()).toBe('good');
    expect(bad.connections()).toBe(0);
  });

  test('that changes its address between two requests is refused at the second', async () => {
    const good = await serve((_request, response) => {
      response.setHeader('connection', 'close').end('good');
    });
    const bad = await serve((_request, response) => response.end('bad'), '127.0.0.2', good.port);
    const answers = ['127.0.0.1', '127.0.0.2'];
    const resolve = async () => answers.splice(0, 1);
    const guard = guardWith({ allow: [`127.0.0.1:${good.port}`], resolve });
    const url = `http://rebinding.example:${good.port}/`;
    expect(await (await guard.fetch(url)).text()).toBe('good');
    expect(await refusalOf(guard.fetch(url))).toMatch(/private address/);
    expect(bad.connections()).toBe(0);
  });

  test('is asked for once per connection', async () => {
    const good = await serve((_request, response) => response.end('good'));
    let lookups = 0;
    const resolve = async () => {
      lookups += 1;
      return ['127.0.0.1'];
    };
    const guard = guardWith({ allow: [`127.0.0.1:${good.port}`], resolve });
    for (let count = 0; count < 20; count += 1) {
      const answer = await guard.fetch(`http://kept.example:${good.port}/`);
      expect(await answer.text()).toBe('good');
    }
    expect(lookups).toBe(good.connections());
    // Kept connections stay where they are, so that they need no answer.
    expect(lookups).toBeLessThan(20);
  });
});

test('a connection that ends somewhere else than it was aimed at is given up', async () => {
  let asked = 0;
  const server = await serve((_request, response) => response.end(String((asked += 1))));
  // The system takes 0.0.0.0 for the loopback, which is not what was allowed.
  const guard = guardWith({ allow: [`0.0.0.0:${server.port}`] });
  expect(await refusalOf(guard.fetch(`http://0.0.0.0:${server.port}/`))).toMatch(/private address/);
  expect(asked).toBe(0);
});

test.each([
  ['file:///etc/passwd', "not 'file:'"],
  ['ftp://127.0.0.1:PORT/', "not 'ftp:'"],
  ['data:text/plain,hello', "not 'data:'"],
  ['blob:nodedata:1234', "not 'blob:'"],
  ['gopher://127.0.0.1:PORT/_GET', "not 'gopher:'"],
  ['ws://127.0.0.1:PORT/', "not 'ws:'"],
  ['javascript:alert(1)', "not 'javascript:'"],
  ['about:blank', "not 'about:'"],
  ['dict://127.0.0.1:PORT/', "not 'dict:'"],
  ['localhost:PORT', "not 'localhost:'"],
  ['http://good.example@127.0.0.1:PORT/', 'user name or a password'],
  ['http://good.example:80@127.0.0.1:PORT/', 'user name or a password'],
  ['http://:secret@127.0.0.1:PORT/', 'user name or a password'],
  ['http://user@good.example/', 'user name or a password'],
  ['//127.0.0.1:PORT/', 'not a URL'],
  ['/path', 'not a URL'],
  ['', 'not a URL'],
  ['http://', 'not a URL'],
  ['http://[fe80::1%25lo]:PORT/', 'not a URL'],
  ['http://256.0.0.1/', 'not a URL'],
  ['http://1.2.3.4.5/', 'not a URL'],
  ['http://[bad]/?key=secret', /^This is not a URL\. Write it in full, for example \S+$/],
  [`${'a'.repeat(1_000)}://`, `'${'a'.repeat(100)}…'`],
])('%s is refused, even when everything is allowed', async (url, why) => {
  const before = connections;
  const guard = guardWith({ allow: ['0.0.0.0/0', '::/0', 'good.example', 'localhost'] });
  expect(await refusalOf(guard.fetch(here(url)))).toMatch(why);
  expect(connections).toBe(before);
});

test.each([21, 22, 23, 25, 110, 1, 6000, 6379, 5432, 8080, 11211, 27017, 65535])(
  'port %i of a public address is refused',
  async (blocked) => {
    const guard = guardWith({}, { 'public.example': ['93.184.216.34'] });
    expect(await refusalOf(guard.fetch(`http://93.184.216.34:${blocked}/`))).toMatch(/ports? /);
    expect(await refusalOf(guard.fetch(`https://public.example:${blocked}/`))).toMatch(/ports? /);
  },
);

function here(url: string): string {
  return url.replace('PORT', String(port));
}

async function count(host: string): Promise<void> {
  const server = createServer((_request, response) => response.end('secret'));
  server.on('connection', () => (connections += 1));
  server.listen(port, host);
  await once(server, 'listening');
  const address = server.address();
  if (address !== null && typeof address === 'object') port = address.port;
  servers.push(server);
}
