/**
 * The HTTP server around the app: how many connections may wait and be open, how long a request may take to arrive, and
 * what is answered when bytes never become a request of the app.
 */
import {
  createServer,
  maxHeaderSize,
  ServerResponse,
  STATUS_CODES,
  type RequestListener,
  type Server,
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
import { uploadMs } from './body.ts';
import { API_HEADERS } from './headers.ts';
import { asksForSocket, upgrading } from './web-socket.ts';

/**
 * How many connections the system may hold until we accept them. Node's default of 511 overflows when a few thousand
 * streams come back at once. The system applies its own limit as well (4,096 on Linux: net.core.somaxconn).
 */
export const LISTEN_BACKLOG = 65_535;
/** Longer than clients keep idle connections; otherwise they would write into one that is just being closed. */
const KEEP_ALIVE_MS = 65_000;
/** Headers are one or two packets; a client that takes longer blocks a connection for nothing. */
const HEADERS_MS = 30_000;
const LOOK_EVERY_MS = 5_000;
/** Besides streams: other requests, and connections kept open for the next request. */
const MAX_OTHER_CONNECTIONS = 5_000;
const TELL_EVERY_MS = 60_000;

export interface ServerOptions {
  readonly log: Logger;
  readonly newId: NewId;
  /** The largest body of any request. */
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
  const server = createServer({
    keepAliveTimeout: KEEP_ALIVE_MS,
    headersTimeout: headersMs,
    requestTimeout: headersMs + uploadMs(options.bodyLimitBytes),
    connectionsCheckingInterval: lookEveryMs,
    // The app itself refuses requests without a Host, with an explanation.
    requireHostHeader: false,
    // With a listener for upgrades, Node would give it every request that offers one, and not read their bodies.
    shouldUpgradeCallback: asksForSocket,
  });
  // More would take the memory and file descriptors that connections to Redis and the model servers need.
  server.maxConnections = options.maxStreams + MAX_OTHER_CONNECTIONS;
  server.on('drop', toldNowAndThen(log));
  /** The unfinished answers, by connection; several when a client pipelines requests. */
  const open = new WeakMap<Duplex, Set<ServerResponse>>();
  server.on('request', (request, response) => {
    const answers = open.get(request.socket) ?? new Set();
    open.set(request.socket, answers.add(response));
    response.once('close', () => answers.delete(response));
    app(request, response);
  });
  server.on(
    'upgrade',
    upgrading(app, (request) => new ServerResponse(request)),
  );
  server.on('checkExpectation', (_request, response) => {
    const { status, headers, body } = inBytes(unmetExpectation(), newId('req'));
    response.writeHead(status, headers).end(body);
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    log.debug({ err: error }, 'a connection failed');
    const isBegun = [...(open.get(socket) ?? [])].some((response) => response.headersSent);
    // A second answer would garble one that has begun.
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

/** Refusals by Node's error code; any other code means an unreadable request. */
const REFUSALS: Readonly<Record<string, () => ApiError>> = {
  ERR_HTTP_REQUEST_TIMEOUT: requestTimedOut,
  HPE_HEADER_OVERFLOW: () => headersTooLarge(431, 'headers of the request', maxHeaderSize),
  HPE_CHUNK_EXTENSIONS_OVERFLOW: () => headersTooLarge(413, "extensions of the body's chunks", maxHeaderSize),
};

/** A refusal of a request that never reaches the app; the connection ends with it. */
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

/** Logs from time to time how many connections were dropped. */
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
