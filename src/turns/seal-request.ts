/** What a request brings along that must not be stored in clear, on its way to the worker. */
import { ApiError } from '../errors.ts';
import type { Call } from '../api/http/endpoint.ts';
import type { Services } from './means.ts';

/** The caller's own upstream key, sealed; null where callers have none. */
export function sealedKey(services: Services, call: Call): string | null {
  return sealed(services, call, {});
}

/**
 * The caller's own upstream key and sensitive variables, sealed; null where there are none.
 * @throws {ApiError} 400 for secrets that this server has no SECRET to seal with.
 */
export function sealed(
  { seal }: Services,
  { upstreamKey }: Call,
  variables: Readonly<Record<string, string>>,
): string | null {
  if (upstreamKey === null && Object.keys(variables).length === 0) return null;
  if (seal !== null) return seal.close({ upstreamKey, variables });
  const text =
    'This server takes no sensitive variables, because its operator has set no SECRET to seal them with.';
  throw new ApiError(400, text, { param: 'variables.sensitive_variables', code: 'unsupported' });
}
