/**
 * Turns a model's arguments into one HTTP request. Errors about wrong arguments tell the model what to correct. No
 * value leaves the place that the document gives it: not its path segment, and not its header. Sends nothing.
 */
import { extentOf, MAX_JSON_DEPTH } from '../../runs/json-extent.ts';
import { ToolArgumentError, type JsonSchema } from '../../runs/tool.ts';
import type { ApiEndpoint, Input, Style } from './endpoint.ts';
import { isObject } from './schema.ts';

export interface ApiRequest {
  readonly url: URL;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string | null;
}

/** The separator between the members of a list; null where each member has a pair of its own. */
const SEPARATORS: Readonly<Record<Style, string | null>> = {
  repeated: null,
  brackets: null,
  json: null,
  commas: ',',
  spaces: ' ',
  pipes: '|',
};

type Given = readonly (readonly [input: Input, value: unknown])[];

/**
 * @param base the address to which the endpoint's path is relative, without a query
 * @throws {ToolArgumentError} naming everything that is wrong
 */
export function buildRequest(endpoint: ApiEndpoint, base: URL, args: unknown): ApiRequest {
  const given = check(endpoint.inputs, args);
  const at = (place: Input['place']): Given => given.filter(([input]) => input.place === place);
  const url = new URL(base);
  url.pathname = `${base.pathname.replace(/\/+$/, '')}${fillPath(endpoint.path, at('path'))}`;
  url.search = form(at('query')).toString();
  const body = bodyOf(endpoint, at('body'), at('whole-body'));
  return {
    url,
    headers: new Map([
      ['accept', 'application/json, text/*;q=0.8'],
      ...at('header').map(([{ name, argument }, value]) => [name, headerValue(argument, value)] as const),
      ...(body === null || endpoint.bodyType === null ? [] : [['content-type', endpoint.bodyType] as const]),
    ]),
    body,
  };
}

/** A model that is told the first few mistakes corrects all of them. */
const MAX_NAMED = 5;
const MAX_NAME_LENGTH = 64;

/** The inputs that have a value, converted to the API's types. */
function check(inputs: readonly Input[], args: unknown): Given {
  if (!isObject(args)) throw new ToolArgumentError('The arguments must be a JSON object.');
  const problems: string[] = [];
  const known = new Set(inputs.map((one) => one.argument));
  const unknown = Object.keys(args).filter((one) => !known.has(one));
  if (unknown.length > 0) {
    const named = unknown.slice(0, MAX_NAMED).map((name) => `'${name.slice(0, MAX_NAME_LENGTH)}'`);
    const more = unknown.length > MAX_NAMED ? ` and ${unknown.length - MAX_NAMED} more` : '';
    problems.push(
      `there is no argument ${named.join(', ')}${more}, only ${[...known].join(', ') || 'none at all'}`,
    );
  }
  const given = inputs.flatMap((input) => {
    const value = Object.hasOwn(args, input.argument) ? args[input.argument] : undefined;
    if (value === undefined || (value === null && !takesNull(input))) {
      if (input.required) problems.push(`${input.argument} is missing`);
      return [];
    }
    const fitted = value === null ? null : fit(value, input.schema);
    if (fitted === undefined) problems.push(`${input.argument} must be ${wanted(input.schema)}`);
    return [[input, fitted] as const];
  });
  if (problems.length > 0) throw new ToolArgumentError(`Wrong arguments: ${problems.join('; ')}.`);
  return given;
}

/** Only JSON can express null. */
function takesNull({ place, schema }: Input): boolean {
  const isBody = place === 'body' || place === 'whole-body';
  return isBody && (schema['type'] === undefined || typesOf(schema).includes('null'));
}

/**
 * The value as one of the schema's types; parsed where the model wrote a string in its place; undefined when it fits none.
 */
function fit(value: unknown, schema: JsonSchema): unknown {
  const types = typesOf(schema);
  if (types.length === 0) return value;
  if (types.some((type) => isOfType(value, type))) return value;
  if (types.includes('string') && ['number', 'boolean'].includes(typeof value)) return String(value);
  if (typeof value !== 'string') return undefined;
  const read = parsed(value);
  return types.some((type) => isOfType(read, type)) ? read : undefined;
}

/** JSON inside a JSON string has the same depth limit: deeper JSON could not be written again. */
function parsed(json: string): unknown {
  if (extentOf(json).depth > MAX_JSON_DEPTH) return undefined;
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

function isOfType(value: unknown, type: string): boolean {
  if (type === 'integer') return Number.isInteger(value);
  if (type === 'number') return Number.isFinite(value);
  if (type === 'array') return Array.isArray(value);
  if (type === 'object') return isObject(value);
  if (type === 'null') return value === null;
  return typeof value === type;
}

function typesOf(schema: JsonSchema): readonly string[] {
  const { type } = schema;
  const types: readonly unknown[] = Array.isArray(type) ? type : [type];
  return types.filter((one) => typeof one === 'string');
}

function wanted(schema: JsonSchema): string {
  const article = (type: string): string => (/^[aio]/.test(type) ? `an ${type}` : `a ${type}`);
  return typesOf(schema).map(article).join(' or ');
}

function fillPath(template: string, given: Given): string {
  const path = template.replaceAll(/\{([^{}]+)\}/g, (_, name: string) => {
    const found = given.find(([input]) => input.name === name);
    if (found === undefined)
      throw new ToolArgumentError(`The path needs '${name}', which this tool does not take.`);
    const [{ argument }, value] = found;
    const text = simple(value);
    // An empty value would call `/pets/`, which is another operation than `/pets/{id}`.
    if (text === '') throw new ToolArgumentError(`Wrong arguments: ${argument} must not be empty.`);
    return encodeURIComponent(text.toWellFormed());
  });
  // URLs resolve these as path steps, encoded or not.
  if (path.split('/').some((segment) => /^(\.|%2e){1,2}$/i.test(segment))) {
    throw new ToolArgumentError("Wrong arguments: a value of the path must not be '.' or '..'.");
  }
  return path;
}

function headerValue(argument: string, value: unknown): string {
  const text = simple(value);
  if (/[^\t\x20-\x7e\x80-\xff]/.test(text)) {
    throw new ToolArgumentError(
      `Wrong arguments: ${argument} goes into an HTTP header: one line, Latin letters only.`,
    );
  }
  return text;
}

function bodyOf({ bodyType }: ApiEndpoint, properties: Given, whole: Given): string | null {
  const [first] = whole;
  if (first === undefined && properties.length === 0) return null;
  const value =
    first === undefined ? Object.fromEntries(properties.map(([{ name }, one]) => [name, one])) : first[1];
  if (bodyType !== 'application/x-www-form-urlencoded') return JSON.stringify(value);
  return form(first === undefined ? properties : [first]).toString();
}

function form(given: Given): URLSearchParams {
  return new URLSearchParams(given.flatMap(([{ style, name }, value]) => pairs(style, name, value)));
}

/** One parameter in a query or a form. */
function pairs(style: Style, name: string, value: unknown): [string, string][] {
  if (style === 'json') return [[name, JSON.stringify(value)]];
  if (isObject(value)) {
    if (SEPARATORS[style] !== null) return [[name, simple(value)]];
    const label = (key: string): string => (style === 'brackets' ? `${name}[${key}]` : key);
    return Object.entries(value).map(([key, one]) => [label(key), text(one)]);
  }
  const texts = Array.isArray(value) ? value.map(text) : [text(value)];
  const separator = SEPARATORS[style];
  return separator === null ? texts.map((one) => [name, one]) : [[name, texts.join(separator)]];
}

/** OpenAPI's `simple` style for paths and headers: lists and objects with commas. */
function simple(value: unknown): string {
  if (Array.isArray(value)) return value.map(text).join(',');
  return isObject(value) ? Object.entries(value).flat().map(text).join(',') : text(value);
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
