/**
 * Which addresses are public, that is, on the internet and open to every client. Pure. It judges addresses, never
 * names, and refuses those that it does not know.
 */
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** Azure's own agent inside every virtual machine there: it hands out secrets from a public range. */
const WIRE_SERVER = '168.63.129.16';
/** The obsolete way to put an IPv4 address into an IPv6 one; ipaddr.js treats it as a mapped address, systems do not. */
const COMPATIBLE = /^::\d+\./;
/** All addresses that are routed today. Those outside map, translate or tunnel to an IPv4 address, or stay local. */
const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR('2000::/3');

export type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** An address in the system's spelling; an IPv4 address mapped into IPv6 becomes IPv4; null for anything else. */
export function parseAddress(text: string): Address | null {
  // ipaddr.js also reads spellings in which resolvers disagree (octal, hexadecimal, fewer parts).
  return isIP(text) === 0 || COMPATIBLE.test(text) ? null : ipaddr.process(text);
}

/** Whether `text` is a public address. */
export function isPublic(text: string): boolean {
  const address = parseAddress(text);
  // `unicast` means that no table of special ranges has it.
  if (address === null || address.range() !== 'unicast') return false;
  if (address instanceof ipaddr.IPv4) return address.toString() !== WIRE_SERVER;
  return address.match(GLOBAL_UNICAST);
}
