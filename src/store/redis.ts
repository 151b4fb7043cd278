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
    host: hostname,
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

/** Opens the connection that carries commands. Concurrent commands go out as one pipeline. */
export function openState(url: string, log: Logger): State {
  const redis = new Redis({ ...connectionOptions(url), enableAutoPipelining: true, connectionName: 'longrun-state' });
  reportErrors(redis, log);
  for (const name of SCRIPTS) {
    redis.defineCommand(name, { lua: readFileSync(new URL(`${name}.lua`, import.meta.url), 'utf8') });
  }
  return redis as State;
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
