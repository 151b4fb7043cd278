/** Servers that count who comes, on real sockets, and the guards that are tried on them. */
import { createServer, type RequestListener, type Server as HttpServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { once } from 'node:events';
import type { AddressInfo, Server, Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { expect, onTestFinished } from 'vitest';
import { createGuard, type Guard, type GuardOptions } from '../../src/guard/fetch.ts';
import { RefusedRequest } from '../../src/guard/refusal.ts';
import { CERTIFICATE, KEY } from './certificate.ts';

/** Containers may have no IPv6. */
export const hasIpv6 = Object.values(networkInterfaces())
  .flat()
  .some((one) => one?.address === '::1');

export interface TestServer {
  readonly port: number;
  /** How many connections it was asked for, requests or not. */
  readonly connections: () => number;
  /** Once the first connection has ended, whoever ended it. */
  readonly disconnected: Promise<void>;
}

/** Ends with the test. */
export async function serve(listener: RequestListener, host = '127.0.0.1', port = 0): Promise<TestServer> {
  return listen(createServer(listener), host, port);
}

/** With the certificate of secure.example. */
export async function serveTls(listener: RequestListener): Promise<TestServer> {
  return listen(createTlsServer({ key: KEY, cert: CERTIFICATE }, listener), '127.0.0.1', 0);
}

/** Any server at all; ends with the test. */
export async function listen(server: Server | HttpServer, host: string, port: number): Promise<TestServer> {
  const sockets: Socket[] = [];
  const disconnected = Promise.withResolvers<void>();
  server.on('connection', (socket: Socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.on('close', () => disconnected.resolve());
  });
  server.listen(port, host);
  await once(server, 'listening');
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  });
  return {
    port: portOf(server.address()),
    connections: () => sockets.length,
    disconnected: disconnected.promise,
  };
}

/** Ends with the test. Names resolve as `names` says, and to nothing otherwise. */
export function guardWith(
  options: Partial<GuardOptions> = {},
  names: Readonly<Record<string, readonly string[]>> = {},
): Guard {
  const resolve: GuardOptions['resolve'] = async (name) => {
    const addresses = names[name];
    if (addresses === undefined) throw Object.assign(new Error(`ENOTFOUND ${name}`), { code: 'ENOTFOUND' });
    return addresses;
  };
  const guard = createGuard({ allow: [], resolve, ...options });
  onTestFinished(() => guard.close());
  return guard;
}

/** What the guard says when it refuses; fails when it does not. */
export async function refusalOf(asked: Promise<Response>): Promise<string> {
  const error = await errorOf(asked);
  expect(error).toBeInstanceOf(RefusedRequest);
  return error.message;
}

/** The error that something rejects with; fails when it does not. */
export async function errorOf(asked: Promise<unknown>): Promise<Error> {
  const outcome = await asked.then(
    () => null,
    (error: unknown) => error,
  );
  if (outcome instanceof Error) return outcome;
  throw new Error(`no error, but ${String(outcome)}`);
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
