/**
 * Derives from one operation what its tool takes, and where each argument goes in the request. An operation that cannot
 * be called as described (files, cookies, references to other documents) is refused with a reason. Sends nothing.
 */
import { z } from 'zod';
import type { JsonSchema } from '../../runs/tool.ts';
import type { ApiDocument, Operation } from './document.ts';
import {
  cut,
  inlineSchema,
  isObject,
  newBudget,
  OpenApiError,
  type Budget,
  type JsonObject,
} from './schema.ts';
import { modernInputs, modernServers } from './swagger2.ts';

/** One argument of the tool. */
export interface Input {
  /** Its name for the model. */
  readonly argument: string;
  /** Its name in the API. */
  readonly name: string;
  /** `whole-body`: the argument is the body; `body`: a property of it. */
  readonly place: 'path' | 'query' | 'header' | 'body' | 'whole-body';
  readonly required: boolean;
  readonly schema: JsonSchema;
  readonly style: Style;
}

/** How lists and objects are written into a query. */
export type Style = 'repeated' | 'commas' | 'spaces' | 'pipes' | 'brackets' | 'json';

export interface ApiEndpoint {
  readonly method: string;
  readonly path: string;
  readonly description: string;
  /** The inputs as a model is told them. */
  readonly parameters: JsonSchema;
  readonly inputs: readonly Input[];
  /** Content type of the body; null when there never is one. */
  readonly bodyType: 'application/json' | 'application/x-www-form-urlencoded' | null;
  /** The API's possible addresses, the most specific first, with variables; relative to the document. */
  readonly servers: readonly JsonObject[];
}

/** Headers that models may not set: identity, framing, and those that we send ourselves. */
const OWN_HEADERS = new Set([
  'accept',
  'authorization',
  'connection',
  'content-length',
  'content-type',
  'cookie',
  'expect',
  'host',
  'idempotency-key',
  'proxy-authorization',
  'te',
  'transfer-encoding',
  'upgrade',
]);

/** Header names as HTTP allows them; others would fail when they are sent. */
const HEADER_NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;
/** Size of one operation's parameters as a model is told them: most have 1 KB, the longest public ones 10 KB. */
const MAX_PARAMETERS_CHARS = 64 * 1024;

/** A `null` in a document means the same as a missing field. */
const flag = z.boolean().nullish();
const parameterSchema = z.object({
  name: z.string().min(1),
  in: z.enum(['path', 'query', 'header', 'cookie']),
  required: flag,
  description: z.string().nullish(),
  schema: z.unknown().optional(),
  style: z.string().nullish(),
  explode: flag,
  content: z.record(z.string(), z.unknown()).nullish(),
});

type Parameter = z.infer<typeof parameterSchema>;

/**
 * @param headers names of headers that the configuration sets, in lower case
 * @throws {OpenApiError} saying why the operation cannot be a tool
 */
export function describeEndpoint(
  operation: Operation,
  document: ApiDocument,
  headers: ReadonlySet<string>,
): ApiEndpoint {
  const { value, item, method, path } = operation;
  if (!path.startsWith('/')) throw new OpenApiError("its path does not begin with '/'");
  const budget = newBudget();
  const said = inputsOf(operation, document);
  const isAsked = (one: Parameter): boolean => {
    if (one.in === 'cookie') return one.required === true;
    return one.in !== 'header' || !isOwnHeader(one.name.toLowerCase(), headers, document);
  };
  const inputs = said.parameters.filter(isAsked).map((one) => parameterInput(one, document, budget));
  const body = bodyOf(said.requestBody, document, budget, new Set(inputs.map((one) => one.argument)));
  const all = named([...inputs, ...body.inputs]);
  return {
    method,
    path,
    description: descriptionOf(operation),
    parameters: parametersOf(all),
    inputs: all,
    bodyType: body.type,
    servers: serversOf(value, item, document),
  };
}

function descriptionOf({ value, method, path }: Operation): string {
  const texts = [value['summary'], value['description']].filter((text) => typeof text === 'string');
  const description = [...new Set(texts)].join('\n\n').trim();
  return cut(description === '' ? `${method} ${path}` : description);
}

function parametersOf(inputs: readonly Input[]): JsonSchema {
  const parameters = {
    type: 'object',
    properties: Object.fromEntries(inputs.map((one) => [one.argument, one.schema])),
    required: inputs.filter((one) => one.required).map((one) => one.argument),
    additionalProperties: false,
  };
  const chars = JSON.stringify(parameters).length;
  if (chars <= MAX_PARAMETERS_CHARS) return parameters;
  throw new OpenApiError(
    `its parameters take ${chars} characters to describe, more than ${MAX_PARAMETERS_CHARS}`,
  );
}

function inputsOf(
  { value, item }: Operation,
  document: ApiDocument,
): { readonly parameters: readonly Parameter[]; readonly requestBody: unknown } {
  // An operation's parameter replaces its path's parameter of the same name.
  const all = new Map<string, JsonObject>();
  for (const given of [item['parameters'], value['parameters']].flatMap(listOf)) {
    const one = document.resolve(given);
    if (!isObject(one)) throw new OpenApiError('one of its parameters is not an object');
    all.set(`${String(one['in'])} ${String(one['name'])}`, one);
  }
  const consumes = listOf(value['consumes'] ?? document.root['consumes']);
  const modern = document.isSwagger2
    ? modernInputs([...all.values()], consumes)
    : { parameters: [...all.values()], requestBody: value['requestBody'] };
  return { parameters: modern.parameters.map(checkParameter), requestBody: modern.requestBody };
}

function checkParameter(given: JsonObject): Parameter {
  const parsed = parameterSchema.safeParse(given);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new OpenApiError(`a parameter of it is wrong: ${issue?.path.join('.')}: ${issue?.message}`);
}

function parameterInput(one: Parameter, document: ApiDocument, budget: Budget): Input {
  const place = one.in;
  if (place === 'cookie') throw new OpenApiError(`it needs a cookie ('${one.name}')`);
  if (place === 'header' && !HEADER_NAME.test(one.name)) {
    throw new OpenApiError(`'${one.name}' is no name of a header`);
  }
  if (place === 'path' && one.style != null && one.style !== 'simple') {
    throw new OpenApiError(`its path is written in the style '${one.style}'`);
  }
  const [content] = Object.values(one.content ?? {});
  const schema = inlineSchema(isObject(content) ? content['schema'] : one.schema, document.resolve, budget);
  return {
    argument: one.name,
    name: one.name,
    place,
    required: place === 'path' || one.required === true,
    schema: one.description == null ? schema : { ...schema, description: cut(one.description) },
    style: content === undefined ? styleOf(one) : 'json',
  };
}

function styleOf({ style, explode }: Parameter): Style {
  if (style === 'deepObject') return 'brackets';
  if (style === 'spaceDelimited') return 'spaces';
  if (style === 'pipeDelimited') return 'pipes';
  return explode === false ? 'commas' : 'repeated';
}

function bodyOf(
  given: unknown,
  document: ApiDocument,
  budget: Budget,
  taken: ReadonlySet<string>,
): { readonly type: ApiEndpoint['bodyType']; readonly inputs: readonly Input[] } {
  const body = document.resolve(given);
  if (body == null) return { type: null, inputs: [] };
  if (!isObject(body) || !isObject(body['content'])) throw new OpenApiError('its body says no content type');
  const types = Object.keys(body['content']);
  const json = types.find((type) => /^(application\/([\w.-]+\+)?json|\*\/\*)\b/i.test(type));
  const form = types.find((type) => type.startsWith('application/x-www-form-urlencoded'));
  const type = json ?? form;
  if (type === undefined) throw new OpenApiError(`its body can only be sent as ${types.join(', ')}`);
  const media = document.resolve(body['content'][type]);
  const schema = inlineSchema(isObject(media) ? media['schema'] : {}, document.resolve, budget);
  const required = body['required'] === true;
  const shared = { style: 'repeated' } as const;
  const properties = isObject(schema['properties']) ? schema['properties'] : {};
  const inputs = isFlat(schema, taken)
    ? Object.entries(properties).map(([name, one]): Input => ({
        ...shared,
        argument: name,
        name,
        place: 'body',
        required: required && listOf(schema['required']).includes(name),
        schema: isObject(one) ? one : {},
      }))
    : [{ ...shared, argument: 'body', name: 'body', place: 'whole-body' as const, required, schema }];
  return { type: json === undefined ? 'application/x-www-form-urlencoded' : 'application/json', inputs };
}

/** Whether the body's properties can become arguments of their own: they describe the whole body, and no name is taken. */
function isFlat(schema: JsonSchema, taken: ReadonlySet<string>): boolean {
  const isOpen = ['additionalProperties', 'allOf', 'anyOf', 'oneOf'].some((key) => schema[key]);
  const names = isObject(schema['properties']) ? Object.keys(schema['properties']) : [];
  return !isOpen && names.length > 0 && !names.some((name) => taken.has(name));
}

/** Gives arguments with the same name different ones: `id` of the path, and `query_id`. */
function named(inputs: readonly Input[]): readonly Input[] {
  const taken = new Set<string>();
  return inputs.map((input) => {
    let argument = input.argument;
    for (let n = 1; taken.has(argument); n += 1) {
      argument = `${input.place.replace('whole-', '')}_${input.name}${n === 1 ? '' : n}`;
    }
    taken.add(argument);
    return { ...input, argument };
  });
}

function isOwnHeader(name: string, configured: ReadonlySet<string>, { root, resolve }: ApiDocument): boolean {
  if (OWN_HEADERS.has(name) || configured.has(name)) return true;
  const components = isObject(root['components']) ? root['components'] : root;
  const schemes = components['securitySchemes'] ?? components['securityDefinitions'];
  return Object.values(isObject(schemes) ? schemes : {}).some((given) => {
    const scheme = resolve(given);
    return isObject(scheme) && scheme['in'] === 'header' && String(scheme['name']).toLowerCase() === name;
  });
}

function serversOf(
  value: JsonObject,
  item: JsonObject,
  { root, isSwagger2 }: ApiDocument,
): readonly JsonObject[] {
  if (isSwagger2) return modernServers(root);
  return [value['servers'], item['servers'], root['servers'], [{ url: '/' }]]
    .flatMap(listOf)
    .filter(isObject);
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
