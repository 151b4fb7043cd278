/**
 * Gets the text of a document that the operator has named: from the disk, over the guarded fetch, or through an
 * `ai-plugin.json` manifest that says where it is. Does not interpret the document.
 */
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import type { ToolFetch } from '../../runs/tool.ts';
import type { ApiKeys } from './keys.ts';
import { isObject, OpenApiError } from './schema.ts';

/** The largest public descriptions (whole clouds) have about 12 MB. */
const MAX_DOCUMENT_BYTES = 16 * 1024 * 1024;
const MAX_MANIFEST_CHARS = 256 * 1024;
const DOCUMENT_TIMEOUT_MS = 30_000;

const manifestSchema = z.object({
  name_for_model: z.string().optional(),
  api: z.object({ url: z.string().min(1) }),
});

export interface Loaded {
  readonly text: string;
  /** Where the document came from; null for a file. Its relative addresses are relative to this. */
  readonly location: URL | null;
  /** The manifest's name, when there was one. */
  readonly name: string | null;
}

/** The URL of a document, or null for a file path. */
export function urlOf(document: string): URL | null {
  return /^https?:\/\//i.test(document) ? new URL(document) : null;
}

/** @throws {OpenApiError} with a reason for the operator; other errors are the file system's or the fetch's. */
export async function loadDocument(
  document: string,
  fetch: ToolFetch,
  keys: ApiKeys,
  signal: AbortSignal,
): Promise<Loaded> {
  const get = (where: URL | string): Promise<string> =>
    typeof where === 'string' ? readDisk(where) : download(where, fetch, keys, signal);
  const first = urlOf(document) ?? path.resolve(document);
  const text = await get(first);
  const manifest = readManifest(text);
  if (manifest === null) return { text, location: typeof first === 'string' ? null : first, name: null };
  const next = apiOf(manifest.api.url, first);
  return {
    text: await get(next),
    location: typeof next === 'string' ? null : next,
    name: manifest.name_for_model ?? null,
  };
}

function readManifest(text: string): z.infer<typeof manifestSchema> | null {
  // A document of many megabytes need not be parsed to see that it is no manifest.
  if (text.length > MAX_MANIFEST_CHARS) return null;
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) && value['paths'] === undefined ? manifestSchema.parse(value) : null;
  } catch {
    return null;
  }
}

/**
 * Where the manifest's API is described. A manifest on disk may name files beside it; a manifest from the web may only
 * name web addresses.
 */
function apiOf(api: string, manifest: URL | string): URL | string {
  const absolute = urlOf(api);
  if (absolute !== null) return absolute;
  if (typeof manifest !== 'string') {
    const url = new URL(api, manifest);
    if (!/^https?:$/.test(url.protocol)) throw new OpenApiError(`The manifest's api.url is no web address.`);
    return url;
  }
  const file = path.join(path.dirname(manifest), api);
  if (!file.startsWith(path.dirname(manifest) + path.sep)) {
    throw new OpenApiError(`The manifest's api.url leads out of its folder.`);
  }
  return file;
}

async function readDisk(file: string): Promise<string> {
  const found = await stat(file).catch(() => null);
  if (found === null || !found.isFile()) throw new OpenApiError('There is no such file.');
  if (found.size > MAX_DOCUMENT_BYTES) {
    throw new OpenApiError(`The document has ${found.size} bytes, more than ${MAX_DOCUMENT_BYTES}.`);
  }
  return readFile(file, 'utf8');
}

async function download(url: URL, fetch: ToolFetch, keys: ApiKeys, signal: AbortSignal): Promise<string> {
  const headers = new Headers({ accept: 'application/json, application/yaml, */*;q=0.5' });
  const isHome = keys.headers.length > 0 && keys.mayGo(url);
  if (isHome) for (const [name, value] of keys.headers) headers.set(name, value);
  const response = await fetch(url, {
    headers,
    // A redirect must not carry the keys away.
    redirect: isHome ? 'manual' : 'follow',
    timeoutMs: DOCUMENT_TIMEOUT_MS,
    maxBytes: MAX_DOCUMENT_BYTES,
    signal,
  });
  if (response.ok) return response.text();
  await response.body?.cancel();
  throw new OpenApiError(`The address of the document answers HTTP ${response.status}.`);
}
