/** A client of a WebSocket that remembers every message, and waits for those that a test wants. */
import { WebSocket } from 'ws';
import { z } from 'zod';

const messageSchema = z.looseObject({ type: z.string() });
const responseSchema = z.looseObject({ response: z.looseObject({ id: z.string() }) });

export type SocketMessage = z.infer<typeof messageSchema>;

const ENDS = new Set(['response.completed', 'response.incomplete', 'response.failed', 'error']);

export class SocketClient {
  readonly messages: SocketMessage[] = [];
  /** Resolves to the code with which the connection was closed. */
  readonly closed: Promise<number>;
  readonly #ws: WebSocket;
  #read = 0;
  #came = Promise.withResolvers<void>();

  private constructor(ws: WebSocket) {
    this.#ws = ws;
    ws.on('message', (data: Buffer) => {
      this.messages.push(messageSchema.parse(JSON.parse(data.toString('utf8'))));
      this.#came.resolve();
      this.#came = Promise.withResolvers();
    });
    this.closed = new Promise((resolve) => {
      ws.once('close', (code) => {
        resolve(code);
        this.#came.resolve();
      });
    });
    ws.on('error', () => {});
  }

  /** @throws what the server answered instead: its `status`, `headers` and `body`. */
  static async open(url: string, headers: Readonly<Record<string, string>> = {}): Promise<SocketClient> {
    const ws = new WebSocket(url.replace('http', 'ws'), { headers });
    return new Promise((resolve, reject) => {
      ws.once('open', () => resolve(new SocketClient(ws)));
      ws.once('error', reject);
      ws.once('unexpected-response', (_request, response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          const body: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
          // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- tests compare its fields.
          reject({ status: response.statusCode, headers: response.headers, body });
        });
      });
    });
  }

  send(message: unknown): void {
    this.#ws.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  sendBytes(bytes: Uint8Array): void {
    this.#ws.send(bytes, { binary: true });
  }

  /** Asks for a response, and waits for its end. */
  async create(body: Readonly<Record<string, unknown>>): Promise<readonly SocketMessage[]> {
    this.send({ type: 'response.create', ...body });
    return this.end();
  }

  /** What comes up to the next end of a response, or the next error. */
  async end(): Promise<readonly SocketMessage[]> {
    const from = this.#read;
    const last = await this.next(({ type }) => ENDS.has(type));
    return this.messages.slice(from, this.messages.indexOf(last) + 1);
  }

  /** The next message that fits. @throws when the connection is closed before. */
  async next(fits: (message: SocketMessage) => boolean): Promise<SocketMessage> {
    for (;;) {
      const at = this.messages.findIndex((message, index) => index >= this.#read && fits(message));
      const found = this.messages[at];
      if (found !== undefined) {
        this.#read = at + 1;
        return found;
      }
      if (this.#ws.readyState === WebSocket.CLOSED) throw new Error('the connection was closed');
      await this.#came.promise;
    }
  }

  /** Reads nothing from now on. */
  pause(): void {
    this.#ws.pause();
  }

  resume(): void {
    this.#ws.resume();
  }

  async close(): Promise<void> {
    this.#ws.close();
    await this.closed;
  }

  /** Breaks the connection off. */
  terminate(): void {
    this.#ws.terminate();
  }
}

/** The response that the last of these messages shows. */
export function responseIn(messages: readonly SocketMessage[]): z.infer<typeof responseSchema>['response'] {
  return responseSchema.parse(messages.at(-1)).response;
}
