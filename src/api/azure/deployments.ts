/** `/openai/deployments/{deployment}/…`: the endpoints with the model in their path, where it overrides the body's. */
import { unsupported } from '../../errors.ts';
import type { Call } from '../http/call.ts';
import type { Endpoint } from '../http/endpoint.ts';

/**
 * The operations that `AzureOpenAI` calls under a deployment, and their names for the refusal where this server lacks one.
 */
const OPERATIONS = {
  '/chat/completions': 'Chat completions are',
  '/embeddings': 'Embeddings are',
} as const;

/** The shared endpoints that a deployment has. The deployment's name is the model or alias. */
export function deploymentEndpoints(shared: readonly Endpoint[]): readonly Endpoint[] {
  return Object.entries(OPERATIONS).map(([operation, what]): Endpoint => {
    const endpoint = shared.find(({ method, path }) => method === 'POST' && path === operation);
    return {
      ...endpoint,
      method: 'POST',
      // Names of models may have slashes, which SDKs do not escape.
      path: `/deployments/*deployment${operation}`,
      handle: (call) => {
        if (endpoint === undefined) throw unsupported(what, null);
        refuseDataSources(call);
        call.impose({ model: call.part('deployment') });
        return endpoint.handle(call);
      },
    };
  });
}

/** Refused rather than ignored: the answer must not come without the caller's documents. */
function refuseDataSources(call: Call): void {
  if (call.glance('data_sources') != null) throw unsupported("'data_sources' is", 'data_sources');
}
