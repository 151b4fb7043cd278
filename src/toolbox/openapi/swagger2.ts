/** Translates Swagger 2.0's parameters and addresses into OpenAPI 3's. Checks nothing. */
import type { JsonObject } from './schema.ts';

const FORM = 'application/x-www-form-urlencoded';
const STYLES: ReadonlyMap<string, string> = new Map([
  ['ssv', 'spaceDelimited'],
  ['pipes', 'pipeDelimited'],
]);

/** `parameters` without bodies and forms, and these two as a `requestBody`. */
export function modernInputs(
  parameters: readonly JsonObject[],
  consumes: readonly unknown[],
): { readonly parameters: readonly JsonObject[]; readonly requestBody: unknown } {
  const body = parameters.find((one) => one['in'] === 'body');
  const form = parameters.filter((one) => one['in'] === 'formData');
  const rest = parameters.filter((one) => one['in'] !== 'body' && one['in'] !== 'formData');
  return {
    parameters: rest.map(modernParameter),
    requestBody: body === undefined ? formBody(form, consumes) : jsonBody(body, consumes),
  };
}

/** The one address of a Swagger 2.0 document; relative where it names no scheme or host. */
export function modernServers(root: JsonObject): readonly JsonObject[] {
  const schemes: readonly unknown[] = Array.isArray(root['schemes']) ? root['schemes'] : [];
  const scheme = ['https', 'http'].find((one) => schemes.includes(one));
  const host = typeof root['host'] === 'string' ? `//${root['host']}` : '';
  const base = typeof root['basePath'] === 'string' ? root['basePath'] : '/';
  return [{ url: `${host !== '' && scheme !== undefined ? `${scheme}:` : ''}${host}${base}` }];
}

function modernParameter(parameter: JsonObject): JsonObject {
  const format = typeof parameter['collectionFormat'] === 'string' ? parameter['collectionFormat'] : 'csv';
  return {
    ...parameter,
    // In Swagger 2.0 a parameter is its own schema; its description is given once.
    schema: { ...parameter, description: undefined },
    ...(parameter['in'] === 'query' && { style: STYLES.get(format) ?? 'form', explode: format === 'multi' }),
  };
}

function jsonBody(body: JsonObject, consumes: readonly unknown[]): unknown {
  const types = consumes.length === 0 ? ['application/json'] : consumes.map(String);
  const content = Object.fromEntries(types.map((type) => [type, { schema: body['schema'] }]));
  return { required: body['required'], content };
}

function formBody(form: readonly JsonObject[], consumes: readonly unknown[]): unknown {
  if (form.length === 0) return undefined;
  // Swagger 2.0 allows files only as multipart, so the list of types tells whether there are any.
  const isPlainForm = consumes.length === 0 || consumes.includes(FORM);
  const required = form.filter((one) => one['required'] === true).map((one) => one['name']);
  const properties = Object.fromEntries(form.map((one) => [String(one['name']), one]));
  return {
    required: required.length > 0,
    content: {
      [isPlainForm ? FORM : 'multipart/form-data']: { schema: { type: 'object', properties, required } },
    },
  };
}
