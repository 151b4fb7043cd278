/** One Redis (TEST_REDIS says of which topology) for the whole test run, handed to every test file as `inject('redisUrl')`; each takes its own key prefix. */
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
