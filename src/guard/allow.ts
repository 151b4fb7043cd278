/** What an operator allows beyond public addresses and the ports of the web, as written in the configuration. Pure. */
import { isIPv6 } from 'node:net';
import { domainToASCII } from 'node:url';
import { type Address, parseAddress } from './address.ts';

/** One entry. A null port means every port. */
export type Allowed =
  | { readonly kind: 'name'; readonly name: string; readonly port: number | null }
  /** Every name that ends in `suffix`, which begins with a dot. */
  | { readonly kind: 'below'; readonly suffix: string; readonly port: number | null }
  | { readonly kind: 'range'; readonly range: readonly [Address, number]; readonly port: number | null };

/** Where a connection is about to go: the URL's host without brackets, and one of its addresses. */
export interface Destination {
  readonly host: string;
  readonly port: number;
  readonly address: string;
}

const FORMS =
  "Write a name ('intranet.example', '*.example.com'), an address ('10.0.0.5', '[fd00::5]') or a range ('10.0.0.0/8'), and a port behind a name or an address when only that one is meant ('localhost:8080').";
/**
 * Letters, digits, hyphens; underscores because container networks use them. The last part is not a number: such texts
 * are addresses.
 */
const NAME =
  /^(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\.)*(?!\d+$|0x[\da-f]*$)[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?$/;

/**
 * Reads one entry.
 * @throws {Error} for operators, when it is not an entry.
 */
export function parseAllow(entry: string): Allowed {
  return parseRange(entry) ?? parseHost(entry) ?? fail(entry);
}

/** Whether one of the entries lifts the rules about address and port for this destination. */
export function isAllowed(entries: readonly Allowed[], destination: Destination): boolean {
  return entries.some((entry) => matches(entry, destination));
}

function matches(entry: Allowed, { host, port, address }: Destination): boolean {
  if (entry.port !== null && entry.port !== port) return false;
  const name = host.replace(/\.$/, '');
  switch (entry.kind) {
    case 'name':
      return name === entry.name;
    case 'below':
      return name.endsWith(entry.suffix);
    case 'range': {
      const parsed = parseAddress(address);
      const [base, bits] = entry.range;
      return parsed !== null && parsed.kind() === base.kind() && parsed.match(base, bits);
    }
  }
}

/** A bare address or CIDR; IPv6 without brackets has no port. */
function parseRange(entry: string): Allowed | null {
  const [, base = '', bits] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(entry) ?? [];
  const address = parseAddress(base);
  if (address === null) return null;
  const length = bits === undefined ? bitsOf(address) : Number(bits);
  return length > bitsOf(address) ? null : { kind: 'range', range: [address, length], port: null };
}

/** A name, a wildcard, an address in brackets, or an IPv4 address, each with or without a port. */
function parseHost(entry: string): Allowed | null {
  const [, bracketed, plain = '', digits] = /^(?:\[([^\]]+)\]|([^:[\]/]+))(?::(\d{1,5}))?$/.exec(entry) ?? [];
  const port = digits === undefined ? null : Number(digits);
  if (port !== null && (port < 1 || port > 65_535)) return null;
  if (bracketed !== undefined && !isIPv6(bracketed)) return null;
  const address = parseAddress(bracketed ?? plain);
  if (address !== null) return { kind: 'range', range: [address, bitsOf(address)], port };
  const isWildcard = plain.startsWith('*.');
  const name = domainToASCII(isWildcard ? plain.slice(2) : plain).replace(/\.$/, '');
  if (!NAME.test(name)) return null;
  return isWildcard ? { kind: 'below', suffix: `.${name}`, port } : { kind: 'name', name, port };
}

function bitsOf(address: Address): number {
  return address.kind() === 'ipv4' ? 32 : 128;
}

function fail(entry: string): never {
  const isUrl = /^[a-z][a-z0-9+.-]*:\/\//i.test(entry);
  throw new Error(`'${entry}' is ${isUrl ? 'a URL, not a host' : 'not a host'}. ${FORMS}`);
}
