/**
 * The paths where clients of Azure find the API. Behind them is the same API as for other clients; this folder knows
 * only the paths, their deployments, and the names that the Foundry agents client uses. `api-version` has no effect.
 */
import type { Endpoint } from '../http/endpoint.ts';
import type { Mount } from '../http/router.ts';
import { deploymentEndpoints } from './deployments.ts';
import { foundryEndpoints, foundryRefusal } from './foundry.ts';

/** Any project name is accepted: the key decides which objects a caller sees. Preview versions used the second base. */
const FOUNDRY_BASES = ['/api/projects/:project', '/agents/v1.0/subscriptions/*path/workspaces/:workspace'];

/** @param shared the endpoints of all base paths, already able to answer repetitions */
export function azureMounts(shared: readonly Endpoint[]): readonly Mount[] {
  const agents = foundryEndpoints(shared);
  return [
    { base: '/openai/v1', endpoints: shared },
    { base: '/openai', endpoints: [...shared, ...deploymentEndpoints(shared)] },
    ...FOUNDRY_BASES.map((base): Mount => ({ base, endpoints: agents, refusal: foundryRefusal })),
  ];
}
