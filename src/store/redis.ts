/** Connections to Redis, and the scripts that run inside it. Nothing here knows what is stored. */
import { readFileSync } from 'node:fs';
import { Redis, type RedisOptions } from 'ioredis';
import type { Logger } from '../log.ts';

const MAX_RECONNECT_DELAY_MS = 1_000;

/**
 * Options every connection shares. BullMQ's and ioredis' own back-off grows to many seconds; capped at one, work
 * resumes within a second of Redis' return. READONLY means a deposed master: reconnect and send the command again.
 */
export function connectionOptions(url: string) {
  const { hostname, port, username, password, pathname, protocol } = new URL(url);
  return {
    // An IPv6 address stands in brackets in a URL.
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? 6379 : Number(port),
    ...(username !== '' && { username: decodeURIComponent(username) }),
    ...(password !== '' && { password: decodeURIComponent(password) }),
    db: Number(pathname.slice(1) || '0'),
    ...(protocol === 'rediss:' && { tls: {} }),
    retryStrategy: (times: number) => Math.min(times * 50, MAX_RECONNECT_DELAY_MS),
    reconnectOnError: (error: Error) => (error.message.startsWith('READONLY') ? (2 as const) : false),
  } satisfies RedisOptions;
}

const SCRIPTS = ['commit', 'append', 'page', 'swap', 'remove', 'drop'] as const;
type Script = (typeof SCRIPTS)[number];

/** A state connection: ioredis plus our scripts, each called with its number of keys first. */
export type State = Redis & Readonly<Record<Script, (...args: (string | number)[]) => Promise<unknown>>>;

/**
 * What a command does while Redis is away: `fail` at once, so that a client is told to come back, or `wait` for its
 * return, so that the result of work is not lost.
 */
export type WhenAway = 'fail' | 'wait';

/** Opens the connection that carries commands, and waits until it can. Concurrent commands go out as one pipeline. */
export async function openState(url: string, whenAway: WhenAway, log: Logger): Promise<State> {
  const redis = new Redis({
    ...connectionOptions(url),
    enableAutoPipelining: true,
    connectionName: 'longrun-state',
    ...(whenAway === 'fail'
      ? { enableOfflineQueue: false, maxRetriesPerRequest: 0 }
      : { maxRetriesPerRequest: null }),
  });
  reportErrors(redis, log);
  for (const name of SCRIPTS) {
    redis.defineCommand(name, { lua: readFileSync(new URL(`${name}.lua`, import.meta.url), 'utf8') });
  }
  if (redis.status !== 'ready') await new Promise((resolve) => redis.once('ready', resolve));
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- defineCommand has just added the scripts.
  return redis as State;
}

/** What Redis answers when it is there but cannot serve: full, a replica, loading, unable to write to disk or to replicas. */
const REFUSALS = /^(?:OOM|READONLY|LOADING|MISCONF|NOREPLICAS|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|EXECABORT) /;

/** Whether a command failed because Redis could not be reached or cannot serve now, not because of what it said. */
export function isUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return (
    REFUSALS.test(error.message) ||
    error.name === 'MaxRetriesPerRequestError' ||
    error.message.startsWith('Connection is closed') ||
    error.message.includes('enableOfflineQueue')
  );
}

/** Opens a connection that only listens to channels; it subscribes again by itself after a reconnect. */
export function openFeed(url: string, log: Logger): Redis {
  const redis = new Redis({
    ...connectionOptions(url),
    maxRetriesPerRequest: null,
    connectionName: 'longrun-feed',
  });
  reportErrors(redis, log);
  return redis;
}

/** One line when a connection is lost and one when it is back, however often it fails in between. */
function reportErrors(redis: Redis, log: Logger): void {
  // ioredis leaves every socket of a deposed master once for each command it refused, and Node takes that for a leak.
  redis.on('connect', () => redis.stream.setMaxListeners(0));
  let lost = false;
  redis.on('error', (err: Error) => {
    if (!lost) log.error({ err, connection: redis.options.connectionName }, 'lost Redis');
    lost = true;
  });
  redis.on('ready', () => {
    if (lost) log.info({ connection: redis.options.connectionName }, 'Redis is back');
    lost = false;
  });
}
