/** Seals what a request brings that must not be stored in clear on its way to the worker. */
import { ApiError } from '../errors.ts';
import type { Caller } from './caller.ts';
import type { Means } from './means.ts';

/** The caller's own upstream key, sealed; null where callers have none. */
export function sealedKey(means: Means, caller: Caller): string | null {
  return sealed(means, caller, {});
}

/**
 * The caller's own upstream key and sensitive variables, sealed; null where there are none.
 * @throws {ApiError} 400 when there are secrets, and this server has no SECRET to seal them with.
 */
export function sealed(
  { seal }: Means,
  { upstreamKey }: Caller,
  variables: Readonly<Record<string, string>>,
): string | null {
  if (upstreamKey === null && Object.keys(variables).length === 0) return null;
  if (seal !== null) return seal.close({ upstreamKey, variables });
  const text =
    'This server takes no sensitive variables, because its operator has set no SECRET to seal them with.';
  throw new ApiError(400, text, { param: 'variables.sensitive_variables', code: 'unsupported' });
}
