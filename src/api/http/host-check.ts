/**
 * Which names this server answers to. A page can make its own name resolve to this machine (DNS rebinding), and would
 * then have the same origin as the API. It cannot hide the name that it asks for, so that name is checked.
 */
import { isIP } from 'node:net';
import type { Request, RequestHandler } from 'express';
import ipaddr from 'ipaddr.js';
import { foreignHost, malformedHost } from '../../errors.ts';
import type { TurnAway } from './turned-away.ts';

export interface HostRules {
  /** Names in lower case; `*.example.com` is every name below it, `*` every name. */
  readonly allowedHosts: readonly string[];
  /** Whether the server listens on a loopback address only. Elsewhere a key is required, which no page knows. */
  readonly loopbackOnly: boolean;
}

/** Monitors and operators ask for these under any address. */
const PROBED = new Set(['/ping', '/health', '/ready', '/metrics']);

/**
 * Refuses requests to names that are neither this machine's own nor listed. A server beyond loopback without a list
 * accepts every name; with a list it still accepts probes and bare addresses, because rebinding needs a name.
 */
export function checkHost({ allowedHosts, loopbackOnly }: HostRules, refused: TurnAway): RequestHandler {
  const isOpen = allowedHosts.includes('*') || (allowedHosts.length === 0 && !loopbackOnly);
  const isAllowed = (name: string): boolean =>
    isOpen ||
    isLoopbackName(name) ||
    (!loopbackOnly && isIP(name) !== 0) ||
    allowedHosts.some((allowed) => covers(allowed, name));
  return (request, _response, next) => {
    if (!loopbackOnly && PROBED.has(request.path)) return next();
    for (const authority of authoritiesOf(request)) {
      const name = nameIn(authority);
      if (name === null) throw malformedHost();
      if (isAllowed(name)) continue;
      refused('ALLOWED_HOSTS', name);
      throw foreignHost(name);
    }
    return next();
  };
}

/**
 * The names that a request is for: from `Host`, and from the request line where that has one. `X-Forwarded-Host` does
 * not count, because clients may write anything into it.
 */
function authoritiesOf({ rawHeaders, httpVersion, url }: Request): readonly string[] {
  // Not `headersDistinct`, which would keep a second form of all headers for as long as the request lives.
  const hosts = rawHeaders.filter((_, place) => place % 2 === 1 && isHost(rawHeaders[place - 1]));
  // HTTP/1.0 had no Host, and no browser uses it any more.
  if (hosts.length > 1 || (hosts.length === 0 && httpVersion !== '1.0')) throw malformedHost();
  const target = /^[a-z][a-z\d+.-]*:\/\/([^/?#]*)/i.exec(url)?.[1];
  return target === undefined ? hosts : [...hosts, target];
}

const isHost = (name = ''): boolean => name.length === 4 && name.toLowerCase() === 'host';

/** The name in `name:port`, in lower case, an IPv6 address without its brackets; null where it is not a name. */
function nameIn(authority: string): string | null {
  const [, address, name] = /^(?:\[([\da-f:.]+)\]|([\w.-]+))(?::\d*)?$/i.exec(authority) ?? [];
  return (address ?? name)?.toLowerCase().replace(/\.$/, '') ?? null;
}

function isLoopbackName(name: string): boolean {
  if (name === 'localhost' || name === '127.0.0.1' || name.endsWith('.localhost')) return true;
  return ipaddr.isValid(name) && ipaddr.process(name).range() === 'loopback';
}

function covers(allowed: string, name: string): boolean {
  return allowed.startsWith('*.') ? name.endsWith(allowed.slice(1)) : name === allowed;
}
