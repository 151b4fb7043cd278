/** Opens what a process keeps in Redis: the connections, the queue, and the stores over them. Owns them until `close`. */
import type { Logger } from '../log.ts';
import { examine } from './check.ts';
import { RedisClock } from './clock.ts';
import { Damage } from './damage.ts';
import { Replicas } from './confirm.ts';
import { LogHub } from './follow.ts';
import { Keys } from './keys.ts';
import { ObjectStore } from './objects.ts';
import { OpenRuns } from './open-runs.ts';
import { RunQueue } from './queue.ts';
import { insist, openFeed, openState, type State, type WhenAway } from './redis.ts';
import type { Listeners } from './report.ts';
import { RunStore } from './runs.ts';
import { Threads } from './threads.ts';
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
  readonly log: Logger;
  /** Hears of every transition, and of commits that were refused. */
  readonly count: (what: string) => void;
  /** Hears of every run that failed, with the upstream that had a part in it. */
  readonly countFailure?: Listeners['countFailure'];
}

export interface Store {
  readonly redis: State;
  readonly keys: Keys;
  /** The time that every process of the deployment goes by. */
  readonly clock: RedisClock;
  readonly hub: LogHub;
  readonly queue: RunQueue;
  readonly open: OpenRuns;
  readonly threads: Threads;
  readonly runs: RunStore;
  readonly objects: ObjectStore;
  readonly usage: UsageCounts;
  /** Why the servers are not fit to keep runs, for the operator; empty when they are. */
  readonly problems: readonly string[];
  close(): Promise<void>;
}

/** Waits until Redis answers, however long that takes. */
export async function openStore(options: StoreOptions): Promise<Store> {
  const { redisUrl, redisPrefix, durability, logKeptS, whenAway, log, count, countFailure } = options;
  const redis = await openState(redisUrl, whenAway, log);
  const { problems, warnings } = await insist(() => examine(redis));
  for (const warning of warnings) log.warn(warning);
  const keys = new Keys(redisPrefix);
  const clock = new RedisClock(redis, log);
  await clock.begin();
  const { now, nowMs } = clock;
  const hub = new LogHub(redis, openFeed(redisUrl, log), keys, log);
  const queue = new RunQueue(redisUrl, keys, log, nowMs);
  const open = new OpenRuns(redis, keys, nowMs, log);
  const threads = new Threads(redis, keys, nowMs, log);
  const damage = new Damage(redis, keys, log);
  const replicas = durability === 'replica' ? new Replicas(redisUrl, keys) : null;
  const confirm = replicas === null ? null : replicas.confirm.bind(replicas);
  const usage = new UsageCounts(redis, keys, log);
  const runs = new RunStore({
    redis,
    keys,
    queue,
    open,
    threads,
    damage,
    log,
    now,
    logKeptS,
    count,
    countFailure,
    onTransition: (transition) => usage.count(transition),
    confirm,
  });
  return {
    redis,
    keys,
    clock,
    hub,
    queue,
    open,
    threads,
    runs,
    objects: new ObjectStore({ ...options, redis, keys, threads, damage, nowMs }),
    usage,
    problems,
    close: async () => {
      clock.close();
      await queue.close();
      hub.close();
      replicas?.close();
      redis.disconnect();
    },
  };
}
