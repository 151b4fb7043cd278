/**
 * Opens the connections of the guard. The only place that knows where a request really goes: it resolves a name once,
 * keeps the addresses that may be connected to, and asks the open connection which address it reached. Every connection
 * passes here, those of redirects included, so no spelling, no name and no change of a name in between leads past it.
 */
import { lookup } from 'node:dns/promises';
import { isIP, type Socket } from 'node:net';
import { buildConnector } from 'undici';
import { isPublic } from './address.ts';
import { type Allowed, type Destination, isAllowed } from './allow.ts';
import { type Objection, wrongDestination } from './refusal.ts';

/** Returns the addresses of a name, the best first. */
export type Resolve = (name: string) => Promise<readonly string[]>;

export interface ConnectorOptions {
  readonly allow: readonly Allowed[];
  readonly resolve: Resolve;
  readonly timeoutMs: number;
}

const WEB_PORTS: ReadonlySet<number> = new Set([80, 443]);

/** The system's resolver: its files, then its DNS servers. */
export const systemResolve: Resolve = async (name) => {
  const found = await lookup(name, { all: true });
  return found.map(({ address }) => address);
};

/** A connector for undici that connects to permitted destinations only. */
export function guardedConnector(options: ConnectorOptions): buildConnector.connector {
  return (target, callback) => {
    void (async () => {
      const opened = await connect(target, options).catch(toError);
      if (opened instanceof Error) callback(opened, null);
      else callback(null, opened);
    })();
  };
}

async function connect(target: buildConnector.Options, options: ConnectorOptions): Promise<Socket> {
  const host = target.hostname.replace(/^\[|\]$/g, '');
  const port = Number(target.port || (target.protocol === 'https:' ? 443 : 80));
  const object = (address: string): Objection | null => objection({ host, port, address }, options.allow);

  const known = isIP(host) === 0 ? await options.resolve(host) : [host];
  const permitted = known.filter((address) => object(address) === null);
  if (permitted.length === 0) {
    const isPortOnly = known.some((address) => object(address) === 'port');
    throw wrongDestination(host, port, isPortOnly ? 'port' : 'private');
  }

  const socket = await open(target, permitted, options.timeoutMs);
  const reached = socket.remoteAddress;
  const last = reached === undefined ? null : object(reached);
  if (reached !== undefined && last === null) return socket;
  socket.destroy();
  throw last === null ? new Error('closed at once') : wrongDestination(host, port, last);
}

/** Why this destination may not be connected to; null when it may. */
function objection(destination: Destination, allow: readonly Allowed[]): Objection | null {
  if (isAllowed(allow, destination)) return null;
  if (!isPublic(destination.address)) return 'private';
  return WEB_PORTS.has(destination.port) ? null : 'port';
}

function open(
  target: buildConnector.Options,
  permitted: readonly string[],
  timeout: number,
): Promise<Socket> {
  const addresses = permitted.map((address) => ({ address, family: isIP(address) }));
  const connector = buildConnector({
    timeout,
    allowH2: false,
    // Makes Node request all addresses at once, so that `lookup` has only one form to answer.
    autoSelectFamily: true,
    lookup: (_name, _options, callback) => callback(null, addresses),
  });
  return new Promise((resolve, reject) => {
    connector(target, (error, socket) => (error === null ? resolve(socket) : reject(error)));
  });
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
