/**
 * Whether the user of REDIS_URL may do what this service and BullMQ do, asked before anything is kept: what Redis refuses
 * later would be a stack, or the same error for ever.
 */
import { CannotStart } from '../cannot-start.ts';
import { parseRedisUrl, withoutRedisPassword } from '../redis-url.ts';
import { listOf } from './collection.ts';
import type { RedisKeys } from './keys.ts';
import type { ScriptedRedis } from './scripts.ts';

/** Of one key each. */
const OF_KEYS = [
  ['del', 'exists', 'get', 'getdel', 'incr', 'incrby', 'pexpire', 'pttl', 'set', 'strlen', 'unlink'],
  ['hdel', 'hexists', 'hget', 'hgetall', 'hincrby', 'hkeys', 'hlen', 'hmget', 'hset', 'hsetnx', 'hstrlen'],
  ['bzpopmin', 'zadd', 'zcard', 'zcount', 'zpopmin', 'zrange', 'zrangebyscore', 'zrank', 'zrem', 'zscan'],
  ['zremrangebyrank', 'zremrangebyscore', 'zrevrange', 'zrevrangebyscore', 'zscore'],
  ['lindex', 'llen', 'lpush', 'lrange', 'lrem', 'ltrim', 'rpop', 'rpush'],
  ['sadd', 'scard', 'sismember', 'smembers', 'srem', 'xadd', 'xlen', 'xrange', 'xrevrange', 'xtrim'],
  ['hscan', 'pexpireat'],
].flat();
const OF_CHANNELS = ['publish', 'spublish', 'ssubscribe', 'subscribe'];
const OF_SCRIPTS = ['eval', 'evalsha'];
const OF_NOTHING = ['exec', 'info', 'multi', 'time'];

/** More would hide what the sentence says at its end. */
const MAX_NAMED = 6;

/** @throws {CannotStart} naming what Redis refuses, and how to grant it. */
export async function requirePermissions(
  redis: ScriptedRedis,
  keys: RedisKeys,
  { redisUrl, redisPrefix }: { readonly redisUrl: string; readonly redisPrefix: string },
): Promise<void> {
  const key = keys.probe(0);
  const commands = [
    ...OF_NOTHING,
    ...OF_SCRIPTS.map((name) => `${name} x 0`),
    ...OF_KEYS.map((name) => `${name} ${key}`),
    `get ${keys.queue}:x`,
    ...OF_CHANNELS.map((name) => `${name} ${keys.changes}`),
  ];
  const refused = await refusedOf(redis, key, commands);
  if (refused.length === 0) return;
  // Each is refused once for any key, and perhaps once more for the keys of the queue.
  const names = [...new Set(refused)];
  const more = names.length > MAX_NAMED ? ` and ${names.length - MAX_NAMED} more` : '';
  const user = parseRedisUrl(redisUrl).username ?? 'default';
  const grant = `ACL SETUSER ${user} ~${redisPrefix}:* ~{${redisPrefix}}* &${redisPrefix}:* +@all -@dangerous +info`;
  throw new CannotStart(
    `Redis at ${withoutRedisPassword(redisUrl)} lets the user '${user}' in, but refuses what Longrun needs (${names.slice(0, MAX_NAMED).join(', ')}${more}). Grant it there: ${grant}`,
  );
}

async function refusedOf(
  redis: ScriptedRedis,
  key: string,
  commands: readonly string[],
): Promise<readonly string[]> {
  try {
    const refused = listOf(await redis.allowed(1, key, ...commands)).map(String);
    return refused.map((command) => command.split(' ')[0] ?? '');
  } catch (error) {
    const refused = error instanceof Error ? /^NOPERM\b.*?'(\w+)'/.exec(error.message) : null;
    if (refused !== null) return [refused[1] ?? 'eval'];
    if (error instanceof Error && error.message.startsWith('NOPERM')) return ['its keys'];
    throw error;
  }
}
