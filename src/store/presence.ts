/** Which workers are alive: each says so every few seconds, and readiness counts those that have done so lately. */
import { randomText } from '../runs/ids.ts';
import type { ColdCounts } from './cold-threads.ts';
import { decode } from './json.ts';
import type { RedisKeys, RunRef } from './keys.ts';
import type { ScriptedRedis } from './scripts.ts';

const BEAT_MS = 5_000;
/** Three beats missed. */
const ABSENT_AFTER_MS = 15_000;

/** What a worker says of itself with every beat; counters begin at 0 with its process. */
export interface WorkerFigures {
  /** Runs it executes, and how many it may. */
  readonly busy: number;
  readonly slots: number;
  /** How often it had gone deaf, and took jobs anew. */
  readonly rebuilds: number;
  /** Jobs it found that another worker had lost. */
  readonly stalls: number;
  /** Transitions it made, by event, and commits that were `refused`. */
  readonly commits: Readonly<Record<string, number>>;
  /** What it did with cold threads. */
  readonly cold: Readonly<ColdCounts>;
  /** Runs that it ended as failed, by the code of their error and then by upstream; `` is none. */
  readonly failures: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** When its process began, and when it said this, in unix milliseconds; null of an older version. */
  readonly sinceMs: number | null;
  readonly saidMs: number | null;
  /** Some of the runs it executes. */
  readonly running: readonly RunRef[];
  /** The MCP servers of the configuration, as it sees them. */
  readonly mcp: readonly McpReport[];
  /** How far its machine's clock is ahead of that of Redis, in milliseconds. */
  readonly skewMs: number;
  /** What it measured, by measure and then by labels: sums, and counts of buckets. */
  readonly measured: Readonly<Record<string, Readonly<Record<string, readonly number[]>>>>;
}

/** An MCP server of the configuration, as a process sees it. */
export interface McpReport {
  readonly name: string;
  readonly tools: number;
  /** `since` (unix seconds) and `reason` where it cannot be used. */
  readonly health:
    | { readonly status: 'ok' }
    | { readonly status: 'unavailable'; readonly since: number; readonly reason: string };
}

/** A worker's figures, under the part of its id that does not tell where it runs. */
export interface WorkerReport extends WorkerFigures {
  readonly name: string;
}

/** Where it is said, and when: unix milliseconds, the same for every process. */
export interface Presence {
  readonly redis: ScriptedRedis;
  readonly keys: RedisKeys;
  readonly nowMs: () => number;
}

/** Says that worker `id` is alive until the returned function is called, which says that it is gone. */
export async function announceWorker(
  { redis, keys, nowMs }: Presence,
  id: string,
  figures: () => WorkerFigures,
): Promise<() => Promise<void>> {
  const beat = async (): Promise<void> => {
    const atMs = nowMs();
    await Promise.all([
      redis.zadd(keys.workers, atMs, id),
      redis.zremrangebyscore(keys.workers, '-inf', atMs - ABSENT_AFTER_MS),
      redis.set(keys.worker(id), JSON.stringify(figures()), 'PX', ABSENT_AFTER_MS),
    ]);
  };
  // A beat that fails, the first one too, is one missed: Redis' troubles are reported elsewhere, and the next beat comes.
  const tryBeat = async (): Promise<void> => beat().catch(() => undefined);
  await tryBeat();
  const timer = setInterval(() => void tryBeat(), BEAT_MS);
  return async () => {
    clearInterval(timer);
    const gone = Promise.all([redis.zrem(keys.workers, id), redis.del(keys.worker(id))]);
    // Where Redis refuses, both are over by themselves in a while: no reason to leave in disorder.
    await gone.catch(() => undefined);
  };
}

/** What the workers that are alive last said of themselves; one of an older version says less. */
export async function readWorkers({ redis, keys, nowMs }: Presence): Promise<readonly WorkerReport[]> {
  const ids = await redis.zrangebyscore(keys.workers, nowMs() - ABSENT_AFTER_MS, '+inf');
  const texts = await Promise.all(ids.map((id) => redis.get(keys.worker(id))));
  return ids.map((id, index) => {
    const said = decode<WorkerFigures>(texts[index] ?? null);
    return { ...SILENT, ...said, name: id.slice(id.indexOf('/') + 1) };
  });
}

const SILENT: WorkerFigures = {
  busy: 0,
  slots: 0,
  rebuilds: 0,
  stalls: 0,
  commits: {},
  cold: { frozen: 0, thawed: 0, thawMs: 0 },
  failures: {},
  sinceMs: null,
  saidMs: null,
  running: [],
  mcp: [],
  skewMs: 0,
  measured: {},
};

/** Whether a worker on `host` has lately said that it is alive; their ids begin with {@link workerId}'s host. */
export async function isHostAlive({ redis, keys, nowMs }: Presence, host: string): Promise<boolean> {
  const lately = await redis.zrangebyscore(keys.workers, nowMs() - ABSENT_AFTER_MS, '+inf');
  return lately.some((id) => id.startsWith(`${host}/`));
}

/** A worker's id: where it runs, and which of those there it is. @param name never used twice on this host */
export function workerId(host: string, name: string = randomText(8)): string {
  return `${host}/${name}`;
}

/** How many workers have lately said that they are alive. */
export async function countWorkers({ redis, keys, nowMs }: Presence): Promise<number> {
  return redis.zcount(keys.workers, nowMs() - ABSENT_AFTER_MS, '+inf');
}
