/** Sources made of small documents on disk, whose operations lie at one server, and what their calls end in. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, expect, onTestFinished } from 'vitest';
import { ToolArgumentError, ToolError, type Tool, type ToolContext } from '../../src/runs/tool.ts';
import {
  createOpenApiSource,
  type OpenApiMeans,
  type OpenApiOptions,
  type OpenApiSource,
} from '../../src/toolbox/openapi.ts';
import { toolContext } from '../support/tool-context.ts';
import { plainFetch, readableLog, sendJson, startApi, type Api, type ReadableLog } from './api.ts';

export const SECRET = 'key-of-the-operator-0123456789';
/** Unix seconds. */
export const NOW = 1_700_000_000;

export let folder = '';
/** Says `{"ok":true}` at the beginning of every test. */
export let api: Api;

/** Brings the server and the folder up, for the tests of the file that calls this. */
export function withOpenApi(): void {
  beforeAll(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'longrun-openapi-'));
    api = await startApi();
  });
  afterEach(() => {
    api.asked.length = 0;
    api.answer = (_, response) => sendJson(response, { ok: true });
  });
  afterAll(async () => {
    await api.close();
    rmSync(folder, { recursive: true });
  });
}

type Options = Partial<OpenApiOptions> & Pick<OpenApiOptions, 'document'>;
export type Opened = OpenApiSource & { readonly log: ReadableLog };

export function open(options: Options, means: Partial<OpenApiMeans> = {}): Opened {
  const log = readableLog();
  const defaults = { prefix: '', headers: {}, timeoutMs: 5_000, maxResponseBytes: 64 * 1024 };
  const source = createOpenApiSource(
    { ...defaults, ...options },
    { fetch: plainFetch, log, now: () => NOW, ...means },
  );
  onTestFinished(() => source.close());
  return Object.assign(source, { log });
}

/** Loads once: to `ok`, or to the reason why not. */
export async function openOnce(
  options: Options,
  means: Partial<OpenApiMeans> = {},
): Promise<{ readonly source: Opened; readonly reason: string }> {
  const failed = Promise.withResolvers<void>();
  // The first pause begins when the first try has failed.
  const pause = (_: number, signal: AbortSignal): Promise<void> => {
    failed.resolve();
    return new Promise((resolve) => signal.addEventListener('abort', () => resolve()));
  };
  const source = open(options, { pause, ...means });
  await Promise.race([source.ready, failed.promise]);
  const health = source.health();
  return { source, reason: health.status === 'ok' ? 'ok' : health.reason };
}

/** A source whose document is there. */
export async function loaded(options: Options): Promise<Opened> {
  const { source, reason } = await openOnce(options);
  expect(reason).toBe('ok');
  return source;
}

/** The reason why a document is refused. */
export async function refusal(options: Options): Promise<string> {
  const { source, reason } = await openOnce(options);
  expect(source.tools()).toStrictEqual([]);
  return reason;
}

let files = 0;
export function file(content: unknown, ending = 'json'): string {
  const name = path.join(folder, `${(files += 1)}.${ending}`);
  writeFileSync(name, typeof content === 'string' ? content : JSON.stringify(content));
  return name;
}

/** A document with these paths, at our server. */
export function documentOf(paths: unknown, more: object = {}): unknown {
  const info = { title: 'Test', version: '1' };
  return { openapi: '3.0.3', info, servers: [{ url: `${api.url}/v1` }], paths, ...more };
}

/** What every operation must have. */
export const ok = { responses: { 200: { description: 'fine' } } };

/** A document with one operation, `op`. */
export function one(operation: object, at = '/op', method = 'get', more: object = {}): string {
  return file(documentOf({ [at]: { [method]: { operationId: 'op', ...ok, ...operation } } }, more));
}

export function parameter(name: string, place: string, more: object = {}): object {
  return { name, in: place, schema: { type: 'string' }, ...more };
}

export function jsonBody(schema: object, more: object = {}): object {
  return { requestBody: { content: { 'application/json': { schema } }, ...more } };
}

export function named(source: OpenApiSource, name = 'op'): Tool {
  const found = source.tools().find((tool) => tool.name === name);
  if (found === undefined) throw new Error(`no tool ${name} among ${namesOf(source).join()}`);
  return found;
}

export function namesOf(source: OpenApiSource): readonly string[] {
  return source.tools().map((tool) => tool.name);
}

/** The names of a tool's arguments. */
export function argumentsOf(tool: Tool): readonly string[] {
  const { properties } = tool.parameters;
  return typeof properties === 'object' && properties !== null ? Object.keys(properties) : [];
}

export async function call(
  source: OpenApiSource,
  args: unknown,
  context: Partial<ToolContext> = {},
): Promise<unknown> {
  return named(source).run(args, toolContext(context));
}

/** What a call fails with; what a model should not read is thrown on. */
export async function failure(asked: Promise<unknown>): Promise<Error> {
  const error: unknown = await asked.then(
    (value) => new Error(`it answered ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  );
  if (error instanceof ToolError || error instanceof ToolArgumentError) return error;
  throw error;
}
