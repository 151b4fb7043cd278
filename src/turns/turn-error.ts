/** What callers are told where the run that answers them has failed, in all protocols that answer with the end of a run. */
import { ApiError, retryAfter } from '../errors.ts';
import type { TurnEvent } from './turn-events.ts';

export type FailedTurn = Pick<Extract<TurnEvent, { type: 'failed' }>, 'error' | 'retryAfterMs' | 'said'>;

/**
 * A failed run as an error that clients know. The caller decides whether to try again, because the upstream was
 * retried already.
 */
export function turnError({ error: { code, message }, retryAfterMs, said = {} }: FailedTurn): ApiError {
  const told = { param: said.param ?? null, code: said.code ?? code };
  const headers = {
    'x-should-retry': 'false',
    ...(retryAfterMs !== undefined && retryAfter(retryAfterMs)),
  };
  switch (code) {
    case 'rate_limit_exceeded':
      return new ApiError(429, message, { type: 'rate_limit_error', ...told, headers });
    case 'invalid_prompt':
    case 'context_length_exceeded':
    case 'cancelled':
      // Clients try a 5xx again, and would interrupt the very turn that theirs was interrupted for.
      return new ApiError(400, message, { ...told, headers });
    case 'server_error':
      return new ApiError(502, message, {
        type: 'server_error',
        ...told,
        code: said.code ?? 'upstream_error',
        headers,
      });
  }
}
