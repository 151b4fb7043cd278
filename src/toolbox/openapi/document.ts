/**
 * Reads the text of an OpenAPI 3 or Swagger 2.0 document and lists its operations without looking into them, so that a
 * document with ten thousand of them costs little. References are followed only inside the document; nothing is fetched
 * or read.
 */
import { isObject, OpenApiError, type JsonObject, type ResolveReference } from './schema.ts';

/** HEAD, OPTIONS and TRACE are of no use to a model. */
const METHODS = ['get', 'put', 'post', 'delete', 'patch'];
/** A longer chain of references is taken for a circle. */
const MAX_HOPS = 32;

/** One operation as it stands in the document, unchecked. */
export interface Operation {
  /** In capitals. */
  readonly method: string;
  /** As in the document, with `{placeholders}`. */
  readonly path: string;
  readonly operationId: string | null;
  readonly value: JsonObject;
  /** The path's entry around it, with shared parameters and servers. */
  readonly item: JsonObject;
}

export interface ApiDocument {
  readonly title: string | null;
  readonly root: JsonObject;
  readonly isSwagger2: boolean;
  readonly operations: readonly Operation[];
  /** Paths that are described in other documents, which are not read. */
  readonly foreignPaths: readonly string[];
  readonly resolve: ResolveReference;
}

/** @throws {OpenApiError} with a reason for the operator. */
export async function parseDocument(text: string): Promise<ApiDocument> {
  const { root, lookUp } = await parse(text);
  const resolve = resolver(lookUp);
  const operations: Operation[] = [];
  const foreignPaths: string[] = [];
  for (const [path, given] of Object.entries(isObject(root['paths']) ? root['paths'] : {})) {
    const item = orNull(() => resolve(given));
    if (!isObject(item)) foreignPaths.push(path);
    else operations.push(...operationsOf(path, item));
  }
  const info = root['info'];
  const title = isObject(info) && typeof info['title'] === 'string' ? info['title'] : null;
  return { title, root, isSwagger2: root['swagger'] === '2.0', operations, foreignPaths, resolve };
}

function operationsOf(path: string, item: JsonObject): Operation[] {
  return METHODS.flatMap((method) => {
    const value = item[method];
    if (!isObject(value)) return [];
    const operationId = typeof value['operationId'] === 'string' ? value['operationId'] : null;
    return [{ method: method.toUpperCase(), path, operationId, value, item }];
  });
}

async function parse(text: string): Promise<{ root: JsonObject; lookUp: (pointer: string) => unknown }> {
  // Imported only here: loading takes 0.15 s, which a service without documents need not spend.
  const { default: SwaggerParser } = await import('@apidevtools/swagger-parser');
  const parser = new SwaggerParser();
  const name = text.trimStart().startsWith('{') ? 'document.json' : 'document.yaml';
  try {
    // The parser may read only this text, and nothing that the text refers to.
    const given = { order: 1, canRead: true, read: () => text };
    const refs = await parser.resolve(name, {
      resolve: { external: false, file: false, http: false, given },
    });
    const root: unknown = parser.api;
    if (!isObject(root)) throw new OpenApiError('it is empty');
    return { root, lookUp: (pointer) => refs.get(pointer) };
  } catch (error) {
    throw new OpenApiError(`The document is no OpenAPI document: ${reasonIn(error)}`);
  }
}

/**
 * The first line of the parser's message, without the path that it makes up and without quotes; the other lines quote
 * the document.
 */
function reasonIn(error: unknown): string {
  const [line = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
  return line
    .replace(/(?:\.\.\.)?"[^"]*"?(?:\.\.\.)? is not valid JSON/g, 'it is not valid JSON')
    .replace(/"?\S*document\.(json|yaml)"?:? ?/g, '')
    .replace(/^is not a valid .*$/, 'it has no version and paths')
    .slice(0, 300);
}

function resolver(lookUp: (pointer: string) => unknown): ResolveReference {
  return (value) => {
    let found = value;
    for (let hops = 0; isObject(found) && typeof found['$ref'] === 'string'; hops += 1) {
      const pointer = found['$ref'];
      if (!pointer.startsWith('#')) {
        throw new OpenApiError(
          `it refers to another document ('${pointer.slice(0, 100)}'), which is not followed`,
        );
      }
      if (hops === MAX_HOPS) throw new OpenApiError(`its reference '${pointer}' goes in a circle`);
      found = orNull(() => lookUp(pointer));
      if (found === null) throw new OpenApiError(`its reference '${pointer}' leads nowhere`);
    }
    return found;
  };
}

function orNull(look: () => unknown): unknown {
  try {
    return look();
  } catch {
    return null;
  }
}
