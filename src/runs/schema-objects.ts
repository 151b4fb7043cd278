/**
 * JSON Schemas as PHP writes them: an empty array and an empty object are the same there, and both are written as `[]`.
 * Knows where a schema means an object. Pure.
 */
import { isRecord } from './record.ts';

/** Keywords whose value is a schema; `items` may also be a list of them. */
const SCHEMA: ReadonlySet<string> = new Set([
  'additionalItems',
  'additionalProperties',
  'contains',
  'contentSchema',
  'else',
  'if',
  'items',
  'not',
  'propertyNames',
  'then',
  'unevaluatedItems',
  'unevaluatedProperties',
]);
/** Keywords whose value is an object of schemas, by name. */
const SCHEMAS_BY_NAME: ReadonlySet<string> = new Set([
  '$defs',
  'definitions',
  'dependencies',
  'dependentSchemas',
  'patternProperties',
  'properties',
]);
/** Keywords whose value is an object of something else. */
const OBJECTS: ReadonlySet<string> = new Set(['$vocabulary', 'dependentRequired']);
/** Keywords whose value is a list of schemas. */
const LISTS: ReadonlySet<string> = new Set(['allOf', 'anyOf', 'oneOf', 'prefixItems']);

/** The schema with `{}` for each `[]` that stands for an object; lists such as `required` and `enum` stay. */
export function withSchemaObjects(
  schema: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  return changed(schema, (keyword, value) => {
    if (SCHEMAS_BY_NAME.has(keyword)) return byName(value);
    if (SCHEMA.has(keyword)) return schemaIn(value);
    if (LISTS.has(keyword) && Array.isArray(value)) return value.map(schemaIn);
    return OBJECTS.has(keyword) && isEmptyList(value) ? {} : value;
  });
}

/** Whether it is `[]`, which PHP also writes for an object without members. */
export function isEmptyList(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

/** {@link withSchemaObjects}, for what may be a schema or `[]`. */
export function schemaIn(value: unknown): unknown {
  if (isEmptyList(value)) return {};
  if (Array.isArray(value)) return value.map(schemaIn);
  return isRecord(value) ? withSchemaObjects(value) : value;
}

function byName(value: unknown): unknown {
  if (isEmptyList(value)) return {};
  // The properties that `dependencies` asks for are a list.
  const isNames = (list: unknown): boolean => Array.isArray(list) && list.length > 0;
  return isRecord(value) ? changed(value, (_name, each) => (isNames(each) ? each : schemaIn(each))) : value;
}

/** The object with its values changed. Its own `__proto__`, which is a name like others, stays its own. */
function changed(
  object: Readonly<Record<string, unknown>>,
  change: (key: string, value: unknown) => unknown,
): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(key, value)]));
}
