/**
 * Turns schemas of OpenAPI documents into what a model is told: one JSON Schema without references, of a bounded size.
 * Documents are foreign: they may be circular, or short but endless when their references are written out. Checks no
 * values.
 */
import type { JsonSchema } from '../../runs/tool.ts';

/** Why a document, or one operation of it, cannot be used; for operators. */
export class OpenApiError extends Error {
  override readonly name = 'OpenApiError';
}

/** Follows references until the value is not a reference. @throws {OpenApiError} when one leads out of the document. */
export type ResolveReference = (value: unknown) => unknown;

export type JsonObject = Readonly<Record<string, unknown>>;

/** Models make no use of deeper levels. */
const MAX_DEPTH = 12;
/** Subschemas of one operation. Tools are part of every prompt, so this many already are thousands of tokens. */
const MAX_SUBSCHEMAS = 500;
/** The longest list of values, such as an enum. */
const MAX_VALUES = 256;
/** The longest description of a tool, a parameter or a property. */
const MAX_DESCRIPTION_CHARS = 1_024;

/** `pattern` is left out: servers that compile schemas into grammars fail on foreign dialects of regular expressions. */
const PLAIN = [
  'type',
  'format',
  'enum',
  'const',
  'default',
  'readOnly',
  'minimum',
  'maximum',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
];
const ONE = ['items', 'additionalProperties'];
const MANY = ['allOf', 'anyOf', 'oneOf'];

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** How many subschemas may still be written out, for all schemas of one operation together. */
export interface Budget {
  left: number;
}

export function newBudget(): Budget {
  return { left: MAX_SUBSCHEMAS };
}

/**
 * The schema with its references written out. Where a branch leads back into itself, or gets too deep or too big, it
 * ends in `{}`, which accepts anything.
 */
export function inlineSchema(schema: unknown, resolve: ResolveReference, budget: Budget): JsonSchema {
  const inline = (value: unknown, above: ReadonlySet<unknown>): JsonSchema => {
    const found = resolve(value);
    budget.left -= 1;
    if (!isObject(found) || above.has(found) || above.size > MAX_DEPTH || budget.left < 0) return {};
    const within = new Set([...above, found]);
    const parts: Record<string, unknown> = {};
    for (const key of PLAIN) if (isPlain(found[key])) parts[key] = plain(found[key]);
    // Checked to be a list, because Swagger 2.0 has a flag of this name on parameters.
    if (Array.isArray(found['required'])) parts['required'] = plain(found['required']);
    if (typeof found['description'] === 'string') parts['description'] = cut(found['description']);
    for (const key of ONE) if (isObject(found[key])) parts[key] = inline(found[key], within);
    if (found['additionalProperties'] === false) parts['additionalProperties'] = false;
    for (const key of MANY) {
      if (Array.isArray(found[key])) parts[key] = found[key].map((one) => inline(one, within));
    }
    if (isObject(found['properties'])) Object.assign(parts, properties(found, within));
    // OpenAPI 3.0 says it by this flag.
    if (found['nullable'] === true && typeof parts['type'] === 'string')
      parts['type'] = [parts['type'], 'null'];
    return parts;
  };
  const properties = (schema: JsonObject, within: ReadonlySet<unknown>): JsonSchema => {
    const all = isObject(schema['properties']) ? Object.entries(schema['properties']) : [];
    const kept = all
      .slice(0, Math.max(0, budget.left))
      .map(([name, one]) => [name, inline(one, within)] as const);
    // A read-only property is required in the server's answers, not in our requests.
    const asked = kept.filter(([, one]) => one['readOnly'] !== true).map(([name]) => name);
    return {
      properties: Object.fromEntries(kept),
      ...(Array.isArray(schema['required']) && {
        required: asked.filter((name) => includes(schema['required'], name)),
      }),
    };
  };
  return inline(schema, new Set());
}

/** The text, cut to the length that a model gets. */
export function cut(text: string, chars = MAX_DESCRIPTION_CHARS): string {
  const trimmed = text.trim();
  return trimmed.length <= chars ? trimmed : `${trimmed.slice(0, chars - 1).toWellFormed()}…`;
}

function includes(list: unknown, value: unknown): boolean {
  return Array.isArray(list) && list.includes(value);
}

const isPrimitive = (value: unknown): boolean =>
  value === null || ['string', 'number', 'boolean'].includes(typeof value);

/** Nested values are left out, because they could be endless as well. */
function isPlain(value: unknown): boolean {
  return isPrimitive(value) || Array.isArray(value);
}

function plain(value: unknown): unknown {
  return Array.isArray(value) ? value.filter(isPrimitive).slice(0, MAX_VALUES) : value;
}
