/** Which workers are alive: each says so every few seconds, and readiness asks who has lately. */
import { randomText } from '../runs/ids.ts';
import type { Keys } from './keys.ts';
import type { State } from './redis.ts';

const BEAT_MS = 5_000;
/** Three beats missed. */
const ABSENT_AFTER_MS = 15_000;

/** Says that worker `id` is alive until the returned function is called, which says that it is gone. */
export async function announceWorker(redis: State, keys: Keys, id: string): Promise<() => Promise<void>> {
  const beat = async (): Promise<void> => {
    const nowMs = Date.now();
    await redis
      .multi()
      .zadd(keys.workers, nowMs, id)
      .zremrangebyscore(keys.workers, '-inf', nowMs - ABSENT_AFTER_MS)
      .exec();
  };
  await beat();
  // A beat that fails is one missed: the connection reports its loss by itself, and the next beat comes.
  const timer = setInterval(() => void beat().catch(() => undefined), BEAT_MS);
  return async () => {
    clearInterval(timer);
    await redis.zrem(keys.workers, id);
  };
}

/** Whether a worker on `host` has lately said that it is alive; their ids begin with {@link workerId}'s host. */
export async function isHostAlive(redis: State, keys: Keys, host: string): Promise<boolean> {
  const lately = await redis.zrangebyscore(keys.workers, Date.now() - ABSENT_AFTER_MS, '+inf');
  return lately.some((id) => id.startsWith(`${host}/`));
}

/** A worker's id: where it runs, and which of those there it is. */
export function workerId(host: string): string {
  return `${host}/${randomText(8)}`;
}

/** How many workers have lately said that they are alive. */
export async function countWorkers(redis: State, keys: Keys): Promise<number> {
  return redis.zcount(keys.workers, Date.now() - ABSENT_AFTER_MS, '+inf');
}
