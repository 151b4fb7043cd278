/**
 * The index of open runs: which runs may still need somebody, and when to look at them. It is a reminder, not a truth:
 * a run that has ended may still be in it, and whoever looks reads the run itself.
 */
import { isSafeId, type Keys, type RunRef } from './keys.ts';
import type { State } from './redis.ts';

/** A run that is looked at this late has most likely been forgotten: by a crash between two writes, or a lost job. */
const FORGOTTEN_AFTER_MS = 5_000;

export class OpenRuns {
  private readonly redis: State;
  private readonly keys: Keys;

  private readonly nowMs: () => number;

  /** @param nowMs unix milliseconds, the same for every process */
  constructor(redis: State, keys: Keys, nowMs: () => number) {
    this.redis = redis;
    this.keys = keys;
    this.nowMs = nowMs;
  }

  /** Remembers a run that is about to be queued, and so to need a job; it ends at `expiresAt` (unix seconds) at the latest. */
  async add(ref: RunRef, expiresAt: number | null): Promise<void> {
    await this.lookAt(ref, Math.min(this.nowMs() + FORGOTTEN_AFTER_MS, (expiresAt ?? Infinity) * 1000));
  }

  /** Look at the run (again) at `unixMs`. */
  async lookAt({ project, threadId, runId }: RunRef, unixMs: number): Promise<void> {
    await this.redis.zadd(this.keys.open, unixMs, `${project}/${threadId}/${runId}`);
  }

  /** As {@link lookAt}, but a run that was forgotten meanwhile, because it has ended, stays so. */
  async postpone({ project, threadId, runId }: RunRef, unixMs: number): Promise<void> {
    await this.redis.zadd(this.keys.open, 'XX', unixMs, `${project}/${threadId}/${runId}`);
  }

  /** Up to `limit` runs whose time to be looked at has come, the longest waiting first. */
  async due(limit: number): Promise<readonly RunRef[]> {
    const members = await this.redis.zrangebyscore(this.keys.open, '-inf', this.nowMs(), 'LIMIT', 0, limit);
    return members.flatMap((member) => {
      const [project, threadId, runId] = member.split('/');
      return project && threadId && runId && isSafeId(runId) ? [{ project, threadId, runId }] : [];
    });
  }

  async forget({ project, threadId, runId }: RunRef): Promise<void> {
    await this.redis.zrem(this.keys.open, `${project}/${threadId}/${runId}`);
  }

  /** Whether `holder` may sweep for the next `ms` milliseconds; one process at a time does. */
  async lease(holder: string, ms: number): Promise<boolean> {
    return (await this.redis.set(this.keys.sweeper, holder, 'PX', ms, 'NX')) === 'OK';
  }
}
