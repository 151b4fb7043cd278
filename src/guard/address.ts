/**
 * Which addresses are public: on the internet, and meant to be talked to by anybody. Pure. It answers for addresses, never
 * for names, and refuses what it does not know.
 */
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** Azure's own agent inside every virtual machine there: it hands out secrets from a public range. */
const WIRE_SERVER = '168.63.129.16';
/** An IPv4 address in an IPv6 one as nobody does it any more; ipaddr.js takes it for a mapped one, systems do not. */
const COMPATIBLE = /^::\d+\./;
/** All that is routed today. What lies outside maps, translates or tunnels to some IPv4 address, or stays local. */
const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR('2000::/3');

export type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** An address as the system writes it, an IPv4 address mapped into IPv6 as that; null for anything else. */
export function parseAddress(text: string): Address | null {
  // ipaddr.js also reads spellings in which resolvers disagree (octal, hexadecimal, fewer parts).
  return isIP(text) === 0 || COMPATIBLE.test(text) ? null : ipaddr.process(text);
}

/** Whether `text` is an address that anybody may talk to. */
export function isPublic(text: string): boolean {
  const address = parseAddress(text);
  // `unicast` is what no table of special ranges names.
  if (address === null || address.range() !== 'unicast') return false;
  if (address instanceof ipaddr.IPv4) return address.toString() !== WIRE_SERVER;
  return address.match(GLOBAL_UNICAST);
}
