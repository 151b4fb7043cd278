/** How an upstream is asked: where, with which headers, and with whose key. */
import { UpstreamAnswer } from './upstream-answer.ts';
import type { Route, Upstream } from './upstreams.ts';

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** Asks one upstream for chats. What its requests have in common is put together once. */
export class ChatClient {
  readonly #address: URL;
  readonly #headers: Readonly<Record<string, string>>;

  /** @throws {TypeError} for an address that is none */
  constructor(upstream: Upstream) {
    this.#address = new URL(addressOf(upstream, '/chat/completions'));
    this.#headers = {
      ...headersFor(upstream),
      accept: 'text/event-stream, application/json',
      'content-type': 'application/json',
    };
  }

  /** Sends a request. */
  ask(body: object): UpstreamAnswer {
    const text = JSON.stringify(body);
    return new UpstreamAnswer({ address: this.#address, method: 'POST', headers: this.#headers, body: text });
  }
}

/** The address of an endpoint, such as `/embeddings`, of this upstream. */
export function addressOf({ baseUrl, query = {} }: Upstream, path: string): string {
  const [base = '', own = ''] = baseUrl.split('?');
  const search = new URLSearchParams(own);
  for (const [name, value] of Object.entries(query)) search.set(name, value);
  return base.replace(/\/+$/, '') + path + (search.size === 0 ? '' : `?${search.toString()}`);
}

/** Whether an answer with this status is what was asked for. */
export function isGood(status: number): boolean {
  return status >= 200 && status < 300;
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
