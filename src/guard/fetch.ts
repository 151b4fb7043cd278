/**
 * The one guard for outgoing requests: a `fetch` that reaches public addresses and what the operator has allowed,
 * within limits of time and size, redirects included. It follows redirects itself, so that each new request is checked
 * like the first.
 */
import { Agent, fetch } from 'undici';
import type { ToolFetch, ToolFetchInit } from '../runs/tool.ts';
import { parseAllow } from './allow.ts';
import { toAnswer } from './answer.ts';
import { guardedConnector, type Resolve, systemResolve } from './connect.ts';
import { GuardedExchange } from './exchange.ts';
import { checkedUrl, locationOf, type Outgoing, redirected } from './redirect.ts';
import { blockedPort, redirectedTooOften, unreachable, unwantedRedirect, wordsFor } from './refusal.ts';

/** Longer than a slow service takes, shorter than a person waits. */
const TIMEOUT_MS = 20_000;
/** A large photo; documents and answers of services are far smaller. */
const MAX_BYTES = 20_000_000;
/** http to https, to the name with www, and one more redirect. */
const MAX_REDIRECTS = 3;

export interface GuardOptions {
  /**
   * Hosts that need neither be public nor use port 80 or 443: `name`, `*.example.com`, an address or a CIDR range, with
   * a port after a name or an address when only that port is meant ({@link parseAllow}).
   */
  readonly allow: readonly string[];
  /** The whole exchange, redirects and body included. Default 20 s. */
  readonly timeoutMs?: number;
  /** Limit of an answer's body, after decompression. Default 20 MB. */
  readonly maxBytes?: number;
  /** How many redirects of one request are followed. Default 3. */
  readonly maxRedirects?: number;
  /** How names are resolved. Default: by the system. */
  readonly resolve?: Resolve;
}

export interface Guard {
  readonly fetch: ToolFetch;
  /** Ends all connections; requests under way fail. */
  close(): Promise<void>;
}

/** @throws {Error} for operators, when an entry of `allow` is invalid. */
export function createGuard(options: GuardOptions): Guard {
  const {
    timeoutMs = TIMEOUT_MS,
    maxBytes = MAX_BYTES,
    maxRedirects = MAX_REDIRECTS,
    resolve = systemResolve,
  } = options;
  const allow = options.allow.map(parseAllow);
  const agent = new Agent({
    connect: guardedConnector({ allow, resolve, timeoutMs }),
    // The exchange has the only timeout.
    headersTimeout: 0,
    bodyTimeout: 0,
  });

  const guarded: ToolFetch = async (text, init = {}) => {
    const url = checkedUrl(String(text));
    const exchange = new GuardedExchange(url, narrower(timeoutMs, init.timeoutMs), init.signal ?? null);
    const sending = { agent, exchange, maxRedirects, redirect: init.redirect ?? 'follow' };
    try {
      const first = await exchange.within(outgoing(url, init));
      const { received, last } = await exchange.within(send(first, sending));
      return toAnswer(received, exchange, {
        url: last.url,
        isRedirected: last !== first,
        maxBytes: narrower(maxBytes, init.maxBytes),
      });
    } catch (error) {
      exchange.stop(error);
      throw exchange.signal.reason;
    }
  };
  return { fetch: guarded, close: () => agent.destroy() };
}

interface Sending {
  readonly agent: Agent;
  readonly exchange: GuardedExchange;
  readonly maxRedirects: number;
  readonly redirect: NonNullable<RequestInit['redirect']>;
}

/** Takes from `init` only what a tool may decide: no dispatcher, nor anything else that undici would obey. */
async function outgoing(url: URL, init: ToolFetchInit): Promise<Outgoing> {
  const { method, headers, body } = init;
  // The global Request knows every kind of body that tools can make; undici's own does not know the global FormData.
  const request = new Request(url, { method, headers, body, duplex: 'half' });
  const bytes = request.body === null ? null : new Uint8Array(await request.arrayBuffer());
  return { url, method: request.method, headers: request.headers, body: bytes };
}

/** Sends the request and follows its redirects. */
async function send(first: Outgoing, { agent, exchange, maxRedirects, redirect }: Sending) {
  let last = first;
  for (let count = 0; ; count += 1) {
    const received = await sendOnce(last, agent, exchange.signal);
    const to = locationOf(received);
    if (to === null || redirect === 'manual') return { received, last };
    if (redirect === 'error') throw unwantedRedirect(last.url);
    if (count === maxRedirects) throw redirectedTooOften(first.url, maxRedirects);
    last = redirected(last, received.status, to);
    await received.body?.cancel();
  }
}

async function sendOnce({ url, method, headers, body }: Outgoing, dispatcher: Agent, signal: AbortSignal) {
  try {
    return await fetch(url, {
      method,
      headers: [...headers],
      body,
      signal,
      redirect: 'manual',
      dispatcher,
    });
  } catch (error) {
    throw isBlockedPort(error) ? blockedPort(url) : (wordsFor(error) ?? unreachable(url, error));
  }
}

/** The fetch standard blocks ports of mail, shells and the like for every fetch, allowed or not. */
function isBlockedPort(error: unknown): boolean {
  return error instanceof Error && error.cause instanceof Error && error.cause.message === 'bad port';
}

/** NaN never wins the comparison, so it does not lift a limit. */
function narrower(own: number, asked: number | undefined): number {
  return asked !== undefined && asked < own ? asked : own;
}
