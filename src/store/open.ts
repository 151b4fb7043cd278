/** Opens what a process keeps in Redis: the connections, the queue, and the stores over them. Owns them until `close`. */
import type { Logger } from '../log.ts';
import { requirePermissions } from './permissions.ts';
import { preflight } from './preflight.ts';
import { fromMicros, microCostOf, type Prices } from '../runs/cost.ts';
import type { ColdRows } from '../runs/cold-row.ts';
import { RedisClock } from './clock.ts';
import { ColdThreads } from './cold-threads.ts';
import { Collections } from './collection.ts';
import { Contents } from './contents.ts';
import { Damage } from './damage.ts';
import { ReplicaAck } from './replica-ack.ts';
import { LogHub } from './follow.ts';
import type { JobTracing } from './job-kind.ts';
import { RedisKeys } from './keys.ts';
import { openObjects, type Objects } from './objects.ts';
import { OpenRuns } from './open-runs.ts';
import { JobQueue } from './queue.ts';
import { insist } from './away.ts';
import { openFeed, openState } from './redis.ts';
import type { ScriptedRedis, WhenAway } from './scripts.ts';
import type { RunObserver } from './report.ts';
import { RunNews } from './run-news.ts';
import { RecentRuns } from './recent-runs.ts';
import { RUN_JOBS, type RunJob } from './run-jobs.ts';
import { RunStore } from './runs.ts';
import { ThreadIndex } from './thread-index.ts';
import { UsageCounts } from './usage.ts';

export interface StoreOptions {
  readonly redisUrl: string;
  readonly redisPrefix: string;
  /** Whether the beginning and the end of a run wait for a replica. */
  readonly durability: 'local' | 'replica';
  readonly logKeptS: number;
  /** Documents in one page of a list. */
  readonly pageLimitBytes: number;
  readonly whenAway: WhenAway;
  /** Where cold threads lie. It belongs to the caller. */
  readonly coldRows: ColdRows;
  readonly log: Logger;
  /** Hears of every transition, and of commits that were refused. */
  readonly count: (what: string) => void;
  /** Hears of every run that failed, with the upstream that had a part in it. */
  readonly countFailure?: RunObserver['countFailure'];
  readonly onTransition?: RunObserver['onTransition'];
  /** What the model of a run costs; null where that is not known. */
  readonly pricesOf?: (model: string, backend: string | null) => Prices | null;
  /** Null or missing where no traces are collected. */
  readonly tracing?: JobTracing | null;
}

export interface Store {
  readonly redis: ScriptedRedis;
  readonly keys: RedisKeys;
  /** The time that every process of the deployment goes by. */
  readonly clock: RedisClock;
  readonly hub: LogHub;
  readonly queue: JobQueue<RunJob>;
  readonly open: OpenRuns;
  readonly threadIndex: ThreadIndex;
  readonly runs: RunStore;
  readonly objects: Objects;
  readonly contents: Contents;
  readonly cold: ColdThreads;
  readonly usage: UsageCounts;
  readonly news: RunNews;
  /** Why the servers are not fit to keep runs, for the operator; empty when they are. */
  readonly problems: readonly string[];
  close(): Promise<void>;
}

/**
 * Waits until Redis answers, however long that takes.
 * @throws {CannotStart} when it answers, but does not let us in or do what is needed.
 */
export async function openStore(options: StoreOptions): Promise<Store> {
  const { redisUrl, redisPrefix, durability, logKeptS, whenAway, log, count, countFailure, onTransition } =
    options;
  const redis = await openState(redisUrl, whenAway, log);
  const keys = new RedisKeys(redisPrefix);
  await insist(() => requirePermissions(redis, keys, options)).catch((error: unknown) => {
    redis.disconnect();
    throw error;
  });
  const { problems, warnings } = await insist(() => preflight(redis));
  for (const warning of warnings) log.warn(warning);
  const clock = new RedisClock(redis, log);
  await clock.begin();
  const { now, nowMs } = clock;
  const queue = new JobQueue(RUN_JOBS, { redis, keys, log, nowMs, tracing: options.tracing ?? null });
  const open = new OpenRuns(redis, keys, nowMs, log);
  const damage = new Damage(redis, keys, log);
  const collections = new Collections({ ...options, redis, damage, nowMs });
  const contents = new Contents(redis, keys, nowMs, log);
  const threadIndex = new ThreadIndex({ collections, redis, keys, nowMs, log });
  const cold = new ColdThreads({ redis, keys, threadIndex, rows: options.coldRows, nowMs, log });
  const shared = { collections, contents, cold, redis, keys, damage, nowMs, log };
  const hub = new LogHub(shared, openFeed(redisUrl, log));
  const recentRuns = new RecentRuns(shared);
  const ack = durability === 'replica' ? new ReplicaAck(redisUrl, keys) : null;
  const confirm = ack === null ? null : ack.confirm.bind(ack);
  const usage = new UsageCounts(redis, keys, log);
  const news = new RunNews({ redis, keys, openFeed: () => openFeed(redisUrl, log) });
  const runs = new RunStore({
    redis,
    keys,
    queue,
    open,
    threadIndex,
    recentRuns,
    damage,
    contents,
    cold,
    log,
    now,
    logKeptS,
    count,
    countFailure,
    onTransition: (transition) => {
      const { model, backend, usage: used } = transition;
      const micros = used && microCostOf(used, options.pricesOf?.(model, backend) ?? null);
      usage.count(transition, micros);
      news.tell(transition, micros === null ? null : fromMicros(micros));
      onTransition?.(transition);
    },
    confirm,
  });
  return {
    redis,
    keys,
    clock,
    hub,
    queue,
    open,
    threadIndex,
    runs,
    objects: openObjects({ ...shared, threadIndex, recentRuns }),
    contents,
    cold,
    usage,
    news,
    problems,
    close: async () => {
      clock.close();
      await queue.close();
      hub.close();
      news.close();
      ack?.close();
      redis.disconnect();
    },
  };
}
