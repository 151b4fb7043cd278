/**
 * The `openai` package's client for one upstream, with everything switched off that we decide ourselves: retries, time
 * limits, logging, and settings from OPENAI_* variables, which may belong to another upstream.
 */
import { APIConnectionError, OpenAI } from 'openai';
import { redirected, UpstreamFailure } from './failure.ts';
import { isRecord } from '../runs/record.ts';
import { parseJson } from './json.ts';
import type { Route, Upstream } from './upstreams.ts';

/** How much of an error body is read; error pages can be long. */
const MAX_ERROR_BYTES = 64 * 1024;
/** The longest that a timer can run; our own limits are the ones that count. */
const NO_TIMEOUT_MS = 2 ** 31 - 1;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** The package insists on a key; this one is never sent. */
const NO_KEY = 'none';

type Fetch = typeof globalThis.fetch;

/** A client for `upstream`. It holds no connection of its own. */
export function createClient(upstream: Upstream): OpenAI {
  return new OpenAI({
    baseURL: upstream.baseUrl,
    ...(upstream.query !== undefined && { defaultQuery: { ...upstream.query } }),
    apiKey: upstream.apiKey ?? NO_KEY,
    adminAPIKey: null,
    organization: null,
    project: null,
    webhookSecret: null,
    maxRetries: 0,
    timeout: NO_TIMEOUT_MS,
    logLevel: 'off',
    fetch: fetchFor(upstream),
  });
}

/** The failure that our own `fetch` has thrown; null when the error is the package's or the network's. */
export function ownFailure(error: unknown): UpstreamFailure | null {
  // The package treats whatever its fetch throws as a lost connection.
  const cause: unknown = error instanceof APIConnectionError ? error.cause : error;
  return cause instanceof UpstreamFailure ? cause : null;
}

/**
 * Sends exactly our headers: the package adds those of OPENAI_CUSTOM_HEADERS to every request, and an upstream without
 * a key gets no Authorization at all. Redirects are not followed: they would send the conversation and the key to an
 * address that the operator has not named, and what it answers would count as the model's words.
 */
function fetchFor(upstream: Upstream): Fetch {
  const headers = {
    ...headersFor(upstream),
    accept: 'text/event-stream, application/json',
    'content-type': 'application/json',
  };
  return async (input, init) => {
    const response = await fetch(input, { ...init, headers, redirect: 'manual' });
    if (response.ok) return response;
    if (isRedirect(response.status)) {
      await response.body?.cancel();
      throw redirected(upstream, response.status, response.headers.get('location'));
    }
    // The package would read an error's body to its end, however long.
    const body = wholeError(await readText(response, MAX_ERROR_BYTES));
    return new Response(response.status === 304 ? null : body, {
      status: response.status,
      headers: response.headers,
    });
  };
}

/** The package keeps of an error's JSON only what is in `error`, and servers say things beside it, or a mere text. */
function wholeError(body: string): string {
  const said = parseJson(body);
  if (typeof said === 'string') return said;
  return isRecord(said) && 'error' in said ? JSON.stringify({ error: said }) : body;
}

/** The address of an endpoint, such as `/embeddings`, of this upstream. */
export function addressOf({ baseUrl, query = {} }: Upstream, path: string): string {
  const [base = '', own = ''] = baseUrl.split('?');
  const search = new URLSearchParams([...new URLSearchParams(own), ...Object.entries(query)]).toString();
  return base.replace(/\/+$/, '') + path + (search === '' ? '' : `?${search}`);
}

/** Whether an answer with this status sends its caller elsewhere. */
export function isRedirect(status: number): boolean {
  return REDIRECTS.has(status);
}

/** The headers that every request to this upstream has: its key, and the operator's, which may replace the key. */
export function headersFor({ apiKey, headers, keyHeader }: Upstream): Record<string, string> {
  return {
    'user-agent': 'longrun',
    ...(apiKey !== undefined &&
      (keyHeader === undefined ? { authorization: `Bearer ${apiKey}` } : { [keyHeader]: apiKey })),
    ...headers,
  };
}

/** Headers that carry a key of the operator. */
const KEY_HEADERS: readonly string[] = ['authorization', 'api-key', 'x-api-key'];

/** The upstream as a caller with a key of its own asks it: the operator's keys vouch for nobody else. */
export function withCallersKey(upstream: Upstream, apiKey: string): Upstream {
  const headers = Object.entries(upstream.headers ?? {}).filter(([name]) => !KEY_HEADERS.includes(name));
  return { ...upstream, apiKey, headers: Object.fromEntries(headers) };
}

/** The route for a caller with a key of its own; failures then know which key to mask. Null: the operator's key. */
export function callersRoute(there: Route, callersKey: string | null): Route {
  if (callersKey === null) return there;
  return { ...there, upstream: withCallersKey(there.upstream, callersKey), isCallersKey: true };
}

/** The first `limitBytes` of a body as text; the rest is not read. */
export async function readText(response: Response, limitBytes: number): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let size = 0;
  const reader: ReadableStreamDefaultReader<Uint8Array> | undefined = response.body?.getReader();
  if (reader === undefined) return text;
  while (size < limitBytes) {
    const packet = await reader.read();
    if (packet.done) return text + decoder.decode();
    text += decoder.decode(packet.value, { stream: true });
    size += packet.value.byteLength;
  }
  await reader.cancel();
  return text;
}
