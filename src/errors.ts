/**
 * The catalogue of refusals: code, HTTP status, type, message. Texts and codes are the hosted API's where it had them
 * (people grep logs for them); the others say what is wrong and what to do next. Refusals because of an object's state
 * are 400, because SDKs repeat a 409 by themselves.
 */

/** The error envelope of the wire; all four keys are always there. */
export interface ErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string | null;
  };
}

/** A refusal for the client. Everything it says is public. */
export class ApiError extends Error {
  readonly status: number;
  readonly type: string;
  readonly param: string | null;
  readonly code: string | null;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    message: string,
    {
      type = 'invalid_request_error',
      param = null,
      code = null,
      headers = {},
    }: Partial<ApiErrorDetails> = {},
  ) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.type = type;
    this.param = param;
    this.code = code;
    this.headers = headers;
  }

  get body(): ErrorBody {
    return { error: { message: this.message, type: this.type, param: this.param, code: this.code } };
  }
}

interface ApiErrorDetails {
  readonly type: string;
  readonly param: string | null;
  readonly code: string | null;
  readonly headers: Readonly<Record<string, string>>;
}

/** How much of a client's text an error repeats: enough to recognise it, and little enough to keep answers small. */
const MAX_ECHO_LENGTH = 200;

/** A client's text as errors repeat it: whole, or its beginning and `…`. */
export function echo(text: string): string {
  if (text.length <= MAX_ECHO_LENGTH) return text;
  // Half of a surrogate pair is not valid text.
  return `${text.slice(0, MAX_ECHO_LENGTH).replace(/[\uD800-\uDBFF]$/, '')}…`;
}

const KINDS = {
  assistant: 'assistant',
  thread: 'thread',
  run: 'run',
  message: 'message',
  step: 'run step',
  file: 'file',
  upload: 'upload',
  store: 'vector store',
  shelved: 'file in this vector store',
  batch: 'batch of files in this vector store',
} as const;

/** Also the answer for objects of other projects, so that ids cannot be probed. */
export function notFound(kind: keyof typeof KINDS, id: string): ApiError {
  // The hosted API's words for this one kind.
  if (kind === 'file') return new ApiError(404, `No such File object: ${echo(id)}`, { param: 'id' });
  return new ApiError(404, `No ${KINDS[kind]} found with id '${echo(id)}'.`);
}

export function unknownCursor(param: string, id: string): ApiError {
  return new ApiError(400, `Invalid '${param}': '${echo(id)}' is not an item of this list.`, {
    param,
    code: 'invalid_value',
  });
}

/** @param isUpstreams whether callers bring keys of the model server, and not one from the operator */
export function missingKey(isUpstreams: boolean): ApiError {
  const whose = isUpstreams
    ? 'it is a key of the model server behind this one.'
    : 'the operator of this server has it.';
  const message = `You didn't provide an API key. Send it as 'Authorization: Bearer YOUR_KEY'; ${whose}`;
  return new ApiError(401, message);
}

export function wrongKey(masked: string): ApiError {
  const message = `Incorrect API key provided: ${masked}. Ask the operator of this server for the right one.`;
  return new ApiError(401, message, { code: 'invalid_api_key' });
}

/** Answered before the key is compared, so it does not reveal whether a guess was right. */
export function tooManyWrongKeys(retryMs: number): ApiError {
  const message =
    'Too many wrong API keys came from your address. Check the key, and try again in a few seconds.';
  return new ApiError(429, message, {
    type: 'requests',
    code: 'too_many_wrong_keys',
    headers: retryAfter(retryMs),
  });
}

/**
 * A key that no model has answered yet may be made up, so it may store only a limited amount. The message says how to
 * lift the limit.
 */
export function keyOnTrial(room: 'project full' | 'all full'): ApiError {
  const why =
    room === 'project full'
      ? 'No model has answered a request with this API key yet, and such a key may keep no more than this.'
      : 'At the moment this server keeps nothing more for API keys that no model has answered a request with yet.';
  const message = `${why} Send one short chat to /v1/chat/completions without a thread, or run one of your threads; when it is answered, send this again.`;
  return new ApiError(403, message, { code: ON_TRIAL });
}

const ON_TRIAL = 'api_key_on_trial';

export function isOnTrial(error: unknown): boolean {
  return error instanceof ApiError && error.code === ON_TRIAL;
}

export function unknownRoute(method: string, path: string): ApiError {
  return new ApiError(404, `Invalid URL (${method} ${echo(path)})`);
}

export function wrongMethod(method: string, path: string, allowed: readonly string[]): ApiError {
  return new ApiError(405, `Not allowed to ${method} on ${echo(path)}. Allowed: ${allowed.join(', ')}.`, {
    code: 'method_not_supported',
    headers: { allow: allowed.join(', ') },
  });
}

export function oldBeta(): ApiError {
  const message =
    "Assistants v1 is not served. Send 'OpenAI-Beta: assistants=v2', or leave the header out altogether.";
  return new ApiError(400, message, { code: 'invalid_beta' });
}

/** A request that does not name the server it is for. */
export function malformedHost(): ApiError {
  const message = "The request needs one 'Host' header, with the name or address of this server in it.";
  return new ApiError(400, message, { code: 'invalid_host' });
}

export function foreignHost(name: string): ApiError {
  const message = `This server does not answer to the name '${name}'. Its operator can list it in ALLOWED_HOSTS: ALLOWED_HOSTS=${name}`;
  return new ApiError(403, message, { code: 'host_not_allowed' });
}

/** A web page that may not call; null where it sent no origin. */
export function foreignPage(origin: string | null): ApiError {
  const who =
    origin === null
      ? 'A page of another origin asked for this without saying which it is, as pictures, scripts and links do.'
      : `Pages of '${origin}' may not call this server.`;
  const message = `${who} Its operator can list the origins of pages that may in CORS_ORIGINS.`;
  return new ApiError(403, message, { code: 'origin_not_allowed' });
}

export function malformedRequest(): ApiError {
  return new ApiError(400, 'This server cannot read the request as HTTP/1.1.', { code: 'malformed_request' });
}

export function requestTimedOut(): ApiError {
  return new ApiError(408, 'The request did not arrive in time. Send it again.', { code: 'request_timeout' });
}

export function headersTooLarge(status: 413 | 431, what: string, limitBytes: number): ApiError {
  const message = `The ${what} are larger than ${limitBytes} bytes, the limit of this server.`;
  return new ApiError(status, message, { code: 'request_too_large' });
}

export function unmetExpectation(): ApiError {
  const message = "This server meets no expectation but '100-continue'. Leave the 'Expect' header out.";
  return new ApiError(417, message, { code: 'expectation_failed' });
}

export function notJson(detail: string): ApiError {
  const message = `We could not parse the JSON body of your request. ${detail}`;
  return new ApiError(400, message);
}

export function bodyTooLarge(limitBytes: number): ApiError {
  return new ApiError(
    413,
    `The body of the request is larger than ${limitBytes} bytes, the limit of this server.`,
    {
      code: 'request_too_large',
    },
  );
}

/** This process holds as many bodies as it may. */
export function bodiesFull(): ApiError {
  const message = 'Too many large requests are being read on this server. Try again in a few seconds.';
  return full(message, 'too_many_bodies');
}

/** This process holds as many bytes of undelivered answers as it may. */
export function answersFull(): ApiError {
  const message =
    'Too many large answers are on their way from this server. Try again in a few seconds, or ask for less at a time.';
  return full(message, 'too_many_answers');
}

/** What requests hold that wait for the run of a thread is as much as it may be in this process. */
export function waitingFull(): ApiError {
  const message =
    'Too many large requests wait for a thread on this server. Try again when the run that has it is over.';
  return full(message, 'too_many_waiting');
}

/** A thread has one run at a time, and of those who want one only so many may wait. */
export function threadCrowded(threadId: string, waiting: number): ApiError {
  const text = `${waiting} other requests wait for ${threadId} already. Wait until some of them are answered.`;
  return new ApiError(400, text, { code: 'thread_busy' });
}

/** Closes the connection, because the rest of the body may never come. */
export function slowBody(idleMs: number): ApiError {
  const message = `Nothing came of the body of the request for ${idleMs / 1_000} s. Send it again as a whole.`;
  return new ApiError(408, message, { headers: { connection: 'close' } });
}

export function threadBusy(threadId: string, runId: string): ApiError {
  return new ApiError(400, `Thread ${threadId} already has an active run ${runId}.`);
}

export function threadLocked(threadId: string, runId: string): ApiError {
  return new ApiError(400, `Can't add messages to ${threadId} while a run ${runId} is active.`);
}

export function outputsNotWanted(status: string): ApiError {
  return new ApiError(400, `Runs in status "${status}" do not accept tool outputs.`);
}

export function wrongOutputs(expected: readonly string[], got: readonly string[]): ApiError {
  return new ApiError(400, `Expected tool outputs for call_ids ${listed(expected)}, got ${listed(got)}`);
}

export function notCancellable(status: string): ApiError {
  return new ApiError(400, `Cannot cancel run with status '${status}'.`);
}

/** A strict function whose schema leaves room for more; the model server would refuse it in the middle of a run. */
export function looseSchema(name: string, param: string): ApiError {
  const message = `Invalid schema for function '${name}': In context=(), 'additionalProperties' is required to be supplied and to be false.`;
  return new ApiError(400, message, { param, code: 'invalid_function_parameters' });
}

/** A feature that this server lacks; refused at once rather than failing later. */
export function unsupported(what: string, param: string | null, status = 400): ApiError {
  return new ApiError(status, `${what} not supported by this server yet.`, { param, code: 'unsupported' });
}

/** The code of {@link unknownAgent}. */
export const UNKNOWN_AGENT = 'agent_not_found';

export function unknownAgent(name: string): ApiError {
  const message = `There is no agent named '${echo(name)}' here. Create an assistant with this name, or list it among the aliases of an upstream.`;
  return new ApiError(404, message, { param: 'model', code: UNKNOWN_AGENT });
}

export function unknownModel(model: string): ApiError {
  return new ApiError(404, `The model '${echo(model)}' does not exist`, {
    param: 'model',
    code: 'model_not_found',
  });
}

export function unknownPlugin(name: string, known: readonly string[]): ApiError {
  const message = `No plugin is named '${echo(name)}'. This server has: ${known.join(', ')}.`;
  return new ApiError(404, message, { param: 'pid', code: 'plugin_not_found' });
}

export function unavailable(): ApiError {
  return new ApiError(503, 'The server cannot reach its storage at the moment. Try again in a few seconds.', {
    type: 'server_error',
    headers: retryAfter(1_000),
  });
}

/** Redis has no room. The message says what to do, because the client's developers are often the operators as well. */
export function storageFull(): ApiError {
  const message =
    "The server's storage is full, so nothing new can be kept. Its operator can give Redis more memory (maxmemory), delete threads, or have unused ones deleted by THREAD_KEPT_DAYS. Reading and deleting go on.";
  return new ApiError(503, message, {
    type: 'server_error',
    code: 'storage_full',
    headers: retryAfter(1_000),
  });
}

/** Too many runs wait for a worker. Those refused together should not come back together. */
export function queueFull(): ApiError {
  const message = 'Too many runs are waiting for a worker. Try again in a few seconds.';
  return new ApiError(429, message, {
    type: 'requests',
    code: 'rate_limit_exceeded',
    headers: retryAfter(QUEUE_RETRY_MS * (1 + Math.random())),
  });
}

const QUEUE_RETRY_MS = 2_000;

/** @param limit how many runs one project may have open */
export function tooManyOpenRuns(limit: number): ApiError {
  const message = `This project has as many runs open as it may have (${limit}). Wait until one has ended, submit the outputs it waits for, or cancel it.`;
  return new ApiError(429, message, {
    type: 'requests',
    code: 'rate_limit_exceeded',
    headers: retryAfter(QUEUE_RETRY_MS * (1 + Math.random())),
  });
}

/** This process has as many event streams open as it may. */
export function streamsFull(): ApiError {
  const message =
    'Too many streams are open on this server. Try again in a few seconds, or poll the run instead.';
  return full(message, 'too_many_streams');
}

/** This process has as much of something as it may; in a moment there is less of it. */
function full(message: string, code: string): ApiError {
  return new ApiError(503, message, { type: 'server_error', code, headers: retryAfter(1_000) });
}

/** Whole seconds for all clients, milliseconds for SDKs. */
export function retryAfter(ms: number): Readonly<Record<string, string>> {
  return { 'retry-after': String(Math.ceil(ms / 1_000)), 'retry-after-ms': String(Math.ceil(ms)) };
}

/** The stored object is damaged. Answered like a missing object, because waiting does not help. */
export function unreadable(what: string): ApiError {
  const message = `What is stored of ${what} is damaged and cannot be read. Delete its thread or make a new one; the operator finds more in the log.`;
  return new ApiError(404, message, { code: 'unreadable' });
}

/** During an upgrade: another API process, of the newer version, can already show the run. */
export function newerRun(): ApiError {
  const message =
    'The run was made by a newer version of this server, which is just being rolled out. Try again in a few seconds.';
  return new ApiError(503, message, {
    type: 'server_error',
    headers: retryAfter(1_000),
  });
}

/** A run that could still be lost with its Redis server. It goes on; a repetition of the request gets it. */
export function unconfirmed(runId: string): ApiError {
  const message = `Run ${runId} was begun, but no replica of the storage has confirmed it in time. Send the request again to get the run.`;
  return new ApiError(503, message, {
    type: 'server_error',
    headers: { 'retry-after': '1', 'retry-after-ms': '1000' },
  });
}

/** An `Idempotency-Key` that stands for another request. A retry would be refused again. */
export function keyReused(): ApiError {
  const message =
    'This Idempotency-Key was sent before with another body or to another path. A key stands for one request: send the same one, byte for byte, or use a new key.';
  return new ApiError(422, message, { code: 'idempotency_key_reused' });
}

/** The only 409 of this server: SDKs repeat it after a moment, which is what helps here. */
export function stillPending(): ApiError {
  const message = 'A request with this Idempotency-Key is still being worked on. Try again in a moment.';
  return new ApiError(409, message, {
    code: 'idempotency_pending',
    headers: { 'retry-after-ms': '250' },
  });
}

/** For faults of our own. The log has the reason, under the request id in the answer. */
export function internalError(requestId: string): ApiError {
  const message = `The server had an error while processing your request. The operator finds it in the log as ${requestId}.`;
  // The request may have taken effect; a repetition could double it.
  return new ApiError(500, message, { type: 'server_error', headers: { 'x-should-retry': 'false' } });
}

/** A list in the hosted API's own (Python) notation: `['call_A', 'call_B']`. */
const listed = (ids: readonly string[]): string => `[${ids.map((id) => `'${echo(id)}'`).join(', ')}]`;
