/**
 * What the caller of the guard gets: a Response of the global class, whose body ends the exchange with its last byte, stops
 * at the limit and fails with words that can be shown.
 */
import { ReadableStream } from 'node:stream/web';
import type { Response as Received } from 'undici';
import type { GuardedExchange } from './exchange.ts';
import { brokeOff, oddStatus, tooBig, wordsFor } from './refusal.ts';

/** A Response cannot have a greater one. */
const MAX_STATUS = 599;

export interface AnswerOptions {
  /** Where the answer came from at last. */
  readonly url: URL;
  readonly isRedirected: boolean;
  readonly maxBytes: number;
}

/** @throws {FailedRequest} when its status is none, or its announced length beyond the limit. */
export function toAnswer(received: Received, exchange: GuardedExchange, options: AnswerOptions): Response {
  const { url, isRedirected, maxBytes } = options;
  const { status, statusText, body } = received;
  if (status > MAX_STATUS) throw oddStatus(url, status);
  const isTooLong = Number(received.headers.get('content-length')) > maxBytes;
  if (body !== null && isTooLong) throw tooBig(url, maxBytes);
  if (body === null) exchange.end();

  const limited = body === null ? null : limitedBody(body, exchange, options);
  const answer = new Response(limited, { status, statusText, headers: [...received.headers] });
  const { origin, pathname, search } = url;
  // undici's own Response would have them, but is not the class that `instanceof Response` asks for.
  return Object.defineProperties(answer, {
    url: { value: origin + pathname + search },
    redirected: { value: isRedirected },
  });
}

function limitedBody(
  body: NonNullable<Received['body']>,
  exchange: GuardedExchange,
  { url, maxBytes }: AnswerOptions,
): ReadableStream<Uint8Array> {
  const pieces: AsyncIterator<Uint8Array> = body[Symbol.asyncIterator]();
  let bytes = 0;
  const next = async (): Promise<Uint8Array | null> => {
    const piece = await exchange.within(pieces.next());
    if (piece.done === true) return null;
    bytes += piece.value.byteLength;
    if (bytes > maxBytes) throw tooBig(url, maxBytes);
    return piece.value;
  };
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const piece = await next();
          if (piece !== null) return controller.enqueue(piece);
          exchange.end();
          controller.close();
        } catch (error) {
          exchange.stop(wordsFor(error) ?? brokeOff(url, error));
          throw exchange.signal.reason;
        }
      },
      cancel: (reason) => exchange.stop(reason),
    },
    // Not a byte is asked for before somebody reads.
    { highWaterMark: 0 },
  );
}
