/**
 * The request that follows a redirect: the method rules of the fetch standard, and nothing secret for another origin.
 * Pure; connect.ts decides where the new request may go.
 */
import { downgraded, notUrl, withCredentials, wrongScheme } from './refusal.ts';

/** A request that can be sent, and sent again. */
export interface Outgoing {
  /** http or https, without credentials. */
  readonly url: URL;
  readonly method: string;
  readonly headers: Headers;
  readonly body: Uint8Array<ArrayBuffer> | null;
}

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** Headers that never hold a key. Services take keys in headers of any name, so only these are sent to another origin. */
const HARMLESS: ReadonlySet<string> = new Set([
  'accept',
  'accept-language',
  'content-language',
  'content-type',
  'range',
  'user-agent',
]);
const OF_BODIES = ['content-encoding', 'content-language', 'content-location', 'content-type'];

/**
 * Checks what can be seen from a URL alone.
 * @throws {RefusedRequest}
 */
export function checkedUrl(text: string, base?: URL): URL {
  const url = URL.parse(text, base?.href);
  if (url === null) throw notUrl(base);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw wrongScheme(url);
  if (url.username !== '' || url.password !== '') throw withCredentials(url);
  return url;
}

/** The address that a redirect names, unchecked; null when the response is no redirect. */
export function locationOf(response: { readonly status: number; readonly headers: Headers }): string | null {
  const bytes = REDIRECTS.has(response.status) ? response.headers.get('location') : null;
  // Headers are bytes; servers that do not escape a path send UTF-8.
  return bytes === null ? null : Buffer.from(bytes, 'latin1').toString('utf8');
}

/**
 * The request to send next.
 * @throws {RefusedRequest}
 */
export function redirected({ url, method, headers, body }: Outgoing, status: number, to: string): Outgoing {
  const next = checkedUrl(to, url);
  if (url.protocol === 'https:' && next.protocol === 'http:') throw downgraded(next);

  const kept = new Headers(headers);
  if (next.origin !== url.origin) {
    for (const name of headers.keys()) if (!HARMLESS.has(name)) kept.delete(name);
  }
  if (!becomesGet(status, method)) return { url: next, method, headers: kept, body };
  for (const name of OF_BODIES) kept.delete(name);
  return { url: next, method: 'GET', headers: kept, body: null };
}

function becomesGet(status: number, method: string): boolean {
  if (status === 303) return method !== 'GET' && method !== 'HEAD';
  return (status === 301 || status === 302) && method === 'POST';
}
