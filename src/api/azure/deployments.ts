/** `/openai/deployments/{deployment}/…`: the endpoints whose model stands in the path, where it counts for more than the body's. */
import { unsupported } from '../../errors.ts';
import type { Call } from '../http/call.ts';
import type { Endpoint } from '../http/endpoint.ts';

/** What `AzureOpenAI` asks under a deployment, by what it is called where this server lacks it. */
const OPERATIONS = {
  '/chat/completions': 'Chat completions are',
  '/embeddings': 'Embeddings are',
} as const;

/** The shared endpoints that a deployment has, each for the model or alias that is named like the deployment. */
export function deploymentEndpoints(shared: readonly Endpoint[]): readonly Endpoint[] {
  return Object.entries(OPERATIONS).map(([operation, what]): Endpoint => {
    const endpoint = shared.find(({ method, path }) => method === 'POST' && path === operation);
    return {
      ...endpoint,
      method: 'POST',
      // Names of models have slashes, and SDKs write them as they are.
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

/** An answer that is to come from the caller's documents must not come without them. */
function refuseDataSources(call: Call): void {
  if (call.glance('data_sources') != null) throw unsupported("'data_sources' is", 'data_sources');
}
