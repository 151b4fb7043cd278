/**
 * Whether a worker on this host is alive, for a container engine to ask (exit code 0 or 1): it says so in Redis every few
 * seconds, and falls silent when it hangs, is gone or cannot reach Redis. A composition root.
 */
import { hostname } from 'node:os';
import { readConfig } from '../config.ts';
import { createLog } from '../log.ts';
import { Keys } from '../store/keys.ts';
import { isHostAlive } from '../store/presence.ts';
import { openState } from '../store/redis.ts';

const config = readConfig();
const redis = await openState(config.redisUrl, 'fail', createLog({ logLevel: 'fatal' }, 'health'));
const alive = await isHostAlive(redis, new Keys(config.redisPrefix), hostname());
redis.disconnect();
process.exitCode = alive ? 0 : 1;
