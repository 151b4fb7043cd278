/** The vector stores API: the endpoints of its resources together. */
import type { Endpoint } from '../http/endpoint.ts';
import type { Services } from '../http/services.ts';
import { storeFileEndpoints } from './store-files.ts';
import { storeEndpoints } from './stores.ts';

export function storesApi(services: Services): readonly Endpoint[] {
  return [...storeEndpoints(services), ...storeFileEndpoints(services)];
}
