/** Sends requests byte by byte: with any header, including `Host` and `Origin`, with any target, or with no HTTP at all. */
import { once } from 'node:events';
import { request, type IncomingHttpHeaders } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';

export interface RawReply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** Sends one request over a connection of its own; fetch would not let a test set these headers. */
export async function ask(
  url: string,
  method: string,
  path: string,
  { headers = {}, body = '' }: { headers?: Readonly<Record<string, string>>; body?: string } = {},
): Promise<RawReply> {
  const { hostname, port } = new URL(url);
  const sent = request({ hostname, port, method, path, headers, agent: false });
  sent.end(body);
  const answered = Promise.withResolvers<RawReply>();
  sent.once('error', answered.reject);
  sent.once('response', (response) => {
    text(response).then(
      (text) => answered.resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
      answered.reject,
    );
  });
  return answered.promise;
}

/** Writes `bytes` to a new connection, and returns everything that comes until the server closes it. */
export async function exchange(url: string, bytes: string): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port) });
  await once(socket, 'connect');
  socket.write(bytes);
  return text(socket);
}
