/** The API as the console uses it: requests with the reader's key, and streams of events. */
import { EventSourceParserStream } from 'eventsource-parser/stream';
import { say } from './say.ts';
import type { Session } from './session.ts';
import type { List } from './wire.ts';

/** A refusal, or no answer at all. Its message is the server's own, written for people. */
export class ApiProblem extends Error {
  /** The HTTP status; 0 where no answer came. */
  readonly status: number;
  readonly code: string | null;
  readonly requestId: string | null;

  constructor(status: number, message: string, code: string | null = null, requestId: string | null = null) {
    super(message);
    this.name = 'ApiProblem';
    this.status = status;
    this.code = code;
    this.requestId = requestId;
  }
}

/** Whether what was asked for is not there, any more or for this reader. */
export function isMissing(error: unknown): boolean {
  return error instanceof ApiProblem && error.status === 404;
}

export interface StreamEvent {
  readonly id: string | null;
  readonly event: string;
  readonly data: string;
}

type Values = Readonly<Record<string, string | number | boolean | null | undefined>>;

interface Sent {
  readonly body?: BodyInit;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

/** Waits between tries to connect again, in milliseconds. */
const FIRST_WAIT_MS = 300;
const LONGEST_WAIT_MS = 5_000;

export class Api {
  /** Where the endpoints are. */
  readonly base = `${location.origin}/v1`;
  readonly #session: Session;
  /** Called when the server wants a key, or another one, with what it says. */
  readonly #onRefusedKey: (answer: Response) => void;

  constructor(session: Session, onRefusedKey: (answer: Response) => void) {
    this.#session = session;
    this.#onRefusedKey = onRefusedKey;
  }

  /** @throws {ApiProblem} as the other requests do. */
  async get<T>(path: string, query: Values = {}, signal?: AbortSignal): Promise<T> {
    return this.#json<T>('GET', path + queryOf(query), { signal });
  }

  async post<T>(path: string, body: object = {}, signal?: AbortSignal): Promise<T> {
    const headers = { 'content-type': 'application/json' };
    return this.#json<T>('POST', path, { body: JSON.stringify(body), headers, signal });
  }

  /** Sends a form, such as one with a file. */
  async send<T>(path: string, form: FormData, signal?: AbortSignal): Promise<T> {
    return this.#json<T>('POST', path, { body: form, signal });
  }

  async delete<T>(path: string): Promise<T> {
    return this.#json<T>('DELETE', path, {});
  }

  /**
   * A request to an address outside of the base, with the reader's key. @returns the answer as it came, be it a refusal
   * @param body what is posted; without it, it is a GET
   * @throws {ApiProblem} where none came.
   */
  async beside(
    path: string,
    { body, signal }: { readonly body?: object; readonly signal: AbortSignal },
  ): Promise<Response> {
    const url = location.origin + path;
    if (body === undefined) return this.#sent('GET', url, { signal });
    const headers = { 'content-type': 'application/json' };
    return this.#sent('POST', url, { body: JSON.stringify(body), headers, signal });
  }

  /** The bytes of a file, or of the part of it that a header `range` names. */
  async blob(path: string, signal?: AbortSignal, headers: Sent['headers'] = {}): Promise<Blob> {
    return (await this.#answer('GET', path, { signal, headers })).blob();
  }

  /** All objects of a list, page by page, up to `most` of them. */
  async all<T extends { readonly id: string }>(path: string, query: Values = {}, most = 500): Promise<T[]> {
    const found: T[] = [];
    for (let after: string | undefined; found.length < most;) {
      const page: List<T> = await this.get(path, { limit: 100, ...query, after });
      found.push(...page.data);
      after = page.last_id ?? page.data.at(-1)?.id;
      if (!page.has_more || after === undefined) break;
    }
    return found;
  }

  /**
   * The events of one answer, to its end.
   * @param body what is posted; without it, the stream is read by GET
   */
  async *stream(
    path: string,
    { body, signal, headers = {} }: { readonly body?: object } & Pick<Sent, 'signal' | 'headers'>,
  ): AsyncGenerator<StreamEvent, void> {
    const posted = body === undefined ? {} : { body: JSON.stringify(body) };
    const type: Readonly<Record<string, string>> =
      body === undefined ? {} : { 'content-type': 'application/json' };
    const answer = await this.#answer(body === undefined ? 'GET' : 'POST', path, {
      ...posted,
      signal,
      headers: { accept: 'text/event-stream', ...type, ...headers },
    });
    if (answer.body === null) return;
    const events = answer.body
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new EventSourceParserStream());
    for await (const { id, event, data } of events) yield { id: id ?? null, event: event ?? 'message', data };
  }

  /**
   * A stream that can be read again from where it broke off, until `isOver` says of an event that it was the last. Connects
   * again, for ever, where the server is away; `onConnection` hears whether it is there.
   */
  async *follow(path: string, { isOver, signal, onConnection }: Followed): AsyncGenerator<StreamEvent, void> {
    let cursor: string | null = null;
    let waitMs = FIRST_WAIT_MS;
    while (!signal.aborted) {
      try {
        const headers: Readonly<Record<string, string>> = cursor === null ? {} : { 'last-event-id': cursor };
        for await (const event of this.stream(path, { signal, headers })) {
          onConnection(true);
          waitMs = FIRST_WAIT_MS;
          cursor = event.id ?? cursor;
          yield event;
          if (isOver(event)) return;
        }
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof ApiProblem && 400 <= error.status && error.status < 500 && error.status !== 429)
          throw error;
      }
      if (signal.aborted) return;
      onConnection(false);
      await pause(waitMs, signal);
      waitMs = Math.min(LONGEST_WAIT_MS, waitMs * 2);
    }
  }

  async #json<T>(method: string, path: string, sent: Sent): Promise<T> {
    const answer = await this.#answer(method, path, sent);
    return decoded<T>(await answer.text());
  }

  async #answer(method: string, path: string, sent: Sent): Promise<Response> {
    const answer = await this.#sent(method, this.base + path, sent);
    if (answer.ok) return answer;
    throw await problemOf(answer);
  }

  /** What the server answers, whatever it is. */
  async #sent(method: string, url: string, { headers = {}, ...sent }: Sent): Promise<Response> {
    const { key } = this.#session;
    const all = { ...headers, ...(key !== null && { authorization: `Bearer ${key}` }) };
    let answer: Response;
    try {
      answer = await fetch(url, {
        method,
        headers: all,
        ...(sent.body && { body: sent.body }),
        signal: sent.signal ?? null,
      });
    } catch (error) {
      if (sent.signal?.aborted === true) throw error;
      throw new ApiProblem(0, say('The server does not answer.', '服务器没有响应。'));
    }
    if (answer.status === 401) this.#onRefusedKey(answer.clone());
    return answer;
  }
}

interface Followed {
  readonly isOver: (event: StreamEvent) => boolean;
  readonly signal: AbortSignal;
  readonly onConnection: (isThere: boolean) => void;
}

/** JSON of the server, which is ours: its objects are as documented. @throws {SyntaxError} for what is no JSON. */
export function decoded<T>(text: string): T;
export function decoded(text: string): unknown {
  const value: unknown = JSON.parse(text);
  return value;
}

/** The error in an answer, in the words of whoever made it. */
export async function problemOf(answer: Response): Promise<ApiProblem> {
  const text = await answer.text().catch(() => '');
  const requestId = answer.headers.get('x-request-id');
  let error: { readonly message?: unknown; readonly code?: unknown } = {};
  try {
    error = decoded<{ readonly error?: typeof error }>(text).error ?? {};
  } catch {
    // A proxy's page, perhaps.
  }
  const message = typeof error.message === 'string' ? error.message : '';
  const words = message || say(`The server answered ${answer.status}.`, `服务器返回了 ${answer.status}。`);
  return new ApiProblem(answer.status, words, typeof error.code === 'string' ? error.code : null, requestId);
}

function queryOf(values: Values): string {
  const given = Object.entries(values).filter(([, value]) => value != null && value !== '');
  const query = new URLSearchParams(given.map(([name, value]) => [name, String(value)]));
  return given.length === 0 ? '' : `?${query}`;
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
