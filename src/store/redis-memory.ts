/** How much memory Redis uses of what it may: what an operator watches, so that it never gets full. */
import { masters } from './redis.ts';
import type { ScriptedRedis } from './scripts.ts';

export interface RedisMemory {
  readonly usedBytes: number;
  /** `maxmemory`; 0 where none is set, and only the machine's memory ends it. */
  readonly maxBytes: number;
}

/** Of a Cluster, that of the fullest of its masters: where that one has no room, requests are refused. */
export async function readMemory(redis: ScriptedRedis): Promise<RedisMemory> {
  const found = await Promise.all(
    masters(redis).map(async (server) => memoryIn(await server.info('memory'))),
  );
  const fullness = ({ usedBytes, maxBytes }: RedisMemory): number =>
    maxBytes === 0 ? 0 : usedBytes / maxBytes;
  const [fullest] = found.toSorted((a, b) => fullness(b) - fullness(a) || b.usedBytes - a.usedBytes);
  if (fullest === undefined) throw new Error('no master of the Cluster is known');
  return fullest;
}

function memoryIn(info: string): RedisMemory {
  const field = (name: string): number => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
  return { usedBytes: field('used_memory'), maxBytes: field('maxmemory') };
}
