/**
 * Passes requests on to a model server as they are: embeddings, speech, pictures. Which server is asked follows from the
 * model's name, as for chats. Bodies and answers are streams, and neither is held here (`fetch` would keep a copy of all that
 * it sends, for a redirect). Nothing is tried again, because a body that has been sent is gone; SDKs try again by themselves.
 */
import { Readable } from 'node:stream';
import { request, type Dispatcher } from 'undici';
import { ApiError } from '../errors.ts';
import { ModelError } from '../runs/model.ts';
import { ONE_TRY_CONNECTIONS } from './upstream-answer.ts';
import { addressOf, headersFor, callersRoute, isGood, isRedirect } from './client.ts';
import { brokeOff, nonsense, overdue, redirected, unreachable } from './failure.ts';
import { refusalOf, toRefusal } from './forward-refusal.ts';
import type { Limits, Overrun } from './patience.ts';
import { limitsOf, route, type Route, type Upstream } from './upstreams.ts';
import { Waiting } from './waiting.ts';

/** How much of an error body is read. */
const MAX_ERROR_BYTES = 64 * 1024;
/** How much is quoted of a page that came in place of an answer. */
const QUOTED_BYTES = 512;

/** The headers of an answer that reach the client. Others speak of the upstream's connection, its cookies, its pages. */
const PASSED: ReadonlySet<string> = new Set([
  'content-type',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-length',
  'openai-model',
  'openai-processing-ms',
]);
/** Limits of the upstream's account, which SDKs show. */
const PASSED_PREFIX = 'x-ratelimit-';

/** A request, as it is passed on. */
export interface ForwardRequest {
  /** The endpoint, such as `/embeddings`. */
  readonly path: string;
  readonly contentType: string;
  /** What the client accepts; null where it does not say. */
  readonly accept: string | null;
  readonly body: Uint8Array<ArrayBuffer> | AsyncIterable<Uint8Array>;
  /** How many bytes the body has; null where that is not known yet. */
  readonly length: number | null;
  /** Aborted when the client has gone, or was answered. */
  readonly gone: AbortSignal;
}

/** An answer, as it comes. */
export interface ForwardAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** To be read once. @throws {ApiError} when the upstream breaks off, or takes too long. */
  readonly chunks: AsyncIterable<Uint8Array>;
}

export interface ForwarderOptions {
  readonly upstreams: readonly Upstream[];
  /** How long to wait for an upstream that has no limits of its own. */
  readonly limits: Limits;
}

export class Forwarder {
  readonly #upstreams: readonly Upstream[];
  readonly #limits: Limits;

  constructor({ upstreams, limits }: ForwarderOptions) {
    this.#upstreams = upstreams;
    this.#limits = limits;
  }

  /** Whether every model is asked of the same upstream. */
  get isSingle(): boolean {
    return this.#upstreams.length <= 1;
  }

  /**
   * Where requests for this model go; an empty name means the upstream for models that no upstream lists.
   * @param callersKey the caller's own key of the upstream, or null
   * @throws {ApiError} 502 when there is no upstream.
   */
  to(model: string, callersKey: string | null): ForwardTarget {
    try {
      const there = callersRoute(route(this.#upstreams, model, null), callersKey);
      return new ForwardTarget(there, limitsOf(there.upstream, this.#limits));
    } catch (error) {
      throw error instanceof ModelError ? toRefusal(error, false) : error;
    }
  }
}

/** An upstream, and how to ask it. */
export class ForwardTarget {
  readonly #there: Route;
  readonly #limits: Limits;

  constructor(there: Route, limits: Limits) {
    this.#there = there;
    this.#limits = limits;
  }

  /** The upstream's name. */
  get upstream(): string {
    return this.#there.upstream.name;
  }

  /** Whether a model may have another name there. */
  get renames(): boolean {
    return Object.keys(this.#there.upstream.aliases).length > 0;
  }

  /** Whether the configuration lists the model for this upstream. */
  lists(model: string): boolean {
    return this.#there.upstream.models.includes(model) || this.nameOf(model) !== model;
  }

  /** The model's name there. */
  nameOf(model: string): string {
    return route([this.#there.upstream], model, null).model;
  }

  /**
   * Sends the request, and waits for the head of the answer.
   * @throws {ApiError} for whatever is no good answer.
   */
  async send(outgoing: ForwardRequest): Promise<ForwardAnswer> {
    const asking = new ForwardExchange(this.#there, this.#limits, outgoing);
    try {
      const answer = await asking.head();
      if (isGood(answer.statusCode) && !isPage(answer)) return incoming(answer, asking);
      throw await asking.patiently(async () => this.#refusal(answer, outgoing.path));
    } catch (error) {
      asking.stop();
      throw asking.asRefusal(error);
    }
  }

  async #refusal(answer: Dispatcher.ResponseData, path: string): Promise<Error> {
    const { statusCode: status, body } = answer;
    const header = (name: string): string | null => headerOf(answer, name);
    if (isRedirect(status)) {
      return toRefusal(redirected(this.#there.upstream, status, header('location')), false);
    }
    const text = await beginningOf(body, isGood(status) ? QUOTED_BYTES : MAX_ERROR_BYTES);
    if (isGood(status)) return toRefusal(nonsense(this.#there, `an answer to '${path}'`, text), false);
    return refusalOf(this.#there, { path, status, header, text });
  }
}

/** A login page, or that of the server's own user interface: no endpoint here answers with one. */
const isPage = (answer: Dispatcher.ResponseData): boolean =>
  /^\s*text\/html\b/i.test(headerOf(answer, 'content-type') ?? '');

function headerOf({ headers }: Dispatcher.ResponseData, name: string): string | null {
  const value = headers[name];
  return (Array.isArray(value) ? value[0] : value) ?? null;
}

/** The beginning of a body as text; the rest is not read. */
async function beginningOf(body: Readable, limitBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  const packets: AsyncIterable<Buffer> = body;
  for await (const packet of packets) {
    chunks.push(packet);
    size += packet.length;
    if (size >= limitBytes) break;
  }
  return Buffer.concat(chunks).toString('utf8', 0, limitBytes);
}

function incoming(answer: Dispatcher.ResponseData, asking: ForwardExchange): ForwardAnswer {
  const passed = Object.keys(answer.headers).filter(
    (name) => PASSED.has(name) || name.startsWith(PASSED_PREFIX),
  );
  const headers = Object.fromEntries(passed.map((name) => [name, headerOf(answer, name) ?? '']));
  return { status: answer.statusCode, headers, chunks: asking.chunks(answer.body) };
}

/** Nobody reads this; the status is the usual one for it. */
const clientGone = (): ApiError => new ApiError(499, 'The client closed its connection.');

/** One request to an upstream. Owns the connection: stopping it closes the socket, unless the answer was read to its end. */
class ForwardExchange {
  readonly #there: Route;
  readonly #limits: Limits;
  readonly #outgoing: ForwardRequest;
  readonly #connection = new AbortController();
  readonly #waiting: Waiting;
  readonly #onGone = (): void => this.stop();
  /** Why the client's body could not be read to its end. */
  #unsent: unknown = null;
  #isAtEnd = false;

  constructor(there: Route, limits: Limits, outgoing: ForwardRequest) {
    this.#there = there;
    this.#limits = limits;
    this.#outgoing = outgoing;
    this.#waiting = new Waiting(limits, () => this.#connection.abort());
    outgoing.gone.addEventListener('abort', this.#onGone, { once: true });
  }

  async head(): Promise<Dispatcher.ResponseData> {
    const { path, contentType, accept, body, length, gone } = this.#outgoing;
    if (gone.aborted) throw clientGone();
    const { upstream } = this.#there;
    const headers = {
      ...headersFor(upstream),
      'content-type': contentType,
      accept: accept ?? '*/*',
      // What is passed on piece by piece should not be packed.
      'accept-encoding': 'identity',
      ...(length !== null && { 'content-length': String(length) }),
    };
    return this.patiently(async () =>
      request(addressOf(upstream, path), {
        method: 'POST',
        headers,
        body: body instanceof Uint8Array ? body : Readable.from(this.#sending(body), { objectMode: false }),
        dispatcher: ONE_TRY_CONNECTIONS,
        signal: this.#connection.signal,
      }),
    );
  }

  /** Waits for the upstream within its limits. */
  async patiently<T>(answer: () => Promise<T>): Promise<T> {
    this.#waiting.resume();
    try {
      return await answer();
    } finally {
      this.#waiting.pause();
    }
  }

  /** The body of the answer. */
  async *chunks(body: Readable): AsyncGenerator<Uint8Array, void> {
    try {
      const packets: AsyncIterator<Buffer, void> = body[Symbol.asyncIterator]();
      for (;;) {
        const { done, value } = await this.patiently(async () => packets.next());
        if (done === true) {
          this.#isAtEnd = true;
          return;
        }
        yield value;
      }
    } catch (error) {
      throw this.asRefusal(this.#waiting.over === null ? brokeOff(this.#there, error) : error);
    } finally {
      this.stop();
    }
  }

  stop(): void {
    this.#waiting.stop();
    this.#outgoing.gone.removeEventListener('abort', this.#onGone);
    // A connection whose answer has come to its end serves the next request.
    if (!this.#isAtEnd) this.#connection.abort();
  }

  /** What the client is told. */
  asRefusal(error: unknown): unknown {
    if (this.#outgoing.gone.aborted) return clientGone();
    if (this.#unsent !== null) return this.#unsent;
    const { over } = this.#waiting;
    if (over !== null) return this.#overdue(over);
    if (error instanceof ApiError) return error;
    return toRefusal(error instanceof ModelError ? error : unreachable(this.#there, error), true);
  }

  #overdue(over: Overrun): ApiError {
    return toRefusal(overdue(this.#there, over, this.#limits[over]), false, 504);
  }

  /** The client's body. A client that sends slowly is not the upstream's fault, so then its clock stands still. */
  async *#sending(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
    this.#waiting.pause();
    try {
      for await (const chunk of body) {
        this.#waiting.resume();
        yield chunk;
        this.#waiting.pause();
      }
    } catch (error) {
      this.#unsent = error;
      throw error;
    } finally {
      this.#waiting.resume();
    }
  }
}
