/** `/models`: what assistants may name as their model (contract D1–D3). */
import { ApiError, unknownModel } from '../../errors.ts';
import { json, type Endpoint } from '../endpoint.ts';
import type { Services } from '../services.ts';

export function modelEndpoints({ models }: Services): readonly Endpoint[] {
  return [
    { method: 'GET', path: '/models', handle: async () => json({ object: 'list', data: await models() }) },
    {
      method: 'GET',
      // Names of models have slashes: `vendor/model`.
      path: '/models/*model',
      handle: async (call) => {
        const id = call.part('model');
        const found = (await models()).find((model) => model.id === id);
        if (found === undefined) throw unknownModel(id);
        return json(found);
      },
    },
    {
      method: 'DELETE',
      path: '/models/*model',
      handle: () => {
        throw new ApiError(403, 'Models belong to the upstream of this server and cannot be deleted here.');
      },
    },
  ];
}
