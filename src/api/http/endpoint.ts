/**
 * One request: parse → handle → render. A handler gets a {@link Call} and returns an {@link Answer}; this file is the only
 * one that turns answers and errors into bytes (streams are written by sse.ts).
 */
import type { RequestHandler, Response } from 'express';
import {
  answersFull,
  ApiError,
  internalError,
  newerRun,
  storageFull,
  unavailable,
  unreadable,
} from '../../errors.ts';
import { throttled, type Logger } from '../../log.ts';
import { NewerFormat } from '../../runs/format.ts';
import { Unreadable } from '../../store/json.ts';
import type { RunRef } from '../../store/keys.ts';
import { isFull, isUnavailable } from '../../store/away.ts';
import type { Passing } from '../../store/passing.ts';
import { noteArea, type Area } from './area.ts';
import { writeBytes } from './bytes.ts';
import { Call } from './call.ts';
import { Delivery, type DeliveryOptions } from './delivery.ts';
import { identityOf } from './identity.ts';
import type { MessageSocket, SocketServer } from './message-socket.ts';
import { shellSafe } from './shell-safe.ts';
import { writeEvents } from './sse.ts';
import type { Sockets } from './web-socket.ts';

/** What a handler may answer. */
export type Answer =
  | { readonly type: 'json'; readonly value: unknown; readonly status?: number; readonly headers?: Headers }
  /** Like `json`, but written so that even an unquoted `echo` in a shell leaves it intact. */
  | { readonly type: 'shell-safe'; readonly value: unknown; readonly headers?: Headers }
  /** Text that is written as it is: JSON, unless its headers say otherwise. */
  | { readonly type: 'text'; readonly text: string; readonly headers?: Headers }
  /** Bytes of any type, as they come. Where they end in an error, the connection breaks off. */
  | {
      readonly type: 'bytes';
      readonly status: number;
      readonly headers: Headers;
      readonly chunks: AsyncIterable<Uint8Array>;
    }
  /** The connection becomes a WebSocket; only for requests that ask for it. */
  | {
      readonly type: 'socket';
      readonly serve: (socket: MessageSocket) => SocketServer;
      readonly headers?: Headers;
    }
  /** Frames of an event stream, as they come; the connection closes after the last. */
  | {
      readonly type: 'events';
      readonly frames: Passing<string>;
      readonly headers?: Headers;
      /** The frames that end a stream after a fault of ours; by default those of the Assistants API. */
      readonly failure?: string;
      /** Where the stream can be read again: the run, and the seq before its first event. */
      readonly resume?: { readonly ref: RunRef; readonly after: number; readonly withThread: boolean };
    };

type Headers = Readonly<Record<string, string>>;

export const json = (value: unknown, status = 200): Answer => ({ type: 'json', value, status });

/** A handler and its path; `:name` parts of the path are ids. */
export interface Endpoint {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly handle: (call: Call) => Promise<Answer> | Answer;
  /** How it words refusals; by default, in OpenAI's envelope. */
  readonly refusal?: Refusal;
  /**
   * It handles repetitions itself, because an answer may be half told (turns/conversation.ts). For other endpoints, a
   * repetition gets the first answer.
   */
  readonly repeatsItself?: boolean;
  /** The part of the API that it belongs to. */
  readonly area?: Area;
}

/** Turns a refusal into a status and a body. */
export type Refusal = (error: ApiError) => { readonly status: number; readonly body: unknown };

/** How refusals under some paths are worded, including those made before any endpoint is reached. */
export interface RefusalOfPaths {
  readonly owns: (path: string) => boolean;
  readonly refusal: Refusal;
}

export interface EndpointOptions extends DeliveryOptions {
  readonly log: Logger;
  readonly strictParameters: boolean;
  readonly heartbeatMs: number;
  readonly sockets: Sockets;
}

/** The express handler of an endpoint. */
export function toHandler(endpoint: Endpoint, options: EndpointOptions): RequestHandler {
  return async (request, response) => {
    noteArea(response, endpoint.area ?? 'none');
    const delivery = new Delivery(response, options);
    try {
      const call = new Call(request, response, delivery, options);
      const answer = await endpoint.handle(call);
      call.release();
      if (answer.type === 'socket') await options.sockets.accept(request, response, call.log, answer.serve);
      else await render(answer, response, delivery, call, options);
    } catch (error) {
      renderError(error, response, options, endpoint.refusal, delivery);
    }
  };
}

async function render(
  answer: Exclude<Answer, { type: 'socket' }>,
  response: Response,
  delivery: Delivery,
  call: Call,
  options: EndpointOptions,
): Promise<void> {
  const tell = (text: string, status = 200): void => {
    const bytes = Buffer.byteLength(text);
    if (!delivery.take(bytes)) {
      if (!call.changes) throw answersFull();
      // The work is done, so it cannot be refused. The client asks again for a lost answer, which is kept until then.
      call.log.info('an answer was dropped: too many wait to be taken');
      response.destroy();
      return;
    }
    send({ response, delivery }, status, text, bytes, answer.headers);
  };
  switch (answer.type) {
    case 'json':
      tell(JSON.stringify(answer.value), answer.status);
      return;
    case 'shell-safe':
      tell(shellSafe(JSON.stringify(answer.value)));
      return;
    case 'text':
      tell(answer.text);
      return;
    case 'bytes':
      await writeBytes(response, delivery, answer, call.log);
      return;
    case 'events':
      await writeEvents(response, delivery, answer.frames, {
        ...options,
        log: call.log,
        headers: answer.headers ?? {},
        failure: answer.failure ?? null,
      });
  }
}

const inEnvelope: Refusal = ({ status, body }) => ({ status, body });

/**
 * Answers with an error, in the wire's envelope by default. Unforeseen errors are logged, and their details are not sent.
 */
export function renderError(
  error: unknown,
  response: Response,
  { log, ...options }: Pick<EndpointOptions, 'log'> & DeliveryOptions,
  refusalOf: Refusal = inEnvelope,
  delivery: Delivery = new Delivery(response, options),
): void {
  const { requestId } = identityOf(response);
  const refusal = refusalOfError(error, { log, requestId, isGone: response.destroyed });
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const { status, body } = refusalOf(refusal);
  const text = JSON.stringify(body);
  send({ response, delivery }, status, text, Buffer.byteLength(text), refusal.headers);
}

/** What a client is told of an error. One that was not foreseen is logged, and its details are not told. */
export function refusalOfError(
  error: unknown,
  { log, requestId, isGone }: { readonly log: Logger; readonly requestId: string; readonly isGone: boolean },
): ApiError {
  const refusal = toApiError(error, requestId);
  const fault = { err: error, request_id: requestId };
  if (isFull(error)) tellFull(log);
  // A failure because the client has gone is not a fault.
  if (refusal.status >= 500 && isGone) log.info(fault, 'request failed after its client had gone');
  // Foreseen: the connections report Redis' absence, and metrics report overload; here it would be one line per request.
  else if (error instanceof ApiError || error instanceof Unreadable || isUnavailable(error))
    log.debug(fault, 'request refused');
  else if (refusal.status >= 500) log.error(fault, 'request failed');
  return refusal;
}

/** A full Redis still answers, so its connections do not report it. */
const FULL =
  'Redis is full, requests are refused: raise its maxmemory, delete threads, or set THREAD_KEPT_DAYS';
const tellFull = throttled((log: Logger) => log.warn(FULL));

function send(
  { response, delivery }: { readonly response: Response; readonly delivery: Delivery },
  status: number,
  body: string,
  bytes: number,
  headers: Headers = {},
): void {
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    ...headers,
    'content-length': bytes,
  });
  delivery.end(body, bytes);
}

function toApiError(error: unknown, requestId: string): ApiError {
  if (error instanceof ApiError) return error;
  // express throws this for broken percent-encoding in the path.
  if (error instanceof URIError)
    return new ApiError(400, 'The path of the request has a broken percent-encoding.');
  if (isFull(error)) return storageFull();
  if (isUnavailable(error)) return unavailable();
  if (error instanceof NewerFormat) return newerRun();
  if (error instanceof Unreadable) return unreadable(error.what);
  return internalError(requestId);
}
