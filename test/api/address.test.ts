/** Which address a request counts as, with and without proxies in front; over real connections. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import express from 'express';
import { expect, onTestFinished, test } from 'vitest';
import { addressOf } from '../../src/api/http/address.ts';
import { readConfig } from '../../src/config.ts';

/** What a server with this TRUST_PROXY takes the sender of these headers for. */
async function taken(trustProxy: string, forwarded: string): Promise<string> {
  const app = express();
  app.set('trust proxy', readConfig({ TRUST_PROXY: trustProxy }, '').trustProxy);
  app.use((request, response) => void response.send(addressOf(request)));
  const server = createServer(app).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  const headers = forwarded === '' ? {} : { 'x-forwarded-for': forwarded };
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return (await fetch(`http://127.0.0.1:${port}`, { headers })).text();
}

test.each([
  // Without a proxy, a header that anybody can write counts for nothing.
  ['', '', '127.0.0.1'],
  ['', '192.0.2.1', '127.0.0.1'],
  ['0', '192.0.2.1', '127.0.0.1'],
  ['10.0.0.0/8', '192.0.2.1', '127.0.0.1'],
  ['loopback', '', '127.0.0.1'],
  ['loopback', '192.0.2.1', '192.0.2.1'],
  ['127.0.0.1', '192.0.2.1', '192.0.2.1'],
  // What the client wrote stands before what its proxy added.
  ['1', '198.51.100.9, 192.0.2.1', '192.0.2.1'],
  ['loopback', '198.51.100.9, 192.0.2.1', '192.0.2.1'],
  ['2', '198.51.100.9, 192.0.2.1, 10.0.0.1', '192.0.2.1'],
  ['loopback, 10.0.0.0/8', '198.51.100.9, 192.0.2.1, 10.0.0.1', '192.0.2.1'],
  // One client, however it is spelled.
  ['1', '192.0.2.1:51234', '192.0.2.1'],
  ['1', '::ffff:192.0.2.1', '192.0.2.1'],
  ['1', '2001:DB8:0:0::1', '2001:db8::1'],
  ['1', '[2001:db8::1]:51234', '2001:db8::1'],
  ['1', 'unknown', 'unknown'],
])('behind TRUST_PROXY=%s, a request forwarded for %s comes from %s', async (trust, forwarded, address) => {
  expect(await taken(trust, forwarded)).toBe(address);
});
