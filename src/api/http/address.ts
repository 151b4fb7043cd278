/** Where a request comes from. The only reader of its network address. */
import { isIPv4 } from 'node:net';
import type { Request } from 'express';
import ipaddr from 'ipaddr.js';

/**
 * The client's address in its shortest spelling; an IPv4 address mapped into IPv6 counts as IPv4. Behind the proxies
 * that TRUST_PROXY names, it is the address that they forwarded; anything else in `X-Forwarded-For` is ignored.
 */
export function addressOf(request: Request): string {
  const forwarded = withoutPort(request.ip ?? '');
  if (isIPv4(forwarded)) return forwarded;
  return ipaddr.isValid(forwarded) ? ipaddr.process(forwarded).toString() : forwarded;
}

/** Some proxies also forward the client's port, which differs for every connection. */
function withoutPort(address: string): string {
  return /^\[(.+)\](?::\d+)?$/.exec(address)?.[1] ?? /^([\d.]+):\d+$/.exec(address)?.[1] ?? address;
}
