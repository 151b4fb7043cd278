/**
 * What a client is told when the model server behind an endpoint that is passed on does not answer well: in OpenAI's
 * envelope, with the server's own words where the request was at fault, and with what to check where it was not.
 */
import { ApiError } from '../errors.ts';
import type { ModelError } from '../runs/model.ts';
import { clean, refused } from './failure.ts';
import { isRecord } from '../runs/record.ts';
import { parseJson, stringOr } from './json.ts';
import { wordsOf } from './said-errors.ts';
import type { Route } from './upstreams.ts';

/** SDKs obey these when they decide whether and when to try again. */
const RETRY = ['retry-after', 'retry-after-ms', 'x-should-retry'];
const NEVER = { 'x-should-retry': 'false' };

/** An answer that is none. */
interface RefusedForward {
  readonly path: string;
  readonly status: number;
  readonly header: (name: string) => string | null;
  /** Its body, or the beginning of it. */
  readonly text: string;
}

/** What is told where the upstream does not say it. */
interface Words {
  readonly told: number;
  readonly type: string;
  readonly code: string;
  readonly more: Readonly<Record<string, string>>;
}

/** A failure of the upstream, as chats are told it. @param mayRetry whether the client should try again */
export function toRefusal({ message, cause }: ModelError, mayRetry: boolean, status = 502): ApiError {
  const headers = mayRetry ? {} : NEVER;
  const refusal = new ApiError(status, message, { type: 'server_error', code: 'upstream_error', headers });
  refusal.cause = cause;
  return refusal;
}

/** An error status of the upstream. */
export function refusalOf(there: Route, { path, status, header, text }: RefusedForward): ApiError {
  const said = parseJson(text) ?? text;
  // Gemini sends a list with one error.
  const given: unknown = Array.isArray(said) ? said[0] : said;
  const retry = Object.fromEntries(
    RETRY.flatMap((name) => {
      const value = header(name);
      return value === null ? [] : [[name, value]];
    }),
  );
  const isOurKey = [401, 403, 407].includes(status) && there.isCallersKey !== true;
  if (isOurKey || status < 400) {
    return toRefusal(
      refused(there, { status, said: given, retry: { retryable: false, waitMs: null } }),
      false,
    );
  }
  const { upstream } = there;
  const { name } = upstream;
  const words = clean(wordsOf(given), upstream) || `status ${status}, without a message`;
  const inner = isRecord(given) && isRecord(given['error']) ? given['error'] : given;
  const field = (key: string): string => clean(isRecord(inner) ? stringOr(inner[key]) : '', upstream);
  const refusal = (
    message: string,
    { told = status, type = '', code = '', more = {} }: Partial<Words> = {},
  ): ApiError =>
    new ApiError(told, message, {
      type: field('type') || type || 'invalid_request_error',
      param: field('param') || null,
      code: field('code') || code || null,
      headers: { ...retry, ...more },
    });
  switch (status) {
    case 404:
    case 405:
    case 501:
      // A server that names the model knows the endpoint.
      if (there.model !== '' && words.includes(there.model)) return refusal(words, { more: NEVER });
      return refusal(
        `The upstream '${name}' does not answer '${path}', or does not know the model (${status}). It said: ${words}`,
        { more: NEVER },
      );
    default:
      if (status < 500) return refusal(words);
      return refusal(`The upstream '${name}' failed (${status}). It said: ${words}`, {
        // 503 says that it will be well again; the others are no status of this server.
        told: status === 503 ? 503 : 502,
        type: 'server_error',
        code: 'upstream_error',
      });
  }
}
