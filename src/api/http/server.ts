/**
 * The HTTP server around the app: how many connections may wait and be open, how long a request may take to arrive, and
 * what is said to those that never become a request of the app.
 */
import {
  createServer,
  maxHeaderSize,
  STATUS_CODES,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { Duplex } from 'node:stream';
import {
  headersTooLarge,
  malformedRequest,
  requestTimedOut,
  unmetExpectation,
  type ApiError,
} from '../../errors.ts';
import type { Logger } from '../../log.ts';
import type { NewId } from '../../runs/ids.ts';
import { API_HEADERS } from './headers.ts';

/**
 * Connections the system may hold until we take them; Node's 511 overflow when a few thousand streams come back at once. The
 * system cuts this to its own limit (4,096 on Linux: net.core.somaxconn).
 */
export const LISTEN_BACKLOG = 65_535;
/** Longer than clients keep idle connections, or they write into one that is just being closed. */
const KEEP_ALIVE_MS = 65_000;
/** Headers are one packet or two; who takes longer holds a connection for nothing. */
const HEADERS_MS = 30_000;
/** Phones upload photos at some megabits per second. Slower than this, a body of the largest size is given up. */
const SLOWEST_UPLOAD_BYTES_PER_S = 250_000;
const LOOK_EVERY_MS = 5_000;
/** Beside streams: other requests, and connections kept for the next one. */
const MAX_OTHER_CONNECTIONS = 5_000;
const TELL_EVERY_MS = 60_000;

export interface ServerOptions {
  readonly log: Logger;
  readonly newId: NewId;
  readonly bodyLimitBytes: number;
  readonly maxStreams: number;
  /** How long headers may take to arrive. */
  readonly headersMs?: number;
  /** How often connections are looked through for those that take too long. */
  readonly lookEveryMs?: number;
}

/** The server, not yet listening. */
export function createApiServer(app: RequestListener, options: ServerOptions): Server {
  const { log, newId, headersMs = HEADERS_MS, lookEveryMs = LOOK_EVERY_MS } = options;
  const uploadMs = (options.bodyLimitBytes / SLOWEST_UPLOAD_BYTES_PER_S) * 1_000;
  const server = createServer({
    keepAliveTimeout: KEEP_ALIVE_MS,
    headersTimeout: headersMs,
    requestTimeout: headersMs + Math.ceil(uploadMs),
    connectionsCheckingInterval: lookEveryMs,
    // The app refuses requests without a Host in words.
    requireHostHeader: false,
  });
  // Further ones would take the memory and the files that those of Redis and the model servers need.
  server.maxConnections = options.maxStreams + MAX_OTHER_CONNECTIONS;
  server.on('drop', toldNowAndThen(log));
  /** The answers that are not over yet, by connection; several when a client sends ahead. */
  const open = new WeakMap<Duplex, Set<ServerResponse>>();
  server.on('request', (request, response) => {
    const answers = open.get(request.socket) ?? new Set();
    open.set(request.socket, answers.add(response));
    response.once('close', () => answers.delete(response));
    app(request, response);
  });
  server.on('checkExpectation', (_request, response) => {
    const { status, headers, body } = inBytes(unmetExpectation(), newId('req'));
    response.writeHead(status, headers).end(body);
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    log.debug({ err: error }, 'a connection failed');
    const isBegun = [...(open.get(socket) ?? [])].some((response) => response.headersSent);
    // An answer that has begun would be garbled by another one.
    if (isBegun || !socket.writable || error.code === 'ECONNRESET') {
      socket.destroy();
      return;
    }
    const refusal = REFUSALS[error.code ?? ''] ?? malformedRequest;
    const { status, headers, body } = inBytes(refusal(), newId('req'));
    const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${head.join('')}\r\n${body}`, () =>
      socket.destroy(),
    );
  });
  return server;
}

/** What is wrong, by Node's code for it; everything else cannot be read. */
const REFUSALS: Readonly<Record<string, () => ApiError>> = {
  ERR_HTTP_REQUEST_TIMEOUT: requestTimedOut,
  HPE_HEADER_OVERFLOW: () => headersTooLarge(431, 'headers of the request', maxHeaderSize),
  HPE_CHUNK_EXTENSIONS_OVERFLOW: () => headersTooLarge(413, "extensions of the body's chunks", maxHeaderSize),
};

/** A refusal as it is written where the app does not; the connection ends with it. */
function inBytes({ status, body }: ApiError, requestId: string) {
  const text = JSON.stringify(body);
  const headers = {
    'x-request-id': requestId,
    ...API_HEADERS,
    'content-type': 'application/json; charset=utf-8',
    'content-length': String(Buffer.byteLength(text)),
    connection: 'close',
  };
  return { status, headers, body: text };
}

/** Logs that connections are dropped, and how many, but not each. */
function toldNowAndThen(log: Logger): () => void {
  let dropped = 0;
  let toldAtMs = -Infinity;
  return () => {
    dropped += 1;
    if (performance.now() - toldAtMs < TELL_EVERY_MS) return;
    log.warn({ dropped }, 'too many connections are open; further ones are dropped');
    dropped = 0;
    toldAtMs = performance.now();
  };
}
