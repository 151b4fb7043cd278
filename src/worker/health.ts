/**
 * Tells a container engine whether a worker on this host is alive (exit code 0 or 1). A worker reports to Redis every
 * few seconds, and stops when it hangs, is gone or cannot reach Redis. A composition root.
 */
import { hostname } from 'node:os';
import { readConfig } from '../config.ts';
import { createLog } from '../log.ts';
import { RedisClock } from '../store/clock.ts';
import { RedisKeys } from '../store/keys.ts';
import { isHostAlive } from '../store/presence.ts';
import { openState } from '../store/redis.ts';

const config = readConfig();
const log = createLog({ logLevel: 'fatal' }, 'health');
const redis = await openState(config.redisUrl, 'fail', log);
const clock = new RedisClock(redis, log);
await clock.begin();
const presence = { redis, keys: new RedisKeys(config.redisPrefix), nowMs: clock.nowMs };
const alive = await isHostAlive(presence, hostname());
clock.close();
redis.disconnect();
process.exitCode = alive ? 0 : 1;
