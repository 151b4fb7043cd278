/**
 * A sketch of the API as an OpenAPI document, for testers that draw their requests from one: `node test/fuzz/openapi.ts`. The
 * routes are those of the fuzzer, the bodies those that the service itself reads, where a schema says them.
 *
 *   node test/fuzz/openapi.ts > /tmp/longrun.json
 *   schemathesis run /tmp/longrun.json --url http://127.0.0.1:8080
 */
import { z } from 'zod';
import { createRunBody, createThreadAndRunBody } from '../../src/api/assistants/new-run.ts';
import { createThreadBody, listQuery, metadata, newMessage, tools } from '../../src/api/assistants/shapes.ts';
import { ROUTES } from './routes.ts';

const labels = z.strictObject({ metadata });
const assistant = z.strictObject({
  model: z.string().min(1),
  name: z.string().nullish(),
  instructions: z.string().nullish(),
  tools: tools.nullish(),
  metadata,
});
const chat = z.looseObject({
  model: z.string().min(1),
  messages: z
    .array(z.looseObject({ role: z.enum(['system', 'user', 'assistant']), content: z.string() }))
    .min(1),
  stream: z.boolean().nullish(),
  thread_id: z.string().nullish(),
});

/** The bodies, by what their route ends in; the first that fits. */
const BODIES: readonly (readonly [ending: RegExp, body: z.ZodType])[] = [
  [/\/threads\/runs$/, createThreadAndRunBody],
  [
    /\/submit_tool_outputs$/,
    z.strictObject({
      tool_outputs: z.array(z.looseObject({ tool_call_id: z.string(), output: z.string() })),
      stream: z.boolean().nullish(),
    }),
  ],
  [/\/cancel$/, z.strictObject({})],
  [/\/runs$/, createRunBody],
  [/\/threads$/, createThreadBody],
  [/\/messages$/, newMessage],
  [/\/assistants(?:\/:assistant_id)?$/, assistant],
  [/\/execute$/, z.looseObject({ query: z.string().min(1), stream: z.boolean().nullish() })],
  [/\/pluginapi$/, z.unknown()],
  [/\/(?:completions|chat)$/, chat],
  [/:\w+$/, labels],
];

const LISTS = /^GET .*\/(?:assistants|runs|messages|steps)$/;
const ENVELOPE = {
  type: 'object',
  required: ['error'],
  properties: { error: { type: 'object', required: ['message', 'type', 'param', 'code'] } },
};

const schemaOf = (schema: z.ZodType): object =>
  z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
const parameter = (name: string, where: 'path' | 'query', schema: object): object => ({
  name,
  in: where,
  required: where === 'path',
  schema,
});

function operation(route: string, path: string): object {
  const named = [...path.matchAll(/[:*](\w+)/g)].map(([, name = '']) =>
    parameter(name, 'path', { type: 'string', minLength: 1 }),
  );
  const paging = LISTS.test(route)
    ? Object.entries(listQuery.shape).map(([name, schema]) => parameter(name, 'query', schemaOf(schema)))
    : [];
  const plugin = path.endsWith('/pluginapi')
    ? ['tid', 'pid'].map((name) => parameter(name, 'query', { type: 'string' }))
    : [];
  const body = route.startsWith('POST ') ? BODIES.find(([ending]) => ending.test(path))?.[1] : undefined;
  const refusal = {
    description: 'A refusal.',
    content: { 'application/json': path.endsWith('/execute') ? {} : { schema: ENVELOPE } },
  };
  return {
    parameters: [...named, ...paging, ...plugin],
    ...(body !== undefined && {
      requestBody: { content: { 'application/json': { schema: schemaOf(body) } } },
    }),
    responses: {
      200: { description: 'An answer.', content: { 'application/json': {}, 'text/event-stream': {} } },
      '4XX': refusal,
      // A model server that fails; too much to do.
      502: refusal,
      503: refusal,
    },
  };
}

const paths: Record<string, Record<string, object>> = {};
for (const route of Object.keys(ROUTES)) {
  const [method = '', path = ''] = route.split(' ');
  const template = path.replaceAll(/[:*](\w+)/g, '{$1}');
  paths[template] = { ...paths[template], [method.toLowerCase()]: operation(route, path) };
}
console.log(JSON.stringify({ openapi: '3.1.0', info: { title: 'Longrun', version: '1' }, paths }, null, 2));
