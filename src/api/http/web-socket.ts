/**
 * WebSockets: requests that ask for one pass through the app like all others, so that hosts, origins and keys are checked
 * and refusals are worded in one place. An endpoint that answers with a `socket` is then given the connection.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { WebSocketServer } from 'ws';
import { ApiError } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import { HeldBytes } from './held.ts';
import { MessageSocket, type SocketLimits, type SocketServer } from './message-socket.ts';

/** Whether a request asks for a WebSocket. Other upgrades, such as Java's to HTTP/2, are ordinary requests. */
export function asksForSocket({ method, headers }: Pick<IncomingMessage, 'method' | 'headers'>): boolean {
  return method === 'GET' && headers.upgrade?.toLowerCase() === 'websocket';
}

/** What came behind the head of a request that asks for a WebSocket, by its response. */
const heads = new WeakMap<ServerResponse, Buffer>();

/** Notes that the connection of this response can become a WebSocket. @param head what came behind the request already */
function noteUpgrade(response: ServerResponse, head: Buffer): void {
  heads.set(response, head);
}

export function isUpgradable(response: ServerResponse): boolean {
  return heads.has(response);
}

/** How often the largest message may be exceeded before the connection is closed: up to there, the message is refused. */
const TOLERANCE = 2;

export interface SocketsOptions extends Omit<SocketLimits, 'incoming'> {
  /** One message. */
  readonly messageLimitBytes: number;
  /** All messages that are being received and read; there is always room for one. */
  readonly messagesLimitBytes: number;
}

/** The open WebSockets of this process. */
export class Sockets {
  readonly #options: SocketsOptions;
  readonly #incoming: HeldBytes;
  readonly #open = new Set<MessageSocket>();
  #server: Promise<WebSocketServer> | null = null;
  #isStopping = false;

  constructor(options: SocketsOptions) {
    this.#options = options;
    this.#incoming = new HeldBytes(Math.max(options.messagesLimitBytes, options.messageLimitBytes));
  }

  /** How many are open. */
  get count(): number {
    return this.#open.size;
  }

  /**
   * Makes a connection a WebSocket, and has it served.
   * @param serve makes what serves it
   * @throws {ApiError} 400 for a request that asks for it in a wrong way.
   */
  async accept(
    request: IncomingMessage,
    response: ServerResponse,
    log: Logger,
    serve: (socket: MessageSocket) => SocketServer,
  ): Promise<void> {
    const head = heads.get(response);
    const server = await this.#loaded();
    if (head === undefined || request.socket.destroyed) return;
    const headers = response.getHeaders();
    const named = ['x-request-id', 'openai-version'].map((name) => `${name}: ${String(headers[name] ?? '')}`);
    refusals.delete(request);
    extraHeaders.set(request, named);
    let isOpen = false;
    server.handleUpgrade(request, request.socket, head, (ws) => {
      isOpen = true;
      // For those who count answers by status: this one has no head of its own.
      response.statusCode = SWITCHED;
      const socket = new MessageSocket(ws, request.socket, {
        ...this.#options,
        incoming: this.#incoming,
        log,
      });
      this.#open.add(socket);
      request.socket.once('close', () => this.#open.delete(socket));
      socket.serveBy(serve(socket));
      if (this.#isStopping) socket.retire('shutdown');
    });
    const refusal = refusals.get(request);
    if (!isOpen && refusal !== undefined) throw new ApiError(400, refusal, { code: 'invalid_handshake' });
  }

  /** No further work is taken; what is under way ends. */
  drain(): void {
    this.#isStopping = true;
    for (const socket of this.#open) socket.retire('shutdown');
  }

  /** Closes what is still open. */
  close(): void {
    for (const socket of this.#open) socket.cut();
  }

  /** Loaded when the first client wants one. */
  #loaded(): Promise<WebSocketServer> {
    this.#server ??= import('ws').then(({ WebSocketServer: Server }) => {
      const server = new Server({
        noServer: true,
        clientTracking: false,
        perMessageDeflate: false,
        maxPayload: TOLERANCE * this.#options.messageLimitBytes,
      });
      server.on('headers', (lines, request) => void lines.push(...(extraHeaders.get(request) ?? [])));
      server.on('wsClientError', (error, _socket, request) => void refusals.set(request, error.message));
      return server;
    });
    return this.#server;
  }
}

/** The status of an answer that makes a connection something else. */
export const SWITCHED = 101;
/** Why a request for a WebSocket cannot be met, in the library's words. */
const refusals = new WeakMap<IncomingMessage, string>();
/** Headers of the answer, as lines. */
const extraHeaders = new WeakMap<IncomingMessage, readonly string[]>();

/** Gives a request that asks for a WebSocket to the app, over a response on its connection. */
export function upgrading(
  app: (request: IncomingMessage, response: ServerResponse) => void,
  makeResponse: (request: IncomingMessage) => ServerResponse,
): (request: IncomingMessage, socket: Duplex, head: Buffer) => void {
  return (request, socket, head) => {
    // Node has taken its own listener off.
    socket.on('error', () => socket.destroy());
    const response = makeResponse(request);
    response.shouldKeepAlive = false;
    try {
      response.assignSocket(request.socket);
    } catch {
      // An earlier request on this connection is not answered yet: no client of WebSockets asks so.
      socket.destroy();
      return;
    }
    // Nor does it tell the response any more when the client has taken what was written.
    socket.on('drain', () => void response.emit('drain'));
    response.once('finish', () => request.socket.destroySoon());
    noteUpgrade(response, head);
    app(request, response);
  };
}
