/**
 * The answer for the guard's caller: a Response of the global class, whose body ends the exchange with its last byte,
 * stops at the limit and fails with messages that can be shown.
 */
import { ReadableStream } from 'node:stream/web';
import type { Response as Received } from 'undici';
import type { GuardedExchange } from './exchange.ts';
import { brokeOff, oddStatus, tooBig, wordsFor } from './refusal.ts';

/** The greatest status that a Response can have. */
const MAX_STATUS = 599;

export interface AnswerOptions {
  /** The address that answered, after all redirects. */
  readonly url: URL;
  readonly isRedirected: boolean;
  readonly maxBytes: number;
}

/** @throws {FailedRequest} when its status is invalid, or its announced length exceeds the limit. */
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
  // undici's own Response would have these, but it is not the class that `instanceof Response` checks for.
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
    // No byte is requested before the caller reads.
    { highWaterMark: 0 },
  );
}
