/**
 * The index of open runs: which runs may still need a worker, and when to look at them. It is a reminder, not a truth:
 * a run that has ended may still be in it, so that the run itself has to be read.
 */
import type { Logger } from '../log.ts';
import { isSafeId, type RedisKeys, type RunRef } from './keys.ts';
import type { ScriptedRedis } from './scripts.ts';

/** A run that is looked at this late has most likely been forgotten: by a crash between two writes, or a lost job. */
const FORGOTTEN_AFTER_MS = 5_000;
/** Members that Redis looks at in one go; other commands come in between. */
const SCAN_COUNT = 1_000;

export class OpenRuns {
  readonly #redis: ScriptedRedis;
  readonly #keys: RedisKeys;

  readonly #nowMs: () => number;
  readonly #log: Logger;

  /** @param nowMs unix milliseconds, the same for every process */
  constructor(redis: ScriptedRedis, keys: RedisKeys, nowMs: () => number, log: Logger) {
    this.#log = log;
    this.#redis = redis;
    this.#keys = keys;
    this.#nowMs = nowMs;
  }

  /** Remembers a run that is about to be queued, and so to need a job; it ends at `expiresAt` (unix seconds) at the latest. */
  async add(ref: RunRef, expiresAt: number | null): Promise<void> {
    await this.lookAt(ref, Math.min(this.#nowMs() + FORGOTTEN_AFTER_MS, (expiresAt ?? Infinity) * 1000));
  }

  /** Look at the run (again) at `unixMs`. */
  async lookAt({ project, threadId, runId }: RunRef, unixMs: number): Promise<void> {
    await this.#redis.remind(1, this.#keys.open, `${project}/${threadId}/${runId}`, unixMs, '');
  }

  /**
   * As {@link lookAt}, after a look: a run that was forgotten meanwhile, because it has ended, stays so, and one that was
   * remembered anew is looked at when that says.
   */
  async postpone({ project, threadId, runId }: RunRef, unixMs: number): Promise<void> {
    await this.#redis.remind(1, this.#keys.open, `${project}/${threadId}/${runId}`, unixMs, this.#nowMs());
  }

  /**
   * Up to `limit` runs whose time to be looked at has come, the longest waiting first. What names no run is removed, or it
   * would stand before the others for ever. @returns `more` when there may be more of them.
   */
  async due(limit: number): Promise<{ readonly runs: readonly RunRef[]; readonly more: boolean }> {
    const [redis, keys] = [this.#redis, this.#keys];
    const members = await redis.zrangebyscore(keys.open, '-inf', this.#nowMs(), 'LIMIT', 0, limit);
    const refs = members.map(refOf);
    const strays = members.filter((_, index) => refs[index] === null);
    if (strays.length > 0) {
      await redis.zrem(keys.open, ...strays);
      this.#log.warn({ count: strays.length }, 'removed from the index of open runs what names none');
    }
    return { runs: refs.filter((ref) => ref !== null), more: members.length === limit };
  }

  /** How many runs are open, of all projects. */
  async count(): Promise<number> {
    return this.#redis.zcard(this.#keys.open);
  }

  /**
   * How many runs each project has open: queued, executing, or waiting for their client. Counted anew each time, so that no
   * counter is left wrong by a crash; but a run that waits for its client and is deleted counts until its time is over. Reads
   * the whole index, in pieces.
   */
  async countByProject(): Promise<ReadonlyMap<string, number>> {
    const members = new Set<string>();
    for (let cursor = '0'; ;) {
      const [next, found] = await this.#redis.zscan(this.#keys.open, cursor, 'COUNT', SCAN_COUNT);
      // Members and their scores in turn; a member may come twice.
      for (let index = 0; index < found.length; index += 2) members.add(found[index] ?? '');
      if (next === '0') break;
      cursor = next;
    }
    const counts = new Map<string, number>();
    for (const member of members) {
      const project = member.slice(0, member.indexOf('/'));
      counts.set(project, (counts.get(project) ?? 0) + 1);
    }
    return counts;
  }

  async forget({ project, threadId, runId }: RunRef): Promise<void> {
    await this.#redis.zrem(this.#keys.open, `${project}/${threadId}/${runId}`);
  }

  /** Whether `holder` may sweep for the next `ms` milliseconds; one process at a time does. */
  async lease(holder: string, ms: number): Promise<boolean> {
    return (await this.#redis.set(this.#keys.sweeper, holder, 'PX', ms, 'NX')) === 'OK';
  }
}

function refOf(member: string): RunRef | null {
  const [project, threadId, runId, ...rest] = member.split('/');
  const isRun = project && threadId && runId && rest.length === 0 && [threadId, runId].every(isSafeId);
  return isRun ? { project, threadId, runId } : null;
}
