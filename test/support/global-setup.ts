/**
 * One Redis for the whole test run, of the topology that TEST_REDIS names. Every test file gets it as
 * `inject('redisUrl')` and uses its own key prefix. Beside it, the keeper of the services that files share.
 */
import type { TestProject } from 'vitest/node';
import { Keeper } from './keeper.ts';
import { startNamedRedis } from './redis.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** The shared server; use a fresh REDIS_PREFIX. */
    redisUrl: string;
    /** Where a file is lent a service (support/shared-service.ts). */
    keeperUrl: string;
  }
}

export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const redis = await startNamedRedis();
  project.provide('redisUrl', redis.url);
  const keeper = await Keeper.start(redis.url);
  project.provide('keeperUrl', keeper.url);
  return async () => {
    try {
      await keeper.stop();
    } finally {
      await redis.stop();
    }
  };
}
