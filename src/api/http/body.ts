/**
 * Reads the bodies of requests within two budgets: one for each body after unpacking, and one for all bodies that this
 * process holds at a time. Larger bodies are refused before memory is spent on them. A body is held from its first byte
 * until its request has been read ({@link releaseBody}), or its connection is gone. Requests that wait for the run of a
 * thread, perhaps for minutes, have a smaller budget of their own ({@link setAside}).
 */
import type { Readable, Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib';
import type { Request, RequestHandler, Response } from 'express';
import { ApiError, bodiesFull, bodyTooLarge, notJson, requestTimedOut, slowBody } from '../../errors.ts';
import { HeldBytes, type HeldShare } from './held.ts';

export interface BodyLimits {
  /** One body, after unpacking. */
  readonly bodyLimitBytes: number;
  /** All bodies of this process; there is always room for one. */
  readonly bodiesLimitBytes: number;
  /** How long an incomplete body may make no progress. */
  readonly idleMs?: number;
}

/** JSON of real conversations shrinks to a tenth or twentieth. Below UNSUSPICIOUS_BYTES the ratio does not matter. */
const MAX_RATIO = 100;
const UNSUSPICIOUS_BYTES = 1024 * 1024;
/** What waits must leave room in memory for everything else. */
const WAITING_SHARE = 1 / 4;
/** Phones stall for seconds when they change cells; after a longer stall their request has failed already. */
const IDLE_MS = 30_000;
/** For a body of any size; more time comes with its size. */
const WHOLE_MS = 30_000;

/** By the encoding that the client names. A map, because plain objects inherit names such as `constructor`. */
const UNPACK: ReadonlyMap<string, () => Transform> = new Map<string, () => Transform>([
  ['gzip', createGunzip],
  ['deflate', createInflate],
  ['br', createBrotliDecompress],
  ['zstd', createZstdDecompress],
]);
/** Phones upload photos at some megabits per second. At a slower rate, a body of the largest size is given up. */
const SLOWEST_UPLOAD_BYTES_PER_S = 250_000;
const NOT_WHOLE = 'It did not arrive whole, or in an encoding this server does not read.';

/** How long a body of this size may take to arrive. */
export const uploadMs = (bytes: number): number => Math.ceil((bytes / SLOWEST_UPLOAD_BYTES_PER_S) * 1_000);

/**
 * The middleware that reads every body into `request.body`, a Buffer, whatever its content type.
 * @param isLeft the requests whose handlers read the body themselves, as it comes ({@link bodyChunks})
 */
export function bodyReader(
  limits: BodyLimits,
  isLeft: (request: Request) => boolean = () => false,
): RequestHandler {
  const held = new HeldBytes(Math.max(limits.bodiesLimitBytes, limits.bodyLimitBytes));
  const waiting = new HeldBytes(limits.bodiesLimitBytes * WAITING_SHARE);
  return async (request, response, next) => {
    const declared = Number(request.get('content-length') ?? 0);
    // A device's path may lie under a base path, whose middleware has read the body already.
    const isRead = shares.has(response);
    if (isRead) return next();
    if (declared > 0 || request.get('transfer-encoding') !== undefined) {
      const share = held.open();
      shares.set(response, { share, waiting });
      response.once('close', () => share.close());
      if (isLeft(request)) return next();
      try {
        request.body = await read(request, declared, share, limits);
      } catch (error) {
        share.close();
        // A client that is still sending should get the answer, and not find the connection closed.
        request.resume();
        throw error;
      }
    }
    next();
  };
}

/** What is held for a request, by its response; `waiting` is the budget it would wait in, null where it does already. */
const shares = new WeakMap<Response, { readonly share: HeldShare; readonly waiting: HeldBytes | null }>();

/**
 * From now on the request waits for others: what it holds, `moreBytes` beside its body, counts among what waits, and its room
 * is free for requests that do not. @returns false, and nothing changed, where too much waits already.
 */
export function setAside(response: Response, moreBytes: number): boolean {
  const { share, waiting = null } = shares.get(response) ?? {};
  if (share === undefined || waiting === null || response.closed) return true;
  const aside = waiting.open();
  if (!aside.resize(share.size + moreBytes)) return false;
  share.close();
  shares.set(response, { share: aside, waiting: null });
  response.once('close', () => aside.close());
  return true;
}

/** Counts bytes that a handler holds of a body it reads itself. @throws {ApiError} 503 when there is no room for them. */
export function holdBody(response: Response, bytes: number): void {
  if (shares.get(response)?.share.grow(bytes) === false) throw bodiesFull();
}

/**
 * A body that {@link bodyReader} has left, as it comes. Whoever stops reading lets the rest go by, so that the client gets its
 * answer.
 * @throws {ApiError} when it is too large, comes too slowly, or breaks off.
 */
export async function* bodyChunks(
  request: Request,
  limitBytes: number,
  idleMs: number = IDLE_MS,
): AsyncGenerator<Buffer, void> {
  if (Number(request.get('content-length') ?? 0) > limitBytes) throw bodyTooLarge(limitBytes);
  const chunks: AsyncIterator<Buffer, void> = request.iterator({ destroyOnReturn: false });
  let size = 0;
  try {
    for (;;) {
      const { done, value } = await inTime(chunks.next(), idleMs);
      if (done === true) return;
      size += value.length;
      if (size > limitBytes) throw bodyTooLarge(limitBytes);
      yield value;
    }
  } catch (error) {
    throw error instanceof ApiError ? error : notJson(NOT_WHOLE);
  } finally {
    // As long as the iterator listens, nothing flows; it stops when the chunk has come that it may wait for.
    void chunks.return?.().then(
      () => request.resume(),
      () => request.resume(),
    );
  }
}

async function inTime<T>(coming: Promise<T>, idleMs: number): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const idle = setTimeout(() => reject(slowBody(idleMs)), idleMs);
  coming.then(resolve, reject).finally(() => clearTimeout(idle));
  return promise;
}

/** Releases a request's body: it has been read, and the answer may take as long as a run lives. */
export function releaseBody(request: Request, response: Response): void {
  request.body = undefined;
  shares.get(response)?.share.close();
}

async function read(
  request: Request,
  declared: number,
  share: HeldShare,
  { bodyLimitBytes, idleMs = IDLE_MS }: BodyLimits,
): Promise<Buffer> {
  const encoding = (request.get('content-encoding') ?? 'identity').toLowerCase();
  const unpack = encoding === 'identity' ? null : UNPACK.get(encoding);
  if (unpack === undefined) throw notJson(NOT_WHOLE);
  if (declared > bodyLimitBytes) throw bodyTooLarge(bodyLimitBytes);
  if (!share.hasRoomFor(declared)) throw bodiesFull();
  const unpacking = unpack === null ? null : unpack();
  const unpacked: Readable = unpacking ?? request;
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  // Handled from the beginning: if attaching the listeners fails, the promise is never awaited, and its rejection must
  // not end the process.
  promise.catch(() => {});
  const chunks: Buffer[] = [];
  let size = 0;
  let received = 0;
  const idle = setTimeout(() => reject(slowBody(idleMs)), idleMs);
  const whole = setTimeout(() => reject(requestTimedOut()), WHOLE_MS + uploadMs(bodyLimitBytes));
  try {
    request.on('data', onPacket);
    unpacked.on('data', onChunk);
    unpacked.once('end', onEnd);
    unpacked.once('error', onBroken);
    request.once('error', onBroken);
    request.once('close', onClose);
    if (unpacking !== null) request.pipe(unpacking);
    return await promise;
  } finally {
    clearTimeout(idle);
    clearTimeout(whole);
    // The request lives as long as its answer, which may be a stream: it must not hold the body by one of these.
    request.off('data', onPacket).off('error', onBroken).off('close', onClose).on('error', ignored);
    unpacked.off('data', onChunk).off('end', onEnd).off('error', onBroken);
    if (unpacking !== null) {
      request.unpipe(unpacking);
      unpacking.on('error', ignored).destroy();
    }
  }

  function onPacket({ length }: Buffer): void {
    received += length;
    idle.refresh();
  }
  function onChunk(chunk: Buffer): void {
    size += chunk.length;
    if (size > bodyLimitBytes) reject(bodyTooLarge(bodyLimitBytes));
    else if (size > UNSUSPICIOUS_BYTES && size > MAX_RATIO * received) reject(unpacksTooFar());
    else if (!share.grow(chunk.length)) reject(bodiesFull());
    else chunks.push(chunk);
  }
  function onEnd(): void {
    resolve(Buffer.concat(chunks, size));
  }
  function onClose(): void {
    if (!request.complete) onBroken();
  }
  function onBroken(): void {
    reject(notJson(NOT_WHOLE));
  }
}

/** What breaks after the body was read, or given up, is told by the answer's own connection. */
function ignored(): void {}

function unpacksTooFar(): ApiError {
  const text = `The compressed body of the request unpacks to more than ${MAX_RATIO} times its size. Send it as it is.`;
  return new ApiError(413, text, { code: 'request_too_large' });
}
