/**
 * Reads the forms of REDIS_URL into plain data. Pure; it opens nothing. The configuration uses it to check the setting,
 * and the store uses it to connect; no other code needs to know that there is more than one form.
 */

export interface RedisNode {
  readonly host: string;
  readonly port: number;
}

interface Login {
  readonly username: string | null;
  readonly password: string | null;
}

interface Access extends Login {
  /** One server; the Sentinels; or some nodes of the Cluster, which report the others. */
  readonly nodes: readonly RedisNode[];
  readonly tls: boolean;
}

export type RedisAddress =
  /** A Unix domain socket on this machine; a relative `path` starts in the working folder. */
  | (Login & { readonly type: 'socket'; readonly path: string })
  | (Access & { readonly type: 'single'; readonly db: number })
  | (Access & {
      readonly type: 'sentinel';
      readonly master: string;
      readonly db: number;
      /** The Sentinels' own password; `password` is for the Redis servers. */
      readonly sentinelPassword: string | null;
    })
  | (Access & { readonly type: 'cluster' });

const DEFAULT_PORT = { single: 6379, sentinel: 26_379, cluster: 6379 } as const;
const SENTINEL_PASSWORD = 'sentinelPassword';

interface Parts {
  readonly scheme: string;
  /** Empty, or everything before the `@`. */
  readonly user: string;
  readonly hosts: string;
  readonly path: readonly string[];
  readonly query: URLSearchParams;
}

/**
 * Reads an address.
 * @throws {Error} saying what is wrong, without the address, which may hold a password.
 */
export function parseRedisUrl(text: string): RedisAddress {
  const { scheme, user, hosts, path, query } = partsOf(text);
  const [, secure, kind] = /^redis(s?)(?:\+(sentinel|cluster|socket))?$/.exec(scheme) ?? [];
  if (secure === undefined || (secure === 's' && kind === 'socket')) {
    const forms = 'redis://, redis+sentinel://, redis+cluster:// (with TLS: rediss…) or redis+socket://';
    throw new Error(`must begin with ${forms}`);
  }
  const type = kind === 'sentinel' || kind === 'cluster' || kind === 'socket' ? kind : 'single';
  for (const name of query.keys()) {
    if (type === 'sentinel' && name === SENTINEL_PASSWORD) continue;
    throw new Error(
      'has a parameter after the ? that is not known; only Sentinels take one, sentinelPassword',
    );
  }
  const colon = user.indexOf(':');
  const login: Login = {
    username: decoded(colon === -1 ? user : user.slice(0, colon)),
    password: colon === -1 ? null : decoded(user.slice(colon + 1)),
  };
  if (type === 'socket') return { type, ...login, path: socketPathOf(hosts, path) };
  const nodes = hosts.split(',').map((host) => nodeOf(host, DEFAULT_PORT[type]));
  const access: Access = { ...login, nodes, tls: secure === 's' };
  switch (type) {
    case 'single': {
      if (access.nodes.length > 1)
        throw new Error('names several servers, which needs redis+sentinel:// or redis+cluster://');
      return { type, ...access, db: dbOf(path, 0) };
    }
    case 'sentinel': {
      const [master] = path;
      if (master === undefined)
        throw new Error('must name the master after the hosts, for example …:26379/mymaster');
      const sentinelPassword = query.get(SENTINEL_PASSWORD);
      return { type, ...access, master: decodeURIComponent(master), db: dbOf(path, 1), sentinelPassword };
    }
    case 'cluster': {
      if (path.length > 0) throw new Error('names a database, but a Cluster has only one');
      return { type, ...access };
    }
  }
}

/** The address for logs: passwords are replaced, and an address that cannot be read is hidden entirely. */
export function withoutRedisPassword(text: string): string {
  try {
    const { scheme, user, hosts, path, query } = partsOf(text);
    const colon = user.indexOf(':');
    const shown = colon === -1 ? user : `${user.slice(0, colon)}:redacted`;
    const parameters = [...query.keys()].map((name) => `${name}=redacted`).join('&');
    return [
      `${scheme}://`,
      shown === '' ? '' : `${shown}@`,
      [hosts, ...path].join('/'),
      parameters === '' ? '' : `?${parameters}`,
    ].join('');
  } catch {
    return '[unreadable]';
  }
}

function partsOf(text: string): Parts {
  const match = /^([a-z+]+):\/\/([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/i.exec(text);
  if (match === null) throw new Error('must be an address like redis://127.0.0.1:6379');
  const [, scheme = '', authority = '', path = '', query = ''] = match;
  // A password may contain an @.
  const at = authority.lastIndexOf('@');
  return {
    scheme: scheme.toLowerCase(),
    user: at === -1 ? '' : authority.slice(0, at),
    hosts: authority.slice(at + 1),
    path: path === '' ? [] : path.split('/'),
    query: new URLSearchParams(query),
  };
}

/** Absolute without a host, relative after a dot: `redis+socket:///run/redis.sock`, `redis+socket://./redis.sock`. */
function socketPathOf(hosts: string, path: readonly string[]): string {
  if (path.length === 0 || (hosts !== '' && hosts !== '.')) {
    throw new Error('must name the path of a socket, for example redis+socket:///run/redis/redis.sock');
  }
  return (hosts === '' ? '/' : '') + path.map(decodeURIComponent).join('/');
}

/** `host`, `host:port` or `[IPv6]:port`. */
function nodeOf(text: string, defaultPort: number): RedisNode {
  const [, v6, name, port] = /^(?:\[([\da-f:.]+)\]|([^\s:[\]@]+))(?::(\d{1,5}))?$/i.exec(text) ?? [];
  const host = v6 ?? name;
  const number = port === undefined ? defaultPort : Number(port);
  if (host === undefined || number < 1 || number > 65_535) {
    throw new Error('has a host that cannot be read: expected host:port, several with commas between');
  }
  return { host, port: number };
}

/** The database number, which may stand at `index` of the path and must be its last part. */
function dbOf(path: readonly string[], index: number): number {
  const text = path[index] ?? '0';
  if (path.length > index + 1 || !/^\d{1,5}$/.test(text))
    throw new Error('ends in something that is no database number');
  return Number(text);
}

function decoded(text: string): string | null {
  try {
    return text === '' ? null : decodeURIComponent(text);
  } catch {
    throw new Error('has a user name or password with a broken percent-encoding');
  }
}
