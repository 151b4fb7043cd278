/** Where a request comes from. The only reader of its network address. */
import type { Request } from 'express';
import ipaddr from 'ipaddr.js';

/**
 * The client's address in its shortest spelling, IPv4 also where it came mapped into IPv6. Behind the proxies that
 * TRUST_PROXY names it is the one they forwarded; whatever else a client writes into `X-Forwarded-For` is ignored.
 */
export function addressOf(request: Request): string {
  const forwarded = withoutPort(request.ip ?? '');
  return ipaddr.isValid(forwarded) ? ipaddr.process(forwarded).toString() : forwarded;
}

/** Some proxies forward the client's port as well, which is another one for every connection. */
function withoutPort(address: string): string {
  return /^\[(.+)\](?::\d+)?$/.exec(address)?.[1] ?? /^([\d.]+):\d+$/.exec(address)?.[1] ?? address;
}
