/** Schemas as strict servers take them, whatever was stored by earlier versions or listed by a tool server. Pure. */
import { withSchemaObjects } from '../runs/schema-objects.ts';

/**
 * The parameters of a function: an object with `properties`, even when there are none, and no `[]` where an object is
 * meant. The same object where nothing has to change.
 */
export function fitParameters(
  parameters: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const { type, properties } = parameters;
  const schema = hasEmptyList(parameters) ? withSchemaObjects(parameters) : parameters;
  // Without a type, or with Python's `None` for one, servers cannot tell that arguments have names.
  const isTyped = type !== undefined && type !== null && type !== 'None';
  if (isTyped && (type !== 'object' || properties != null)) return schema;
  const typed = isTyped ? schema : { ...schema, type: 'object' };
  return typed['properties'] == null ? { ...typed, properties: {} } : typed;
}

function hasEmptyList(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return (Array.isArray(value) && value.length === 0) || Object.values(value).some(hasEmptyList);
}
