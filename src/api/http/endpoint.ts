/**
 * One request: parse → handle → render. A handler gets a {@link Call} and returns an {@link Answer}; this file is the only
 * one that turns answers and errors into bytes (streams are written by sse.ts).
 */
import type { Request, RequestHandler, Response } from 'express';
import type { z } from 'zod';
import {
  answersFull,
  ApiError,
  internalError,
  malformedId,
  newerRun,
  notFound,
  storageFull,
  unavailable,
  unreadable,
} from '../../errors.ts';
import { throttled, type Logger } from '../../log.ts';
import { NewerFormat } from '../../runs/format.ts';
import { newId, type NewId } from '../../runs/ids.ts';
import { Unreadable } from '../../store/json.ts';
import { isSafeId, type RunRef } from '../../store/keys.ts';
import { isFull, isUnavailable } from '../../store/away.ts';
import { releaseBody } from './body.ts';
import { Delivery, type DeliveryOptions } from './delivery.ts';
import { parseJson } from './json-text.ts';
import { shellSafe } from './shell-safe.ts';
import { writeEvents } from './sse.ts';
import { validate } from './validate.ts';

/** What a handler may answer. */
export type Answer =
  | { readonly type: 'json'; readonly value: unknown; readonly status?: number; readonly headers?: Headers }
  /** As json, but written so that even an unquoted `echo` in a shell leaves it intact. */
  | { readonly type: 'shell-safe'; readonly value: unknown; readonly headers?: Headers }
  /** Text that is written as it is: JSON, unless its headers say otherwise. */
  | { readonly type: 'text'; readonly text: string; readonly headers?: Headers }
  /** Frames of an event stream, as they come; the connection closes after the last. */
  | {
      readonly type: 'events';
      readonly frames: AsyncIterable<string>;
      readonly headers?: Headers;
      /** The frames that end a stream that a fault of ours breaks off; the Assistants dialect's where it has none. */
      readonly failure?: string;
      /** Where the stream can be had again: the run, and the seq before its first event. */
      readonly resume?: { readonly ref: RunRef; readonly after: number; readonly withThread: boolean };
    };

type Headers = Readonly<Record<string, string>>;

export const json = (value: unknown, status = 200): Answer => ({ type: 'json', value, status });

/** A handler and where it is reached; `:name` parts of the path are ids. */
export interface Endpoint {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly handle: (call: Call) => Promise<Answer> | Answer;
  /** How it words refusals; in OpenAI's envelope where it does not say. */
  readonly refusal?: Refusal;
}

/** A refusal as it is written. */
export type Refusal = (error: ApiError) => { readonly status: number; readonly body: unknown };

export interface EndpointOptions extends DeliveryOptions {
  readonly log: Logger;
  readonly strictParameters: boolean;
  readonly heartbeatMs: number;
}

/** What each kind of id begins with, and which object it names. */
const IDS = {
  assistant_id: ['asst', 'assistant'],
  thread_id: ['thread', 'thread'],
  run_id: ['run', 'run'],
  message_id: ['msg', 'message'],
  step_id: ['step', 'step'],
} as const;

type IdName = keyof typeof IDS;

/** Headers that, as the URL and the body do, decide what a request means: whose conversation it is, and whose device's. */
const MEANT = ['x-thread-id', 'x-device-id'] as const;

/** Headers that handlers read. One that changes what a request means belongs to {@link MEANT}; these say how it is sent. */
type HeaderName = (typeof MEANT)[number] | 'idempotency-key' | 'x-stainless-retry-count' | 'last-event-id';

/** A request on its way through a handler. */
export class Call {
  readonly project: string;
  readonly requestId: string;
  /** A name for callers that give none: a digest of their key or else of their address, which others may have as well. */
  readonly caller: string;
  /** Tells keys apart without telling them; empty without one. A key may be everybody's. */
  readonly key: string;
  /** Where the client is, as far as a proxy that the operator trusts says so; else null. Tells apart, and proves nothing. */
  readonly address: string | null;
  /** The caller's key, where it is the upstream's. */
  readonly upstreamKey: string | null;
  readonly log: Logger;
  /** Aborted when the client has gone away. */
  readonly gone: AbortSignal;
  /** Names what this request makes; a request that may be sent again makes the same names again. */
  newId: NewId = newId;
  private readonly request: Request;
  private readonly response: Response;
  private readonly strict: boolean;
  private readonly delivery: Delivery;
  private parsed: { readonly value: unknown } | null = null;

  constructor(
    request: Request,
    response: Response,
    delivery: Delivery,
    { log, strictParameters }: Pick<EndpointOptions, 'log' | 'strictParameters'>,
  ) {
    const { project, requestId, caller, key, address, upstreamKey } = identityOf(response);
    this.project = project;
    this.caller = caller;
    this.key = key;
    this.address = address;
    this.upstreamKey = upstreamKey;
    this.requestId = requestId;
    this.log = log.child({ request_id: requestId });
    this.request = request;
    this.response = response;
    this.delivery = delivery;
    this.strict = strictParameters;
    const gone = new AbortController();
    response.on('close', () => gone.abort());
    this.gone = gone.signal;
  }

  /**
   * An id from the path.
   * @throws {ApiError} 400 for ids that cannot be one, such as the text `undefined` of a client's bug; 404 for those
   *   that cannot name anything here.
   */
  id(name: IdName): string {
    const [prefix, kind] = IDS[name];
    const id = String(this.request.params[name]);
    // `null` is what jq prints when an earlier call of a shell script failed: say what was not found.
    if (!id.startsWith(prefix) && id !== 'null') throw malformedId(name, id, prefix);
    if (!isSafeId(id)) throw notFound(kind, id);
    return id;
  }

  /** The whole path, with its base and its query. */
  get url(): string {
    return this.request.originalUrl;
  }

  /** Calls `listener` when the connection breaks before the answer has left whole; at once when it has already. */
  onUndelivered(listener: () => void): void {
    const tell = (): void => {
      if (!this.response.writableFinished) listener();
    };
    if (this.response.closed) tell();
    else this.response.on('close', tell);
  }

  /** Another part of the path. */
  part(name: string): string {
    const part = this.request.params[name];
    return Array.isArray(part) ? part.join('/') : String(part);
  }

  header(name: HeaderName): string | undefined {
    return this.request.get(name);
  }

  /** All that the client has said besides the URL: requests to one URL that say the same ask for the same. */
  get said(): readonly string[] {
    const headers = MEANT.flatMap((name) => {
      const value = this.header(name);
      return value === undefined ? [] : [`${name}: ${value}`];
    });
    return [this.text, ...headers];
  }

  /** The query, arrays in either spelling (`include[]=a&include[]=b`, `include=a`). */
  query<T>(schema: z.ZodType<T>): T {
    return validate(schema, { ...this.request.query }, false);
  }

  /** The body as text, whatever its content type says; empty when there is none. */
  get text(): string {
    const body: unknown = this.request.body;
    return Buffer.isBuffer(body) ? body.toString('utf8') : '';
  }

  /**
   * The body, checked. No body at all is `{}`: several clients send none where they have nothing to say.
   * @throws {ApiError} 400 for what does not parse or fit.
   */
  body<T>(schema: z.ZodType<T>): T {
    return validate(schema, this.json(), this.strict);
  }

  /** Whether it may have changed something when it has been handled. */
  get changes(): boolean {
    return this.request.method !== 'GET' && this.request.method !== 'HEAD';
  }

  /** How many bytes the body has. */
  get bodyBytes(): number {
    const body: unknown = this.request.body;
    return Buffer.isBuffer(body) ? body.length : 0;
  }

  /**
   * Takes room for an answer of about that size: before it is read, or before the work is done that it tells of.
   * @throws {ApiError} 503 when too many answers wait to be taken.
   */
  admit(bytes: number): void {
    this.delivery.admit(bytes);
  }

  /**
   * Takes room for what a stream holds beside its frames until it ends.
   * @throws {ApiError} 503 when too many answers wait to be taken.
   */
  admitBeside(bytes: number): void {
    this.delivery.admitBeside(bytes);
  }

  /** Lets go of the body, which nobody reads again: the answer may take as long as a run lives. */
  release(): void {
    this.parsed = null;
    releaseBody(this.request, this.response);
  }

  /** A string of the body before it is checked, for looking things up ahead; empty when there is none of that name. */
  peek(name: string): string {
    const body = this.jsonIfAny();
    const value: unknown = typeof body === 'object' && body !== null ? Reflect.get(body, name) : undefined;
    return typeof value === 'string' ? value : '';
  }

  /** The keys the body has, before it is checked. */
  get names(): readonly string[] {
    const body = this.json();
    return typeof body === 'object' && body !== null ? Object.keys(body) : [];
  }

  /** The body as JSON, unchecked. */
  private json(): unknown {
    this.parsed ??= { value: parseJson(this.text) };
    return this.parsed.value;
  }

  /** What does not parse is refused when the body's turn comes: an unknown thread in the path is said first. */
  private jsonIfAny(): unknown {
    try {
      return this.json();
    } catch {
      return null;
    }
  }
}

/** The express handler of an endpoint. */
export function toHandler(endpoint: Endpoint, options: EndpointOptions): RequestHandler {
  return async (request, response) => {
    const delivery = new Delivery(response, options);
    try {
      const call = new Call(request, response, delivery, options);
      const answer = await endpoint.handle(call);
      call.release();
      await render(answer, response, delivery, call, options);
    } catch (error) {
      renderError(error, response, options, endpoint.refusal, delivery);
    }
  };
}

async function render(
  answer: Answer,
  response: Response,
  delivery: Delivery,
  call: Call,
  options: EndpointOptions,
): Promise<void> {
  const tell = (text: string, status = 200): void => {
    const bytes = Buffer.byteLength(text);
    if (!delivery.take(bytes)) {
      if (!call.changes) throw answersFull();
      // What was done cannot be refused any more. An answer that is lost is asked for again, and kept until then.
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

/** Answers with an error, in the wire's envelope unless told otherwise; what was not foreseen is logged and stays inside. */
export function renderError(
  error: unknown,
  response: Response,
  { log, ...options }: Pick<EndpointOptions, 'log'> & DeliveryOptions,
  refusalOf: Refusal = inEnvelope,
  delivery: Delivery = new Delivery(response, options),
): void {
  const { requestId } = identityOf(response);
  const refusal = toApiError(error, requestId);
  const fault = { err: error, request_id: requestId };
  if (isFull(error)) tellFull(log);
  // What fails because its client has gone is nobody's fault.
  if (refusal.status >= 500 && response.destroyed)
    log.info(fault, 'request failed after its client had gone');
  // Foreseen: Redis' absence is reported by its connections, overload by metrics; here it would be a line a request.
  else if (error instanceof ApiError || error instanceof Unreadable || isUnavailable(error))
    log.debug(fault, 'request refused');
  else if (refusal.status >= 500) log.error(fault, 'request failed');
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const { status, body } = refusalOf(refusal);
  const text = JSON.stringify(body);
  send({ response, delivery }, status, text, Buffer.byteLength(text), refusal.headers);
}

/** A full Redis answers, so nobody else reports it. */
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
  // express throws it for broken percent-encoding in the path.
  if (error instanceof URIError)
    return new ApiError(400, 'The path of the request has a broken percent-encoding.');
  if (isFull(error)) return storageFull();
  if (isUnavailable(error)) return unavailable();
  if (error instanceof NewerFormat) return newerRun();
  if (error instanceof Unreadable) return unreadable(error.what);
  return internalError(requestId);
}

interface Identity {
  readonly project: string;
  readonly requestId: string;
  readonly caller: string;
  readonly key: string;
  readonly address: string | null;
  /** The caller's key, where it is the upstream's; null elsewhere. */
  readonly upstreamKey: string | null;
}

/** Who asks: set once by the first middleware (auth.ts), read here. */
function identityOf(response: Response): Identity {
  const { locals }: { readonly locals: Readonly<Record<string, unknown>> } = response;
  const { project, requestId, caller, key, address, upstreamKey } = locals;
  return {
    project: typeof project === 'string' ? project : '',
    requestId: typeof requestId === 'string' ? requestId : '',
    caller: typeof caller === 'string' ? caller : '',
    key: typeof key === 'string' ? key : '',
    address: typeof address === 'string' ? address : null,
    upstreamKey: typeof upstreamKey === 'string' ? upstreamKey : null,
  };
}
