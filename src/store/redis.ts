/**
 * How the house connects to Redis, be it one server, a master that Sentinels watch, or a Cluster: nobody else can tell which.
 * Also the scripts that run inside it. Nothing here knows what is stored.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Cluster, Redis, SentinelConnector, type RedisOptions } from 'ioredis';
import type { Logger } from '../log.ts';
import { CannotStart } from '../errors.ts';
import { parseRedisUrl, withoutRedisPassword, type RedisAddress } from '../redis-url.ts';

const MAX_RECONNECT_DELAY_MS = 1_000;
/** While a server refuses for a reason that passes, a connection that waits asks this often. */
export const ASK_AGAIN_MS = 200;
/** A Cluster's own words on its slots may be missed; this bounds how long an idle connection believes the old ones. */
const LOOK_AT_SLOTS_MS = 10_000;
/** Two in a tenth of a second make a minute, longer than a Cluster takes to replace a node. */
const PATIENT_REDIRECTIONS = 1_200;
/** About a second. */
const HASTY_REDIRECTIONS = 16;
const REPORT_INTERVAL_MS = 10_000;

/** A connection, whatever it leads to. */
type Client = Redis | Cluster;

/**
 * What a command does while Redis is away: `fail` (at once; on a Cluster within about a second), so that a client is told
 * to come back, or `wait` for its return, so that the result of work is not lost.
 */
export type WhenAway = 'fail' | 'wait';

interface ConnectOptions {
  readonly whenAway: WhenAway;
  /** What the connection is for: `state` sends together what comes at once, `feed` only listens. */
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
    return new Cluster([...address.nodes], {
      enableOfflineQueue: whenAway === 'wait',
      maxRedirections: whenAway === 'wait' ? PATIENT_REDIRECTIONS : HASTY_REDIRECTIONS,
      clusterRetryStrategy: retryStrategy,
      slotsRefreshInterval: LOOK_AT_SLOTS_MS,
      // Auto-pipelining stays off here: ioredis tells a script's slot by its first argument, the number of keys, and
      // a pipeline of which one command has moved to another node is not sent again.
      shardedSubscribers: use === 'feed',
      // A certificate is made out to a name, not to the address behind it.
      ...(tls && { dnsLookup: (host, found) => found(null, host) }),
      redisOptions: { ...common, maxRetriesPerRequest: null },
    });
  }
  const redis = new Redis({
    ...common,
    ...serverOptions(address),
    retryStrategy,
    enableAutoPipelining: use === 'state',
    ...(whenAway === 'fail'
      ? { enableOfflineQueue: false, maxRetriesPerRequest: 0 }
      : { maxRetriesPerRequest: null }),
  });
  // ioredis leaves every socket of a deposed master once for each command it refused, and Node takes that for a leak.
  redis.on('connect', () => redis.stream.setMaxListeners(0));
  return redis;
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

/**
 * A Sentinel's news of a failover end the connection, so that the new master is looked for; but when ioredis looks for it
 * already, they make it give up for good. So who brings news is dismissed first; the next connection has its own.
 */
class UndeterredConnector extends SentinelConnector {
  constructor(options: unknown) {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- ioredis hands in the options of the connection.
    super(options as ConstructorParameters<typeof SentinelConnector>[0]);
  }

  override async connect(
    ...args: Parameters<SentinelConnector['connect']>
  ): ReturnType<SentinelConnector['connect']> {
    // Private to ioredis, which has no other way to call it off.
    const detector = Reflect.get(this, 'failoverDetector') as { cleanup(): void } | null;
    detector?.cleanup();
    Reflect.set(this, 'failoverDetector', null);
    return super.connect(...args);
  }
}

type Script = (...args: (string | number)[]) => Promise<unknown>;

const SCRIPTS = [
  'commit',
  'append',
  'history',
  'page',
  'swap',
  'remove',
  'drop',
  'label',
  'holder',
  'abandon',
  'probe',
  'remind',
  'note',
  'trial',
  'untrial',
] as const;

type ScriptName = (typeof SCRIPTS)[number];

/** A state connection: ioredis plus our scripts, each called with its number of keys first. */
export type State = Client & Readonly<Record<ScriptName, Script>>;

/** Opens the connection that carries commands, and waits until it can. Concurrent commands go out as one pipeline. */
export async function openState(url: string, whenAway: WhenAway, log: Logger): Promise<State> {
  const redis = connect(url, { use: 'state', whenAway });
  await firstReady(redis, withoutRedisPassword(url), log);
  reportErrors(redis, nameOf('state'), log);
  const script = (name: string): Script => {
    const send = defineScript(redis, name);
    return whenAway === 'wait' ? persistent(redis, send, log.child({ script: name })) : send;
  };
  const scripts = Object.fromEntries(SCRIPTS.map((name) => [name, script(name)]));
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- fromEntries forgets the names.
  return Object.assign(redis, scripts as Record<ScriptName, Script>);
}

/**
 * Waits until Redis answers for the first time, and says now and then where it is looked for and why it is not there.
 * @throws {CannotStart} when it answers, but does not let us in: waiting does not help.
 */
async function firstReady(redis: Client, where: string, log: Logger): Promise<void> {
  if (redis.status === 'ready') return;
  const tell = seldom((why: string) =>
    log.warn(`No Redis answers at ${where}, which REDIS_URL names (${why}). Trying again until one does.`),
  );
  const ready = Promise.withResolvers<void>();
  const onError = (error: Error): void => {
    const why = reasonOf(error);
    const refusal = REFUSALS.find(([pattern]) => pattern.test(why))?.[1];
    if (refusal === undefined) tell(why);
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

/** How Redis says that it does not let us in, and what that means. */
const REFUSALS = [
  [/\bWRONGPASS\b|invalid password/i, 'refuses the user name or the password in REDIS_URL. Correct them.'],
  [
    /\bNOAUTH\b/,
    'asks for a password, and REDIS_URL has none. Put it before the host: redis://:PASSWORD@HOST:6379',
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

const source = (name: string): string => readFileSync(new URL(`${name}.lua`, import.meta.url), 'utf8');

function defineScript(redis: Client, name: string): Script {
  const command = `${name}.lua`;
  redis.defineCommand(command, { lua: source('lost-run') + source(name) });
  return async (...args) => {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- defineCommand has just added it.
    const send = Reflect.get(redis, command) as Script;
    return send.apply(redis, args);
  };
}

/** Sends until there is an answer. Every script is idempotent, so one that was done without our hearing of it is harmless. */
function persistent(redis: Client, send: Script, log: Logger): Script {
  return async (...args) => {
    for (let tries = 1; ; tries += 1) {
      try {
        return await send(...args);
      } catch (error) {
        if (!isUnavailable(error) || redis.status === 'end') throw error;
        if (tries === 1) log.debug({ err: error }, 'Redis refuses for now; sending again');
      }
      await delay(ASK_AGAIN_MS);
    }
  };
}

/** Opens a connection that only listens to channels; it subscribes again by itself after a reconnect. */
export function openFeed(url: string, log: Logger): Feed {
  const redis = connect(url, { use: 'feed', whenAway: 'wait' });
  reportErrors(redis, nameOf('feed'), log);
  return redis;
}

/** Events of a {@link Feed} after which messages may have been missed: of the whole connection, of one node's. */
export const FEED_IS_BACK = ['ready', 'subscribersReady'] as const;

export type Feed = Client;

/** The servers that hold the data: one, or every master of a Cluster. */
export function masters(redis: Client): readonly Redis[] {
  return redis instanceof Cluster ? redis.nodes('master') : [redis];
}

/** How ioredis says that a command was not answered. */
const UNANSWERED =
  /^(Connection is closed|Command aborted|Too many Cluster redirections|None of startup nodes|Failed to refresh slots)|enableOfflineQueue|max retries per request/;
/** How Redis refuses for a while: failing over, starting, without enough replicas, without room to write. */
const FOR_NOW =
  /^(READONLY|NOREPLICAS|LOADING|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|UNBLOCKED|MISCONF|OOM|No sharded subscriber)\b/;

/** Whether a command failed because of the state Redis is in, not because of what it said: later it may succeed. */
export function isUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (UNANSWERED.test(error.message) || FOR_NOW.test(error.message)) return true;
  // A transaction says only that it was discarded; why, its commands have said before.
  const earlier: unknown = Reflect.get(error, 'previousErrors');
  return Array.isArray(earlier) && earlier.some(isUnavailable);
}

/** Whether a command failed because Redis has no room for what it would write. */
export function isFull(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const earlier: unknown = Reflect.get(error, 'previousErrors');
  return /^OOM\b/.test(error.message) || (Array.isArray(earlier) && earlier.some(isFull));
}

/** Asks until there is an answer: for what a process cannot begin without. */
export async function insist<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!isUnavailable(error)) throw error;
    }
    await delay(ASK_AGAIN_MS);
  }
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
  const nodeLost = seldom((err: Error, node: string) =>
    log.warn({ err, connection, node }, 'lost a node of the Cluster'),
  );
  if (redis instanceof Cluster) redis.on('node error', nodeLost);
}

/** `report`, but at most every ten seconds: while Redis is away, errors come by the thousand. */
export function seldom<T extends unknown[]>(report: (...args: T) => void): (...args: T) => void {
  let lastMs = -Infinity;
  return (...args) => {
    const nowMs = performance.now();
    if (nowMs - lastMs < REPORT_INTERVAL_MS) return;
    lastMs = nowMs;
    report(...args);
  };
}
