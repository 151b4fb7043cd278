/** Seals what a request brings that must not be stored in clear on its way to the worker. */
import { ApiError } from '../errors.ts';
import type { RemoteTarget } from '../runs/remote.ts';
import type { Caller } from './caller.ts';
import type { Means } from './means.ts';

/** The caller's own upstream key, sealed; null where callers have none. */
export function sealedKey(means: Means, caller: Caller): string | null {
  return sealed(means, caller, {});
}

/**
 * The caller's own upstream key, sensitive variables and MCP servers, sealed; null where there are none.
 * @param servers by their labels
 * @throws {ApiError} 400 when there are secrets, and this server has no SECRET to seal them with.
 */
export function sealed(
  { seal }: Means,
  { upstreamKey }: Caller,
  variables: Readonly<Record<string, string>>,
  servers: Readonly<Record<string, RemoteTarget>> = {},
): string | null {
  const isEmpty = Object.keys(variables).length === 0 && Object.keys(servers).length === 0;
  if (upstreamKey === null && isEmpty) return null;
  if (seal !== null) return seal.close({ upstreamKey, variables, servers });
  const text =
    'This server takes no sensitive variables, because its operator has set no SECRET to seal them with.';
  throw new ApiError(400, text, { param: 'variables.sensitive_variables', code: 'unsupported' });
}
