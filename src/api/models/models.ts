/** `/models`: the names that a client may use as a model. */
import { ApiError, unknownModel } from '../../errors.ts';
import type { Call } from '../http/call.ts';
import { json, type Endpoint } from '../http/endpoint.ts';
import type { ListedModel, Services } from '../http/services.ts';

/** More would make the list useless in a menu. */
const MAX_ASSISTANTS = 100;

export function modelEndpoints({ models, objects }: Services): readonly Endpoint[] {
  /** The models of the upstreams, and the project's assistants, which chat clients use as models. */
  const all = async (call: Call): Promise<readonly ListedModel[]> => {
    const query = { limit: MAX_ASSISTANTS, order: 'desc', after: null, before: null } as const;
    const [upstream, page] = await Promise.all([models(call), objects.assistants.list(call.project, query)]);
    const assistants = page.type === 'page' ? page.items : [];
    return [
      ...upstream,
      ...assistants.map(({ id, created_at: created, name }): ListedModel => ({
        id: name || id,
        object: 'model',
        created,
        owned_by: id,
      })),
    ];
  };
  return [
    {
      method: 'GET',
      path: '/models',
      handle: async (call) => json({ object: 'list', data: listed(await all(call)) }),
    },
    {
      method: 'GET',
      // Names of models may have slashes: `vendor/model`.
      path: '/models/*model',
      handle: async (call) => {
        const id = call.part('model');
        const found = (await all(call)).find((model) => model.id === id || model.owned_by === id);
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

/**
 * The entries for a menu. Of assistants with the same name only the newest is listed, because entries should differ.
 * Assistants without a name are left out, because an id means nothing to a reader.
 */
function listed(models: readonly ListedModel[]): readonly ListedModel[] {
  const ids = new Set<string>();
  return models.filter(({ id, owned_by: owner }) => !isNameless(id, owner) && !ids.has(id) && ids.add(id));
}

const isNameless = (id: string, owner: string): boolean => id === owner && id.startsWith('asst_');
