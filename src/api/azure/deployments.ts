/** `/openai/deployments/{deployment}/…`: the endpoints with the model in their path, where it overrides the body's. */
import { unsupported } from '../../errors.ts';
import type { Call } from '../http/call.ts';
import type { Endpoint } from '../http/endpoint.ts';

/** The operations that `AzureOpenAI` calls under a deployment. */
const OPERATIONS: ReadonlySet<string> = new Set([
  '/chat/completions',
  '/completions',
  '/embeddings',
  '/audio/speech',
  '/audio/transcriptions',
  '/audio/translations',
  '/images/generations',
  '/images/edits',
]);

/** The shared endpoints that a deployment has. The deployment's name is the model or alias. */
export function deploymentEndpoints(shared: readonly Endpoint[]): readonly Endpoint[] {
  return shared
    .filter(({ method, path }) => method === 'POST' && OPERATIONS.has(path))
    .map((endpoint): Endpoint => ({
      ...endpoint,
      // Names of models may have slashes, which SDKs do not escape.
      path: `/deployments/*deployment${endpoint.path}`,
      handle: (call) => {
        refuseDataSources(call);
        call.impose({ model: call.part('deployment') });
        return endpoint.handle(call);
      },
    }));
}

/** Refused rather than ignored: the answer must not come without the caller's documents. */
function refuseDataSources(call: Call): void {
  if (call.glance('data_sources') != null) throw unsupported("'data_sources' is", 'data_sources');
}
