/** Reads Redis of any topology directly, past the store: for tests of what must, or must not, be stored. */
import { connect, masters } from '../../src/store/redis.ts';

type Client = ReturnType<typeof connect>;

/** A connection to look through. The caller disconnects it. */
export function openLook(redisUrl: string): Client {
  return connect(redisUrl, { use: 'state', whenAway: 'wait' });
}

/** The names of all keys that match. */
export async function keysLike(redis: Client, pattern: string): Promise<readonly string[]> {
  // The client of a Cluster knows the nodes after the first answer.
  await redis.get('');
  return (await Promise.all(masters(redis).map(async (server) => server.keys(pattern)))).flat();
}

/** The channels of runs that match and have a listener. */
export async function channelsLike(redis: Client, pattern: string): Promise<readonly unknown[]> {
  await redis.get('');
  return (
    await Promise.all(masters(redis).map(async (server) => server.pubsub('SHARDCHANNELS', pattern)))
  ).flat();
}

/** The value of one key, and whether the key expires. */
export interface Held {
  readonly key: string;
  readonly text: string;
  readonly isMortal: boolean;
}

/** The keys whose name contains `part`, with their values. */
export async function contentsOf(redis: Client, part: string): Promise<readonly Held[]> {
  const keys = await keysLike(redis, `*${part}*`);
  return Promise.all(
    keys.map(async (key) => {
      const [value, ttl] = await Promise.all([valueOf(redis, key), redis.pttl(key)]);
      return { key, text: JSON.stringify(value), isMortal: ttl !== -1 };
    }),
  );
}

async function valueOf(redis: Client, key: string): Promise<unknown> {
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
