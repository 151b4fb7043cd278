/**
 * Connections to Redis: to one server, to a master that Sentinels watch, or to a Cluster. No other file can tell which.
 * Nothing here knows what is stored.
 */
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { CannotStart } from '../cannot-start.ts';
import { throttled, type Logger } from '../log.ts';
import { parseRedisUrl, withoutRedisPassword, type RedisAddress } from '../redis-url.ts';
import { withScripts, type Client, type ScriptedRedis, type WhenAway } from './scripts.ts';
import { UndeterredConnector } from './sentinel.ts';

const MAX_RECONNECT_DELAY_MS = 1_000;
/** A Cluster's own words on its slots may be missed; this bounds how long an idle connection believes the old ones. */
const LOOK_AT_SLOTS_MS = 10_000;
/** Two in a tenth of a second make a minute, longer than a Cluster takes to replace a node. */
const PATIENT_REDIRECTIONS = 1_200;
/** About a second. */
const HASTY_REDIRECTIONS = 16;

interface ConnectOptions {
  readonly whenAway: WhenAway;
  /** What the connection is for; `feed` only listens. */
  readonly use: 'state' | 'feed' | 'queue' | 'confirm';
}

/**
 * Opens a connection, which reports its errors by `error` and closes by `disconnect`. BullMQ's and ioredis' own back-off
 * grows to many seconds; capped at one, work resumes within a second of Redis' return.
 */
export function connect(url: string, { use, whenAway }: ConnectOptions): Client {
  const address = parseRedisUrl(url);
  const { username, password } = address;
  const tls = address.type !== 'socket' && address.tls;
  const retryStrategy = (times: number): number => Math.min(times * 50, MAX_RECONNECT_DELAY_MS);
  const common = {
    connectionName: nameOf(use),
    ...(username !== null && { username }),
    ...(password !== null && { password }),
    ...(tls && { tls: {} }),
    // READONLY means a deposed master, UNBLOCKED one being deposed: reconnect and send the command again.
    reconnectOnError: (error: Error) => (/^(READONLY|UNBLOCKED)/.test(error.message) ? 2 : false),
  } satisfies RedisOptions;
  if (address.type === 'cluster') {
    const cluster = new Cluster([...address.nodes], {
      enableOfflineQueue: whenAway === 'wait',
      maxRedirections: whenAway === 'wait' ? PATIENT_REDIRECTIONS : HASTY_REDIRECTIONS,
      clusterRetryStrategy: retryStrategy,
      slotsRefreshInterval: LOOK_AT_SLOTS_MS,
      shardedSubscribers: use === 'feed',
      // A certificate is made out to a name, not to the address behind it.
      ...(tls && { dnsLookup: (host, found) => found(null, host) }),
      redisOptions: { ...common, maxRetriesPerRequest: null },
    });
    cluster.on('+node', gatherWrites);
    return cluster;
  }
  const redis = new Redis({
    ...common,
    ...serverOptions(address),
    retryStrategy,
    ...(whenAway === 'fail'
      ? { enableOfflineQueue: false, maxRetriesPerRequest: 0 }
      : { maxRetriesPerRequest: null }),
  });
  // ioredis leaves every socket of a deposed master once for each command it refused, and Node takes that for a leak.
  redis.on('connect', () => redis.stream.setMaxListeners(0));
  gatherWrites(redis);
  return redis;
}

/**
 * Sends what is written during one turn of the event loop in one piece, on every socket the connection has. ioredis has
 * auto-pipelining for that, which makes a pipeline with all scripts for as little as one command, lets a command wait until the
 * pipeline before it is answered, and misjudges on a Cluster where a script goes.
 */
function gatherWrites(redis: Redis): void {
  redis.on('connect', () => {
    const { stream } = redis;
    const write = stream.write.bind(stream);
    let isCorked = false;
    stream.write = (...args: unknown[]) => {
      if (!isCorked) {
        isCorked = true;
        stream.cork();
        setImmediate(() => {
          isCorked = false;
          stream.uncork();
        });
      }
      return Boolean(Reflect.apply(write, undefined, args));
    };
  });
}

/** As which a connection appears in `CLIENT LIST`, and in our log. */
const nameOf = (use: ConnectOptions['use']): string => `longrun-${use}`;

/** Which server, and which of its databases. */
function serverOptions(address: Exclude<RedisAddress, { type: 'cluster' }>): RedisOptions {
  switch (address.type) {
    case 'socket':
      return { path: address.path };
    case 'single':
      return { ...address.nodes[0], db: address.db };
    case 'sentinel':
      return sentinelOptions(address);
  }
}

function sentinelOptions({
  nodes,
  master,
  db,
  sentinelPassword,
  tls,
}: Extract<RedisAddress, { type: 'sentinel' }>): RedisOptions {
  return {
    db,
    sentinels: [...nodes],
    name: master,
    // Without it, what is written to a master that is being replaced is lost for as long as that goes on answering.
    failoverDetector: true,
    Connector: UndeterredConnector,
    ...(sentinelPassword !== null && { sentinelPassword }),
    ...(tls && { enableTLSForSentinelMode: true, sentinelTLS: {} }),
  };
}

/** Opens the connection that carries commands, and waits until it can. */
export async function openState(url: string, whenAway: WhenAway, log: Logger): Promise<ScriptedRedis> {
  const redis = connect(url, { use: 'state', whenAway });
  await firstReady(redis, withoutRedisPassword(url), log);
  reportErrors(redis, nameOf('state'), log);
  return withScripts(redis, whenAway, log);
}

/**
 * Waits until Redis answers for the first time, and says now and then where it is looked for and why it is not there.
 * @throws {CannotStart} when it answers, but does not let us in: waiting does not help.
 */
async function firstReady(redis: Client, where: string, log: Logger): Promise<void> {
  if (redis.status === 'ready') return;
  const tell = throttled((why: string) =>
    log.warn(`No Redis answers at ${where}, which REDIS_URL names (${why}). Trying again until one does.`),
  );
  const ready = Promise.withResolvers<void>();
  const onError = (error: Error): void => {
    const why = reasonOf(error);
    const refusal = REFUSALS.find(([pattern]) => pattern.test(why))?.[1];
    // A server that waits for TLS hangs up on anything else.
    const isHungUp = /ECONNRESET|EPIPE/.test(why) && !where.startsWith('rediss');
    if (refusal === undefined) tell(isHungUp ? `${why}; where it speaks TLS, write rediss://` : why);
    else ready.reject(new CannotStart(`Redis at ${where} ${refusal}`));
  };
  redis.on('error', onError);
  redis.once('ready', ready.resolve);
  try {
    await ready.promise;
  } catch (error) {
    // It would go on reconnecting, and say so to nobody.
    redis.on('error', () => {});
    redis.disconnect();
    throw error;
  } finally {
    redis.off('error', onError);
  }
}

/** How Redis, or TLS before it, says that it does not let us in, and what that means. */
const REFUSALS = [
  [/\bWRONGPASS\b|invalid password/i, 'refuses the user name or the password in REDIS_URL. Correct them.'],
  [
    /\bNOAUTH\b/,
    'asks for a password, and REDIS_URL has none. Put it before the host: redis://:PASSWORD@HOST:6379',
  ],
  [
    /self-signed certificate|unable to (?:verify|get) .*(?:certificate|issuer)/i,
    'shows a certificate that nobody signed whom this machine trusts. Set NODE_EXTRA_CA_CERTS to the path of the certificate (PEM) of whoever signed it: its own where it is self-signed.',
  ],
  [
    /certificate's altnames/,
    'shows a certificate for another name. Write a name into REDIS_URL for which it was made.',
  ],
  [/certificate has expired/, 'shows a certificate that has expired. Renew it there.'],
  [
    /certificate required/i,
    'wants a certificate from Longrun, which has none. Set tls-auth-clients no there, and use a password.',
  ],
  [
    /wrong version number|packet length too long/,
    'does not speak TLS. Write redis:// in place of rediss://, or the port for TLS.',
  ],
] as const;

/** Why a connection failed, as far as anybody says; an error of several addresses has no message of its own. */
function reasonOf(error: Error): string {
  if (error instanceof AggregateError && error.message === '') {
    return error.errors.map((each: unknown) => (each instanceof Error ? each.message : '')).join('; ');
  }
  // A Cluster keeps what its nodes said.
  const last: unknown = Reflect.get(error, 'lastNodeError');
  return last instanceof Error ? `${error.message} ${last.message}` : error.message;
}

/** Opens a connection that only listens to channels; it subscribes again by itself after a reconnect. */
export function openFeed(url: string, log: Logger): Feed {
  const redis = connect(url, { use: 'feed', whenAway: 'wait' });
  reportErrors(redis, nameOf('feed'), log);
  return redis;
}

/** Events of a {@link Feed} after which messages may have been missed: of the whole connection, of one node's. */
export const FEED_IS_BACK = ['ready', 'subscribersReady'] as const;

/** Events of a {@link Feed} whose messages do not come from then on: it begins again by itself. Of a Cluster, all or one's. */
export const FEED_IS_LOST = ['close', '-subscriber'] as const;

export type Feed = Client;

/** The servers that hold the data: one, or every master of a Cluster. */
export function masters(redis: Client): readonly Redis[] {
  return redis instanceof Cluster ? redis.nodes('master') : [redis];
}

/** Whether the keys of two threads may lie on two servers, so that no script may touch both. */
export function isSharded(redis: Client): boolean {
  return redis instanceof Cluster;
}

/** One line when a connection is lost and one when it is back, however often it fails in between. */
function reportErrors(redis: Client, connection: string, log: Logger): void {
  let lost = false;
  redis.on('error', (err: Error) => {
    if (!lost) log.error({ err, connection }, 'lost Redis');
    lost = true;
  });
  redis.on('ready', () => {
    if (lost) log.info({ connection }, 'Redis is back');
    lost = false;
  });
  const nodeLost = throttled((err: Error, node: string) =>
    log.warn({ err, connection, node }, 'lost a node of the Cluster'),
  );
  if (redis instanceof Cluster) redis.on('node error', nodeLost);
}
