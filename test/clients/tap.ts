/**
 * A proxy between a client's script and the service that listens to `POST …/pluginapi`: the only place where one can see what a
 * script made of a tool call's arguments. Passes everything on as it is, streams included.
 */
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';

export interface PluginCall {
  /** `tid`, `aid` and `pid`, as the client gave them. */
  readonly query: Readonly<Record<string, string>>;
  /** The request's body, untouched. */
  readonly body: string;
  /** The answer's body, untouched. */
  readonly answer: string;
}

export class Tap {
  readonly calls: PluginCall[] = [];
  readonly #target: string;
  readonly #server = createServer((incoming, response) => void this.#pass(incoming, response));

  constructor(target: string) {
    this.#target = target;
  }

  /** A tap before the service at `target` (its origin). */
  static async start(target: string): Promise<Tap> {
    const tap = new Tap(target);
    await new Promise<void>((resolve) => tap.#server.listen(0, '127.0.0.1', resolve));
    return tap;
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the tap is closed');
    return `http://127.0.0.1:${address.port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #pass(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method, headers } = incoming;
    const url = new URL(incoming.url ?? '/', this.#target);
    const body = await buffer(incoming);
    const outgoing = request(url, { ...(method !== undefined && { method }), headers });
    response.once('close', () => outgoing.destroy());
    outgoing.once('error', () => response.destroy());
    outgoing.once('response', (answer) => void this.#answer(url, body, answer, response));
    outgoing.end(body);
  }

  async #answer(url: URL, body: Buffer, answer: IncomingMessage, response: ServerResponse): Promise<void> {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    if (!url.pathname.endsWith('/pluginapi')) return pipeline(answer, response).catch(() => {});
    const said = await buffer(answer);
    this.calls.push({
      query: Object.fromEntries(url.searchParams),
      body: body.toString(),
      answer: said.toString(),
    });
    response.end(said);
  }
}
