/** A WebSocket's life: how long it may last, and how a client is noticed that has gone without a word. */
import { once } from 'node:events';
import express from 'express';
import { pino } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { toHandler } from '../../src/api/http/endpoint.ts';
import { HeldBytes } from '../../src/api/http/held.ts';
import type { MessageSocket, SocketServer } from '../../src/api/http/message-socket.ts';
import { createApiServer } from '../../src/api/http/server.ts';
import { Sockets } from '../../src/api/http/web-socket.ts';
import { newId } from '../../src/runs/ids.ts';

const MIB = 1024 * 1024;
const log = pino({ level: 'silent' });

/** A server whose only endpoint makes WebSockets. @returns its address */
async function serving(
  serve: (socket: MessageSocket) => Partial<SocketServer>,
  times: { readonly heartbeatMs?: number; readonly lifeMs?: number },
): Promise<string> {
  const answers = new HeldBytes(MIB);
  const heartbeatMs = 60_000;
  const limits = { messageLimitBytes: MIB, messagesLimitBytes: MIB, answers, heartbeatMs };
  const sockets = new Sockets({ ...limits, ...times });
  const nothing: SocketServer = { hear: () => {}, refuse: () => {}, retire: () => {}, cut: () => {} };
  const app = express();
  const handle = () =>
    ({ type: 'socket', serve: (socket: MessageSocket) => ({ ...nothing, ...serve(socket) }) }) as const;
  const options = { log, strictParameters: false, heartbeatMs, answers, sockets };
  app.get('/', toHandler({ method: 'GET', path: '/', handle }, options));
  const server = createApiServer(app, { log, newId, bodyLimitBytes: MIB, maxStreams: 10 });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    sockets.close();
    server.close();
  });
  const address = server.address();
  return `ws://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
}

test('a connection is to end when it has been open for as long as it may', async () => {
  const retired = Promise.withResolvers<string>();
  const url = await serving(() => ({ retire: retired.resolve }), { lifeMs: 10 });
  const client = new WebSocket(url);
  expect(await retired.promise).toBe('time');
  client.terminate();
});

test('a client that answers no ping is given up', async () => {
  const url = await serving(() => ({}), { heartbeatMs: 10 });
  const client = new WebSocket(url, { autoPong: false });
  await once(client, 'ping');
  expect(await once(client, 'close')).toContain(1006);
});

test('a client that answers pings stays', async () => {
  const heard = Promise.withResolvers<string>();
  const url = await serving(() => ({ hear: heard.resolve }), { heartbeatMs: 20 });
  const client = new WebSocket(url);
  for (let pings = 0; pings < 6; pings++) await once(client, 'ping');
  client.send('still here');
  expect(await heard.promise).toBe('still here');
  client.terminate();
});
