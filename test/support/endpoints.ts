/**
 * The rest of a model server: every endpoint that is not a chat. It keeps what it was asked, reads forms with a parser of its
 * own, and answers as a test tells it. Bodies that a test reads itself are left to it.
 */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { onTestFinished } from 'vitest';

export interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** The body; empty where the test reads it. */
  readonly body: Buffer;
  /** The fields of a form, in order; a file as its name and its bytes. */
  readonly form: readonly (readonly [name: string, value: string | { name: string; bytes: Buffer }])[];
}

/** Answers a request by hand. With `raw`, its body has not been read. */
export interface Act {
  readonly raw?: boolean;
  readonly act: (response: ServerResponse, request: IncomingMessage, received: Received) => unknown;
}

export class OtherEndpoints {
  readonly received: Received[] = [];
  readonly #server = createServer((request, response) => void this.#answer(request, response));
  #act: Act = ECHO;
  #problems: unknown[] = [];

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  get baseUrl(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the server is stopped');
    return `http://127.0.0.1:${address.port}/v1`;
  }

  get last(): Received {
    const last = this.received.at(-1);
    if (last === undefined) throw new Error('nothing was asked');
    return last;
  }

  /** The JSON of the last body. */
  get lastJson(): unknown {
    const value: unknown = JSON.parse(this.last.body.toString());
    return value;
  }

  /** Until the test ends, requests are answered like this. */
  reply(act: Act['act'], raw = false): void {
    this.#act = { act, raw };
    onTestFinished(() => void (this.#act = ECHO));
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    if (this.#problems.length > 0)
      throw new AggregateError(this.#problems, 'the model server could not answer');
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const { act, raw = false } = this.#act;
      const { headers, url: path = '' } = request;
      const body = raw ? Buffer.alloc(0) : await buffer(request);
      const received = { path, headers, body, form: raw ? [] : await formIn(body, headers) };
      this.received.push(received);
      await act(response, request, received);
    } catch (error) {
      if (!response.destroyed) this.#problems.push(error);
      response.destroy();
    }
  }
}

async function formIn(body: Buffer, headers: IncomingHttpHeaders): Promise<Received['form']> {
  const type = headers['content-type'] ?? '';
  if (!type.startsWith('multipart/')) return [];
  const form = await new Response(new Uint8Array(body), { headers: { 'content-type': type } }).formData();
  return Promise.all(
    [...form].map(async ([name, value]) => {
      if (typeof value === 'string') return [name, value] as const;
      return [name, { name: value.name, bytes: Buffer.from(await value.arrayBuffer()) }] as const;
    }),
  );
}

export function sendJson(response: ServerResponse, status: number, value: unknown, headers = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(value));
}

/** Without other orders it tells the path, which is all that most tests need. */
const ECHO: Act = { act: (response, _request, { path }) => sendJson(response, 200, { path }) };
