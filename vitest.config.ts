import { existsSync } from 'node:fs';
import { defineConfig } from 'vitest/config';
import { ClosingLine } from './test/support/closing-line.ts';

const redisForAll = 'test/support/global-setup.ts';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: existsSync(redisForAll) ? [redisForAll] : [],
    // A file is a process: a leaked connection or signal handler cannot reach the next file.
    pool: 'forks',
    // More than the small machine has cores: many tests wait for a limit or a process.
    maxWorkers: 3,
    // Limits for what hangs, not for what is slow: met on a machine whose load is ten times its cores.
    testTimeout: 240_000,
    hookTimeout: 240_000,
    expect: { poll: { timeout: 120_000 } },
    // A test that fails now and then is broken; trying it again would hide that.
    retry: 0,
    dangerouslyIgnoreUnhandledErrors: false,
    reporters: ['default', new ClosingLine()],
  },
});
