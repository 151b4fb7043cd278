/** Everything that lies in a Redis, as text: for tests of what must not lie there. */
import type { Redis } from 'ioredis';

/** What one key holds, and whether it is gone by itself some day. */
export interface Held {
  readonly key: string;
  readonly text: string;
  readonly isMortal: boolean;
}

/** The keys whose name contains `part`, with their values. */
export async function contentsOf(redis: Redis, part: string): Promise<readonly Held[]> {
  const keys = await redis.keys(`*${part}*`);
  return Promise.all(
    keys.map(async (key) => {
      const [value, ttl] = await Promise.all([valueOf(redis, key), redis.pttl(key)]);
      return { key, text: JSON.stringify(value), isMortal: ttl !== -1 };
    }),
  );
}

async function valueOf(redis: Redis, key: string): Promise<unknown> {
  const type = await redis.type(key);
  switch (type) {
    case 'string':
      return redis.get(key);
    case 'hash':
      return redis.hgetall(key);
    case 'list':
      return redis.lrange(key, 0, -1);
    case 'set':
      return redis.smembers(key);
    case 'zset':
      return redis.zrange(key, '0', '-1');
    case 'stream':
      return redis.xrange(key, '-', '+');
    case 'none':
      return null;
    default:
      throw new Error(`no way to read the ${type} ${key}`);
  }
}
