/** Thousands of runs in a moment: copies of one that was really made, written as the store keeps them. */
import { createLog } from '../../src/log.ts';
import { placeAt } from '../../src/store/collection.ts';
import { RedisKeys, type RunRef } from '../../src/store/keys.ts';
import { openState } from '../../src/store/redis.ts';

const TOGETHER = 500;

/** Writes `count` older copies of a run, each a second older than the one before. */
export async function copyRun(
  { redisUrl, prefix }: { readonly redisUrl: string; readonly prefix: string },
  ref: RunRef,
  count: number,
): Promise<void> {
  const redis = await openState(redisUrl, 'wait', createLog({ logLevel: 'silent' }, 'test'));
  try {
    const keys = new RedisKeys(prefix);
    const recent = keys.recentRuns(ref.project);
    const fields = await redis.hgetall(keys.run(ref));
    const createdS = Math.floor(Date.now() / 1_000);
    for (let first = 1; first <= count; first += TOGETHER) {
      const writes: Promise<unknown>[] = [];
      for (let age = first; age < first + TOGETHER && age <= count; age += 1) {
        const runId = `run_copy${String(age).padStart(6, '0')}`;
        const doc = (fields['doc'] ?? '')
          .replaceAll(ref.runId, runId)
          .replace(/"created_at":\d+/, `"created_at":${createdS - age}`);
        writes.push(
          redis.hset(keys.run({ ...ref, runId }), { ...fields, doc }),
          redis.zadd(recent.index, placeAt((createdS - age) * 1_000), runId),
          redis.hset(recent.docs, runId, ref.threadId),
        );
      }
      await Promise.all(writes);
    }
  } finally {
    redis.disconnect();
  }
}
