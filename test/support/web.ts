/** A web server on 127.0.0.1 that answers as a test says and records its requests. */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';

export interface WebRequest {
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** The server's answer: a status, a type and a body; with null it never answers. */
export interface WebAnswer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

export class FakeWeb {
  readonly #server = createServer((request, response) => void this.#take(request, response));
  readonly requests: WebRequest[] = [];
  answer: (path: string) => WebAnswer | null = () => ({ status: 404, body: 'nothing here' });
  url = '';

  static async start(): Promise<FakeWeb> {
    const web = new FakeWeb();
    web.#server.listen(0, '127.0.0.1');
    await once(web.#server, 'listening');
    const address = web.#server.address();
    if (typeof address !== 'object' || address === null) throw new Error('the server has no address');
    web.url = `http://127.0.0.1:${address.port}`;
    return web;
  }

  /** Also ends requests that it never answered. */
  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname: path, searchParams } = new URL(request.url ?? '/', this.url);
    const { method = '', headers } = request;
    this.requests.push({
      method,
      path,
      query: Object.fromEntries(searchParams),
      headers,
      body: await text(request),
    });
    const answer = this.answer(path);
    if (answer === null) return;
    response.writeHead(answer.status ?? 200, answer.headers);
    response.end(answer.body);
  }
}
