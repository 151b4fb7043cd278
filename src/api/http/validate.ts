/** Checks requests against their zod schema, and refuses as the hosted API did: its code, the path in `param`, its text. */
import type { z } from 'zod';
import { ApiError, echo } from '../../errors.ts';
import { isRecord } from '../../runs/record.ts';
import { withEmptyObjects } from './empty-objects.ts';
import { valueAt, type Issue, type Path } from './issues.ts';

/** What a schema reports through `superRefine` when no built-in issue maps to the hosted API's code. */
export interface CustomRefusal {
  readonly code: string;
  readonly message: string;
}

/**
 * The message of checks on numbers that need not be whole: zod's issues do not make that difference, and the wire's
 * codes do.
 */
export const DECIMAL = 'decimal';

/**
 * The value as the schema reads it. Where it wants an object, `[]` is `{}` (empty-objects.ts).
 * @param strict refuse unknown keys at the top level; otherwise they are dropped
 * @param at where the value stands in its request, such as `input[0]`; nothing for the whole
 * @throws {ApiError} 400 for the first thing that is wrong.
 */
export function validate<T>(schema: z.ZodType<T>, value: unknown, strict: boolean, at: string = ''): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const filled = withEmptyObjects(parsed.error.issues, value);
  if (filled !== null) return validate(schema, filled.value, strict, at);
  const unknown = parsed.error.issues.find(
    (issue) => issue.code === 'unrecognized_keys' && issue.path.length === 0,
  );
  if (!strict && unknown?.code === 'unrecognized_keys' && isRecord(value)) {
    const strange = new Set(unknown.keys);
    const known = Object.entries(value).filter(([key]) => !strange.has(key));
    return validate(schema, Object.fromEntries(known), strict, at);
  }
  const [first] = parsed.error.issues;
  throw first === undefined
    ? new ApiError(400, 'The request is not valid.')
    : refusal(first, { at, value }, []);
}

/** What is checked, and where it stands in its request. */
interface Root {
  readonly at: string;
  readonly value: unknown;
}

function refusal(issue: Issue, root: Root, base: Path): ApiError {
  const path = [...base, ...issue.path];
  const param = pathText(path, root.at);
  const value = valueAt(root.value, path);
  const where = param === '' ? 'the request body' : `'${param}'`;
  switch (issue.code) {
    case 'unrecognized_keys': {
      const name = pathText([...path, issue.keys[0] ?? ''], root.at);
      return invalid(name, 'unknown_parameter', `Unknown parameter: '${name}'.`);
    }
    case 'invalid_type':
      if (value === undefined && param !== '') {
        return invalid(param, 'missing_required_parameter', `Missing required parameter: '${param}'.`);
      }
      return wrongType(param, where, withArticle(expectedType(issue)), value);
    case 'invalid_value':
      if (value === undefined) {
        return invalid(param, 'missing_required_parameter', `Missing required parameter: '${param}'.`);
      }
      return unsupportedValue(param, value, issue.values.map(String));
    case 'invalid_union':
      if (value === undefined) {
        return invalid(param, 'missing_required_parameter', `Missing required parameter: '${param}'.`);
      }
      return unionRefusal(issue.errors, root, path, where);
    case 'too_big':
      return outOfBounds(issue, 'above_max', Number(issue.maximum), param, value);
    case 'too_small':
      return outOfBounds(issue, 'below_min', Number(issue.minimum), param, value);
    case 'invalid_key': {
      const [inner] = issue.issues;
      return inner === undefined
        ? invalid(param, 'invalid_value', `Invalid ${where}.`)
        : keyRefusal(inner, path, root.at);
    }
    case 'invalid_format': {
      const text = `Invalid ${where}: ${issue.message}.`;
      return invalid(param, 'invalid_value', text);
    }
    case 'custom': {
      const { code, message } = issue.params ?? {};
      if (typeof message !== 'string')
        return invalid(param, 'invalid_value', `Invalid ${where}: ${issue.message}`);
      return invalid(param, String(code), message.replaceAll('{param}', param));
    }
    case 'invalid_element':
    case 'not_multiple_of':
      return invalid(param, 'invalid_value', `Invalid ${where}: ${issue.message}.`);
  }
}

/**
 * The refusal of the branch that was meant: the one of the same JSON type and, where branches differ by `type`, of the
 * same `type`.
 */
function unionRefusal(branches: readonly Issue[][], root: Root, path: Path, where: string): ApiError {
  const param = pathText(path, root.at);
  const value = valueAt(root.value, path);
  const meant = branches.filter((issues) => !issues.some((issue) => isWrongKind(issue)));
  const types = branches.flat().filter((issue) => isWrongKind(issue) && issue.path.length > 0);
  if (meant[0]?.[0] !== undefined) return refusal(meant[0][0], root, path);
  if (types.length > 0 && isRecord(value)) {
    const name = pathText([...path, 'type'], root.at);
    if (value['type'] === undefined) {
      return invalid(name, 'missing_required_parameter', `Missing required parameter: '${name}'.`);
    }
    const supported = types.flatMap((issue) =>
      issue.code === 'invalid_value' ? issue.values.map(String) : [],
    );
    return unsupportedValue(name, value['type'], supported);
  }
  if (typeof value === 'string') {
    const supported = branches
      .flat()
      .flatMap((issue) => (issue.code === 'invalid_value' ? issue.values.map(String) : []));
    if (supported.length > 0) return unsupportedValue(param, value, supported);
  }
  const expected = branches.flatMap(([issue]) => {
    if (issue?.code === 'invalid_value') return ['string'];
    return issue?.code === 'invalid_type' ? [expectedType(issue)] : [];
  });
  const [first = '', ...others] = new Set(expected);
  const choice =
    others.length === 0 ? withArticle(first) : `one of ${[withArticle(first), ...others].join(' or ')}`;
  return wrongType(param, where, choice, value);
}

/** Whether the branch is for another JSON type, or for another `type`. */
function isWrongKind(issue: Issue): boolean {
  if (issue.path.length === 0) return issue.code === 'invalid_type' || issue.code === 'invalid_value';
  return issue.path.length === 1 && issue.path[0] === 'type' && issue.code === 'invalid_value';
}

function keyRefusal(issue: z.core.$ZodRawIssue | Issue, path: Path, at: string): ApiError {
  const key = String(path.at(-1));
  const param = pathText(path.slice(0, -1), at);
  const max = issue.code === 'too_big' ? Number(issue.maximum) : 0;
  const text = `Invalid '${param}': key too long. Expected a key with maximum length ${max}, but got a key with length ${key.length} instead.`;
  return invalid(param, 'string_above_max_length', text);
}

function outOfBounds(
  { origin, message }: Extract<Issue, { code: 'too_big' | 'too_small' }>,
  side: 'above_max' | 'below_min',
  bound: number,
  param: string,
  value: unknown,
): ApiError {
  const above = side === 'above_max';
  if (origin === 'string' || origin === 'array') {
    const length = typeof value === 'string' || Array.isArray(value) ? value.length : 0;
    const a = withArticle(origin);
    if (length === 0) {
      const text = `Invalid '${param}': empty ${origin}. Expected ${a} with minimum length ${bound}, but got an empty ${origin} instead.`;
      return invalid(param, `empty_${origin}`, text);
    }
    const expected = `Expected ${a} with ${above ? 'maximum' : 'minimum'} length ${bound}`;
    const text = `Invalid '${param}': ${origin} too ${above ? 'long' : 'short'}. ${expected}, but got ${a} with length ${length} instead.`;
    return invalid(param, `${origin}_${side}_length`, text);
  }
  const kind = message === DECIMAL ? 'decimal' : 'integer';
  const sides = above ? 'above maximum' : 'below minimum';
  const text = `Invalid '${param}': ${kind} ${sides} value. Expected a value ${above ? '<=' : '>='} ${bound}, but got ${String(value)} instead.`;
  return invalid(param, `${kind}_${side}_value`, text);
}

function wrongType(param: string, where: string, expected: string, value: unknown): ApiError {
  const text = `Invalid type for ${where}: expected ${expected}, but got ${withArticle(jsonType(value))} instead.`;
  return invalid(param, 'invalid_type', text);
}

function unsupportedValue(param: string, value: unknown, supported: readonly string[]): ApiError {
  const quoted = [...new Set(supported)].map((name) => `'${name}'`);
  const list =
    quoted.length < 3
      ? quoted.join(' and ')
      : `${quoted.slice(0, -1).join(', ')}, and ${quoted.at(-1) ?? ''}`;
  const given = typeof value === 'string' ? value : JSON.stringify(value);
  return invalid(param, 'invalid_value', `Invalid value: '${echo(given)}'. Supported values are: ${list}.`);
}

function invalid(param: string, code: string, message: string): ApiError {
  return new ApiError(400, message, { param: param === '' ? null : param, code });
}

/** The hosted API's names for zod's names of types. */
const EXPECTED: Readonly<Record<string, string>> = { int: 'integer', number: 'integer', record: 'object' };

function expectedType({ expected, message }: Extract<Issue, { code: 'invalid_type' }>): string {
  return message === DECIMAL ? DECIMAL : (EXPECTED[expected] ?? expected);
}

function jsonType(value: unknown): string {
  if (value === null) return 'null value';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'decimal';
  return typeof value;
}

function withArticle(name: string): string {
  return `${/^[aeiou]/.test(name) ? 'an' : 'a'} ${name}`;
}

/** `tools[0].function.name`; its keys may be the client's own, of any length. */
function pathText(path: Path, at: string): string {
  const text = path.reduce<string>((before, key) => {
    if (typeof key === 'number') return `${before}[${key}]`;
    return before === '' ? echo(String(key)) : `${before}.${echo(String(key))}`;
  }, at);
  return echo(text);
}
