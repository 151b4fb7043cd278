/**
 * Where clients of Azure find the API. What they ask there is the API that everybody else has; the folder knows the paths,
 * the deployments in them, and what the Foundry agents client calls things. Their `api-version` changes nothing.
 */
import type { Endpoint } from '../http/endpoint.ts';
import type { Mount } from '../http/router.ts';
import { deploymentEndpoints } from './deployments.ts';
import { foundryEndpoints, foundryRefusal } from './foundry.ts';

/** Any project is this server's: whose objects a caller sees, the key says. The second is what previews asked. */
const FOUNDRY_BASES = ['/api/projects/:project', '/agents/v1.0/subscriptions/*path/workspaces/:workspace'];

/** @param shared the endpoints of all base paths, as repetitions of requests reach them */
export function azureMounts(shared: readonly Endpoint[]): readonly Mount[] {
  const agents = foundryEndpoints(shared);
  return [
    { base: '/openai/v1', endpoints: shared },
    { base: '/openai', endpoints: [...shared, ...deploymentEndpoints(shared)] },
    ...FOUNDRY_BASES.map((base): Mount => ({ base, endpoints: agents, refusal: foundryRefusal })),
  ];
}
