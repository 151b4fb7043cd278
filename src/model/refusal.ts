/** What an upstream answers in place of a turn: an error status, a redirect, or nothing at all. */
import type { IncomingHttpHeaders } from 'node:http';
import { ModelError } from '../runs/model.ts';
import type { UpstreamAnswer } from './upstream-answer.ts';
import { isGood, isRedirect } from './client.ts';
import { redirected, refused, unreachable } from './failure.ts';
import { isPassing } from './faults.ts';
import { parseJson } from './json.ts';
import type { Route } from './upstreams.ts';

/** How much of an error body is read; error pages can be long. */
const MAX_ERROR_BYTES = 64 * 1024;
/** The longest wait that a client is told. */
const MAX_TOLD_WAIT_MS = 86_400_000;
/** undici refuses to send such a request. */
const UNSENDABLE = 'UND_ERR_INVALID_ARG';

/** Waits for the head of an answer that may hold a turn. @throws {UpstreamFailure} for any other, and what the connection throws */
export async function requireGood(there: Route, answer: UpstreamAnswer): Promise<void> {
  const { status, headers } = await answer.head();
  if (isGood(status)) return;
  if (isRedirect(status)) throw redirected(there.upstream, status, headers.location ?? null);
  const text = await answer.text(MAX_ERROR_BYTES);
  const isForbidden = headers['x-should-retry'] === 'false';
  throw refused(there, {
    status,
    said: parseJson(text) ?? text,
    retry: { retryable: isPassing(status) && !isForbidden, waitMs: askedWaitMs(headers), isForbidden },
  });
}

/** A request that got no answer, because of `error`: it could not be sent, or its connection failed. */
export function notAnswered(there: Route, error: unknown): ModelError {
  const isUnsendable = error instanceof Error && 'code' in error && error.code === UNSENDABLE;
  return isUnsendable ? unaskable(there, error) : unreachable(there, error);
}

/** A request that cannot be made of what is configured. */
export function unaskable({ upstream, model }: Route, cause: unknown): ModelError {
  const text = `The upstream '${upstream.name}' could not be asked. Check its baseUrl and apiKey.`;
  return new ModelError('server_error', text, { cause, facts: { upstream: upstream.name, model } });
}

/** What `retry-after-ms` or `retry-after` (seconds or a date) asks for, in whole milliseconds. */
function askedWaitMs(headers: IncomingHttpHeaders): number | null {
  const askedMs = waitIn(headers);
  return askedMs === null ? null : Math.min(Math.ceil(askedMs), MAX_TOLD_WAIT_MS);
}

function waitIn(headers: IncomingHttpHeaders): number | null {
  const ms = Number.parseFloat(String(headers['retry-after-ms'] ?? ''));
  if (ms >= 0) return ms;
  const after = headers['retry-after'] ?? '';
  const seconds = Number(after);
  if (after !== '' && seconds >= 0) return seconds * 1000;
  const date = Date.parse(after);
  return Number.isNaN(date) || after.startsWith('-') ? null : Math.max(0, date - Date.now());
}
