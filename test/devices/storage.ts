/** What the service has put into Redis, as text: for secrets that must not be there. */
import { keysLike, openLook } from '../support/contents.ts';

/** All keys under the prefix with all that they hold, as it is and as Redis would write it to a backup. */
export async function everythingIn(redisUrl: string, prefix: string): Promise<string> {
  const redis = openLook(redisUrl);
  try {
    const keys = await keysLike(redis, `*${prefix}*`);
    const values = await Promise.all(keys.map((key) => valueOf(redis, key)));
    const dumps = await Promise.all(keys.map((key) => redis.dumpBuffer(key)));
    return [...keys, ...values, ...dumps.map((dump) => dump?.toString('latin1') ?? '')].join('\n');
  } finally {
    redis.disconnect();
  }
}

/** Dumps are compressed, so values are read as what they are, too. */
async function valueOf(redis: ReturnType<typeof openLook>, key: string): Promise<string> {
  const type = await redis.type(key);
  switch (type) {
    case 'string':
      return (await redis.get(key)) ?? '';
    case 'hash':
      return Object.entries(await redis.hgetall(key)).join('\n');
    case 'list':
      return (await redis.lrange(key, 0, -1)).join('\n');
    case 'set':
      return (await redis.smembers(key)).join('\n');
    case 'stream':
      return JSON.stringify(await redis.xrange(key, '-', '+'));
    case 'zset':
      return (await redis.zrange(key, '0', '-1')).join('\n');
    case 'none':
      // It has expired meanwhile.
      return '';
    default:
      throw new Error(`values of type ${type} are not read here`);
  }
}
