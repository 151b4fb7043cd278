/** One document of a thread, read together with what was hung on it since; of a cold thread, once that is back. */
import type { ColdThreads } from './cold-threads.ts';
import { listOf } from './collection.ts';
import type { RedisKeys, ThreadRef } from './keys.ts';
import type { ScriptedRedis } from './scripts.ts';

/** Where the document lies, and what is wanted. */
export interface ThreadItemAsk {
  /** Key of its hash. */
  readonly docs: string;
  /** Fields there; the first is the document. */
  readonly fields: readonly string[];
  /** Fields of the labels of its thread. */
  readonly labels: readonly string[];
}

export interface ItemSource {
  readonly redis: ScriptedRedis;
  readonly keys: RedisKeys;
  readonly cold: ColdThreads;
}

/** The values of the fields, then those of the labels; null for what is not there. One round trip, that leaves in this tick. */
export async function readItem(
  { redis, keys, cold }: ItemSource,
  ref: ThreadRef,
  { docs, fields, labels }: ThreadItemAsk,
): Promise<readonly (string | null)[]> {
  const names = [docs, keys.labels(ref), keys.thread(ref)];
  const reply = await cold.reach(ref, async () =>
    redis.item(names.length, ...names, fields.length, ...fields, ...labels),
  );
  return listOf(reply).map((value) => (typeof value === 'string' ? value : null));
}
