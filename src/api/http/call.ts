/**
 * A request, as its handler sees it: who asks, what was sent, and whether the client is still there. Other files read
 * and write the bytes (body.ts, endpoint.ts).
 */
import type { Request, Response } from 'express';
import type { z } from 'zod';
import { ApiError, notFound, waitingFull } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import { newId, type NewId } from '../../runs/ids.ts';
import { isSafeId } from '../../store/keys.ts';
import type { Caller } from '../../turns/caller.ts';
import { refuseStranger } from './auth.ts';
import { bodyChunks, holdBody, releaseBody, setAside } from './body.ts';
import type { Delivery } from './delivery.ts';
import { Identified, identityOf } from './identity.ts';
import { parseJson } from './json-text.ts';
import { queryValues } from './query.ts';
import { FrameCall } from './frame-call.ts';
import { validate } from './validate.ts';
import { isUpgradable } from './web-socket.ts';

/** What each kind of id begins with, and which object it names. */
const IDS = {
  assistant_id: ['asst', 'assistant'],
  thread_id: ['thread', 'thread'],
  run_id: ['run', 'run'],
  message_id: ['msg', 'message'],
  step_id: ['step', 'step'],
  // Files that are imported from Azure begin otherwise.
  file_id: ['', 'file'],
  upload_id: ['upload', 'upload'],
  vector_store_id: ['vs', 'store'],
} as const;

type IdName = keyof typeof IDS;

/**
 * Headers that decide what a request means, as the URL and the body do: which conversation and which device it belongs to.
 */
const MEANT = ['x-thread-id', 'x-device-id'] as const;

/**
 * Headers that handlers read. A header that changes what a request means belongs in {@link MEANT}; the others say how
 * it is sent.
 */
type HeaderName =
  | (typeof MEANT)[number]
  | 'idempotency-key'
  | 'x-stainless-retry-count'
  | 'last-event-id'
  | 'accept'
  | 'content-encoding'
  | 'content-length'
  | 'content-type'
  | 'range';

/** The longest `Idempotency-Key`. */
const MAX_KEY_LENGTH = 255;

/** Why the signal of every request is aborted in the end. Made once, because the stack of an error costs more than the rest. */
const GONE = new Error('The client has gone, or has its answer.');

/** A request, as its handler sees it. */
export class Call extends Identified implements Caller {
  readonly gone: AbortSignal;
  newId: NewId = newId;
  readonly #request: Request;
  readonly #response: Response;
  readonly #strict: boolean;
  readonly #delivery: Delivery;
  readonly #processLog: Logger;
  #log: Logger | null = null;
  #parsed: { readonly value: unknown } | null = null;
  #imposed: Readonly<Record<string, unknown>> | null = null;

  constructor(
    request: Request,
    response: Response,
    delivery: Delivery,
    { log, strictParameters }: { readonly log: Logger; readonly strictParameters: boolean },
  ) {
    super(identityOf(response));
    this.#processLog = log;
    this.#request = request;
    this.#response = response;
    this.#delivery = delivery;
    this.#strict = strictParameters;
    const gone = new AbortController();
    response.on('close', () => gone.abort(GONE));
    this.gone = gone.signal;
  }

  /** Its lines name the request. */
  get log(): Logger {
    this.#log ??= this.#processLog.child({ request_id: this.requestId });
    return this.#log;
  }

  /**
   * An id from the path.
   * @throws {ApiError} 404 for those that cannot name anything here, such as the `undefined` of a client's bug or the
   *   `null` that jq prints when an earlier call of a shell script failed.
   */
  id(name: IdName): string {
    const [prefix, kind] = IDS[name];
    const id = String(this.#request.params[name]);
    if (!id.startsWith(prefix) || !isSafeId(id)) throw notFound(kind, id);
    return id;
  }

  /** Lets operators pass. @throws {ApiError} 403 for others, ever later where many keys come from their address. */
  async requireOperator(): Promise<void> {
    if (!this.isOperator) await refuseStranger(this.#response);
  }

  /** The whole path, with its base and its query. */
  get url(): string {
    return this.#request.originalUrl;
  }

  onUndelivered(listener: () => void): void {
    const tell = (): void => {
      if (!this.#response.writableFinished) listener();
    };
    if (this.#response.closed) tell();
    else this.#response.on('close', tell);
  }

  /** Whether its connection is to become a WebSocket. */
  get wantsSocket(): boolean {
    return isUpgradable(this.#response);
  }

  /**
   * A message on the connection that this request has made, as a request of the same caller.
   * @param release gives back what the message holds
   */
  frame(text: string, release: () => void): FrameCall {
    return new FrameCall(identityOf(this.#response), this, { text, release, strict: this.#strict });
  }

  /** Another part of the path. */
  part(name: string): string {
    const part = this.#request.params[name];
    return Array.isArray(part) ? part.join('/') : String(part);
  }

  /** A header; undefined also where it is empty, as programs send one that they have nothing for. */
  header(name: HeaderName): string | undefined {
    return this.#request.get(name) || undefined;
  }

  /** Whether the client takes an answer that is compressed like this. */
  takesEncoding(name: 'br' | 'gzip'): boolean {
    return this.#request.acceptsEncodings(name) !== false;
  }

  /** @throws {ApiError} 400 for a key that is too long. */
  get idempotencyKey(): string | null {
    const key = this.header('idempotency-key') ?? null;
    if (key === null || key.length <= MAX_KEY_LENGTH) return key;
    const text = `The Idempotency-Key is longer than ${MAX_KEY_LENGTH} characters.`;
    throw new ApiError(400, text, { code: 'invalid_value' });
  }

  get retries(): number | null {
    const count = this.header('x-stainless-retry-count');
    return count === undefined ? null : Number(count);
  }

  get said(): readonly string[] {
    const headers = MEANT.flatMap((name) => {
      const value = this.header(name);
      return value === undefined ? [] : [`${name}: ${value}`];
    });
    return [this.text, ...this.#unread(), ...headers];
  }

  /** Of a body that its handler reads as it comes, all that is known beforehand is its length. */
  #unread(): readonly string[] {
    const length = this.header('content-length');
    return this.#request.body !== undefined || Number(length ?? 0) === 0 ? [] : [`content-length: ${length}`];
  }

  /** The query, with arrays in either spelling (`include[]=a&include[]=b`, `include=a`). */
  query<T>(schema: z.ZodType<T>): T {
    return validate(schema, queryValues({ ...this.#request.query }), false);
  }

  /** The body as text, whatever its content type says; empty when there is none. */
  get text(): string {
    const body: unknown = this.#request.body;
    return Buffer.isBuffer(body) ? body.toString('utf8') : '';
  }

  /**
   * The body, checked. No body at all counts as `{}`, because several clients send none when they have no fields.
   * @throws {ApiError} 400 for what does not parse or fit.
   */
  body<T>(schema: z.ZodType<T>): T {
    return validate(schema, this.#json(), this.#strict);
  }

  /** Fields of a form, checked as a body is. @throws {ApiError} 400 for what does not fit. */
  fields<T>(schema: z.ZodType<T>, given: Readonly<Record<string, unknown>>): T {
    return validate(schema, given, this.#strict);
  }

  /** Whether anybody wants more than the head of the answer. */
  get wantsBody(): boolean {
    return this.#request.method !== 'HEAD';
  }

  /** Whether handling it may change something. */
  get changes(): boolean {
    return this.#request.method !== 'GET' && this.#request.method !== 'HEAD';
  }

  /** How many bytes the body has. */
  get bodyBytes(): number {
    const body: unknown = this.#request.body;
    return Buffer.isBuffer(body) ? body.length : 0;
  }

  /**
   * Takes room for an answer of about that size, before the answer is read or its work is done.
   * @throws {ApiError} 503 when too many answers are on their way.
   */
  admit(bytes: number): void {
    this.#delivery.admit(bytes);
  }

  /**
   * Takes room for what a stream holds beside its frames until it ends.
   * @throws {ApiError} 503 when too many answers are on their way.
   */
  admitBeside(bytes: number): void {
    this.#delivery.admitBeside(bytes);
  }

  waits(): void {
    if (!setAside(this.#response, this.#delivery.letGo())) throw waitingFull();
  }

  release(): void {
    this.#parsed = null;
    releaseBody(this.#request, this.#response);
  }

  /** Sets fields that the path determines. They replace the body's own, and like these are not checked yet. */
  impose(fields: Readonly<Record<string, unknown>>): void {
    this.#imposed = fields;
    this.#parsed = null;
  }

  /** A field that the path determines; undefined where it does not. */
  imposed(name: string): unknown {
    return this.#imposed?.[name];
  }

  /**
   * The body as it comes, for a request whose body was left to its handler.
   * @throws {ApiError} when it is too large, comes too slowly, or breaks off.
   */
  chunks(limitBytes: number): AsyncGenerator<Buffer, void> {
    return bodyChunks(this.#request, limitBytes);
  }

  /** Counts bytes that are held of {@link chunks}, until `release`. @throws {ApiError} 503 when too much is held. */
  hold(bytes: number): void {
    holdBody(this.#response, bytes);
  }

  /** A field of the body before it is checked; undefined when there is none of that name. */
  glance(name: string): unknown {
    const body = this.#jsonIfAny();
    return typeof body === 'object' && body !== null ? Reflect.get(body, name) : undefined;
  }

  /** The keys of the body, before it is checked. */
  get names(): readonly string[] {
    const body = this.#json();
    return typeof body === 'object' && body !== null ? Object.keys(body) : [];
  }

  /** The body as JSON, unchecked. */
  #json(): unknown {
    this.#parsed ??= { value: withFields(parseJson(this.text), this.#imposed) };
    return this.#parsed.value;
  }

  /** A body that does not parse is refused only when it is checked: an unknown thread in the path is reported first. */
  #jsonIfAny(): unknown {
    try {
      return this.#json();
    } catch {
      return null;
    }
  }
}

function withFields(body: unknown, fields: Readonly<Record<string, unknown>> | null): unknown {
  if (fields === null || typeof body !== 'object' || body === null || Array.isArray(body)) return body;
  return { ...body, ...fields };
}
