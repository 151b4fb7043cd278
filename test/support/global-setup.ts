/**
 * One Redis for the whole test run, of the topology that TEST_REDIS names. Every test file gets it as
 * `inject('redisUrl')` and uses its own key prefix.
 */
import type { TestProject } from 'vitest/node';
import { startNamedRedis } from './redis.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** The shared server; use a fresh REDIS_PREFIX. */
    redisUrl: string;
  }
}

export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const redis = await startNamedRedis();
  project.provide('redisUrl', redis.url);
  return redis.stop;
}
