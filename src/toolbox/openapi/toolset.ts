/**
 * Decides which operations of a document become tools, under which names, and where each is called. Operations that
 * cannot be tools are left out, and the log says why. Calls nothing.
 */
import type { Tool, ToolFetch, ToolLog } from '../../runs/tool.ts';
import type { ApiDocument, Operation } from './document.ts';
import { describeEndpoint, type ApiEndpoint } from './endpoint.ts';
import type { ApiKeys } from './keys.ts';
import { isObject, OpenApiError } from './schema.ts';
import { createApiTool } from './tool.ts';

/** OpenAI takes this many tools; each one is part of every prompt. */
const MAX_TOOLS = 128;
/** The longest name of a function that every upstream takes. */
const MAX_NAME_CHARS = 64;

export interface ToolsetOptions {
  readonly prefix: string;
  readonly allow?: readonly string[];
  readonly baseUrl?: string;
  readonly timeoutMs: number;
  readonly maxResponseBytes: number;
}

export interface ToolsetMeans {
  readonly fetch: ToolFetch;
  readonly log: ToolLog;
  readonly keys: ApiKeys;
  /** Where the document came from; null for a file. */
  readonly location: URL | null;
}

/** @throws {OpenApiError} when there are too many operations, or none can be used. */
export function createToolset(
  document: ApiDocument,
  options: ToolsetOptions,
  means: ToolsetMeans,
): readonly Tool[] {
  const { log, keys, fetch } = means;
  const foreign = document.foreignPaths.length;
  if (foreign > 0) log.warn({ paths: foreign }, 'paths that refer to nothing in the document are left out');
  const tools = new Map<string, Tool>();
  const reasons: string[] = [];
  for (const operation of wanted(document, options.allow, log)) {
    try {
      const endpoint = describeEndpoint(operation, document, keys.names);
      const base = baseOf(endpoint, options.baseUrl, means);
      const name = nameOf(operation, options.prefix, tools, log);
      const { timeoutMs, maxResponseBytes } = options;
      tools.set(name, createApiTool(name, { endpoint, base, keys, fetch, timeoutMs, maxResponseBytes }));
    } catch (error) {
      const reason = error instanceof OpenApiError ? error.message : 'it cannot be understood';
      reasons.push(reason);
      log.warn({ operation: signature(operation) }, `operation left out: ${reason}`);
    }
  }
  if (tools.size > 0) return [...tools.values()];
  const why = reasons[0] === undefined ? '' : ` The first is left out because ${reasons[0]}.`;
  throw new OpenApiError(`None of the document's operations can be used.${why}`);
}

function signature({ method, path }: Operation): string {
  return `${method} ${path}`;
}

function wanted(
  document: ApiDocument,
  allow: readonly string[] | undefined,
  log: ToolLog,
): readonly Operation[] {
  const asked = new Set(allow);
  const isAsked = (one: Operation): boolean => asked.has(one.operationId ?? '') || asked.has(signature(one));
  const operations = allow === undefined ? document.operations : document.operations.filter(isAsked);
  if (operations.length > MAX_TOOLS) {
    const count = `${operations.length} operations, more than ${MAX_TOOLS}`;
    throw new OpenApiError(`The document has ${count}. Name the ones to be used in 'allow'.`);
  }
  const found = new Set(operations.flatMap((one) => [one.operationId, signature(one)]));
  for (const entry of asked) {
    if (!found.has(entry)) log.warn({ allow: entry }, 'the document has no such operation');
  }
  return operations;
}

/** The operation's own name, in characters that models accept, and unique. */
function nameOf(
  operation: Operation,
  prefix: string,
  taken: ReadonlyMap<string, Tool>,
  log: ToolLog,
): string {
  const safe = (text: string): string => text.replaceAll(/[^A-Za-z0-9_-]+/g, '_').replaceAll(/^_+|_+$/g, '');
  const own = safe(operation.operationId ?? '') || safe(`${operation.method.toLowerCase()}${operation.path}`);
  const first = `${prefix}${own}`.slice(0, MAX_NAME_CHARS);
  let name = first;
  for (let n = 2; taken.has(name); n += 1) name = `${first.slice(0, MAX_NAME_CHARS - 4)}_${n}`;
  if (name !== first) {
    log.warn(
      { operation: signature(operation), tool: name },
      `'${first}' is taken; the operation is renamed`,
    );
  }
  return name;
}

/** The address where the operation is called; never one that the keys must not be sent to. */
function baseOf(endpoint: ApiEndpoint, baseUrl: string | undefined, { location, keys }: ToolsetMeans): URL {
  if (baseUrl !== undefined) return new URL(baseUrl);
  const [server = {}] = endpoint.servers;
  const variables = isObject(server['variables']) ? server['variables'] : {};
  const address = (typeof server['url'] === 'string' ? server['url'] : '/').replaceAll(
    /\{([^{}]+)\}/g,
    (placeholder, name: string) => {
      const variable = Object.hasOwn(variables, name) ? variables[name] : undefined;
      const value = isObject(variable) ? variable['default'] : undefined;
      return typeof value === 'string' ? value : placeholder;
    },
  );
  const url = URL.parse(address, location?.href);
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== '') {
    throw new OpenApiError("the document does not say where the API is: set 'baseUrl'");
  }
  if (!keys.mayGo(url)) {
    throw new OpenApiError(`its server is ${url.origin}, where your headers go only when 'baseUrl' says so`);
  }
  return url;
}
