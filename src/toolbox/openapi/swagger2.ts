/** Swagger 2.0's way of saying what an operation takes and where it lives, said in OpenAPI 3's. Checks nothing. */
import type { JsonObject } from './schema.ts';

const FORM = 'application/x-www-form-urlencoded';
const STYLES: ReadonlyMap<string, string> = new Map([
  ['ssv', 'spaceDelimited'],
  ['pipes', 'pipeDelimited'],
]);

/** `parameters` without bodies and forms, and those as a `requestBody`. */
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

/** The one address of a Swagger 2.0 document; relative where it does not name scheme or host. */
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
    // A parameter is its own schema there; its description is said once.
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
  // Files may only be sent as multipart there, so that the list says it all.
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
