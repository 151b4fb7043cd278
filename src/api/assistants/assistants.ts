/** `/assistants`: create, list, retrieve, modify, delete. */
import { z } from 'zod';
import { notFound } from '../../errors.ts';
import type { Assistant } from '../../runs/thread.ts';
import { json, type Endpoint } from '../http/endpoint.ts';
import { page } from '../http/list.ts';
import type { Services } from '../http/services.ts';
import { resourcesFrom } from '../../turns/resources.ts';
import { admitWrite } from '../../turns/trial-writes.ts';
import * as shapes from './shapes.ts';

const fields = {
  name: z.string().max(256).nullish(),
  description: z.string().max(512).nullish(),
  instructions: z.string().max(shapes.MAX_INSTRUCTIONS_LENGTH).nullish(),
  tools: shapes.tools.nullish(),
  tool_resources: shapes.toolResources,
  metadata: shapes.metadata,
  temperature: shapes.temperature,
  top_p: shapes.topP,
  response_format: shapes.responseFormat,
  reasoning_effort: shapes.reasoningEffort,
};
const createBody = z.strictObject({ model: z.string().min(1).max(256), ...fields });
const modifyBody = z.strictObject({ model: z.string().min(1).max(256).nullish(), ...fields });

/** The value of a field that was never given, or was reset by an explicit null. */
const DEFAULTS = {
  name: null,
  description: null,
  instructions: null,
  tools: [],
  tool_resources: {},
  metadata: {},
  temperature: 1,
  top_p: 1,
  reasoning_effort: null,
  response_format: 'auto',
} satisfies Partial<Assistant>;

export function assistantEndpoints(services: Services): readonly Endpoint[] {
  const { objects, now } = services;
  return [
    {
      method: 'POST',
      path: '/assistants',
      handle: async (call) => {
        const { model, tool_resources: resources, ...given } = call.body(createBody);
        const own = { id: call.newId('asst'), object: 'assistant', created_at: now(), model } as const;
        await admitWrite(services, call, { makes: own.id });
        const tool_resources = await resourcesFrom(services, call, resources, null);
        const assistant = withRoom({ ...own, ...DEFAULTS, ...stated(given), tool_resources });
        await objects.assistants.create(call.project, assistant);
        return json(assistant);
      },
    },
    {
      method: 'GET',
      path: '/assistants',
      handle: (call) => page(call, (query) => objects.assistants.list(call.project, query)),
    },
    {
      method: 'GET',
      path: '/assistants/:assistant_id',
      handle: async (call) => {
        const id = call.id('assistant_id');
        return json((await objects.assistants.get(call.project, id)) ?? refuse(id));
      },
    },
    {
      method: 'POST',
      path: '/assistants/:assistant_id',
      handle: async (call) => {
        const id = call.id('assistant_id');
        if ((await objects.assistants.get(call.project, id)) === null) refuse(id);
        const { tool_resources: resources, ...body } = call.body(modifyBody);
        const given = mentioned(body, call.names);
        await admitWrite(services, call, {});
        const named = await resourcesFrom(services, call, resources, null);
        const change = (old: Assistant): Assistant => {
          const before = resources === null ? {} : old.tool_resources;
          return withRoom({ ...old, ...given, tool_resources: { ...before, ...named } });
        };
        return json((await objects.assistants.update(call.project, id, change)) ?? refuse(id));
      },
    },
    {
      method: 'DELETE',
      path: '/assistants/:assistant_id',
      handle: async (call) => {
        const id = call.id('assistant_id');
        if ((await objects.assistants.get(call.project, id)) === null) refuse(id);
        await objects.assistants.delete(call.project, id);
        return json({ id, object: 'assistant.deleted', deleted: true });
      },
    },
  ];
}

function refuse(id: string): never {
  throw notFound('assistant', id);
}

/** An assistant with a code interpreter shows that it may have files for it, as at the hosted API. */
function withRoom(assistant: Assistant): Assistant {
  const isNeeded = assistant.tools.some(({ type }) => type === 'code_interpreter');
  if (!isNeeded || assistant.tool_resources.code_interpreter !== undefined) return assistant;
  return {
    ...assistant,
    tool_resources: { code_interpreter: { file_ids: [] }, ...assistant.tool_resources },
  };
}

type Fields = Omit<z.infer<typeof modifyBody>, 'model' | 'tool_resources'>;

/** The fields that have a value; null and absent are the same when an assistant is created. */
function stated(given: Fields): Partial<Assistant> {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value != null));
}

/** The fields the client mentioned: an explicit null resets to the default, an absent field stays as it is. */
function mentioned(
  given: Omit<z.infer<typeof modifyBody>, 'tool_resources'>,
  names: readonly string[],
): Partial<Assistant> {
  const entries = Object.entries(given).filter(
    ([name, value]) => names.includes(name) && (name !== 'model' || value),
  );
  const defaults: Readonly<Record<string, unknown>> = DEFAULTS;
  return Object.fromEntries(entries.map(([name, value]) => [name, value ?? defaults[name]]));
}
