import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { ClosingLine } from './test/support/closing-line.ts';
import { LongestFirst } from './test/support/longest-first.ts';

const redisForAll = 'test/support/global-setup.ts';
const ALL = 'test/**/*.test.ts';
/** Files that put something in the place of clocks or other globals; libraries may keep it, so each has a process to itself. */
const alone = globSync(ALL, { cwd: import.meta.dirname }).filter((file) =>
  /\bvi\.(?:useFakeTimers|spyOn|mock|stub\w+)\(/.test(readFileSync(join(import.meta.dirname, file), 'utf8')),
);

export default defineConfig({
  test: {
    projects: [
      { extends: true, test: { name: 'alone', include: alone, isolate: true } },
      // Loading everything anew for each file takes a third of all the work; instead, a file may leave nothing behind.
      {
        extends: true,
        test: {
          name: 'together',
          include: [ALL],
          exclude: alone,
          isolate: false,
          setupFiles: ['test/support/nothing-left.ts'],
        },
      },
    ],
    globalSetup: existsSync(redisForAll) ? [redisForAll] : [],
    pool: 'forks',
    // More than the small machine has cores: many tests wait for a limit or a process.
    maxWorkers: 4,
    sequence: { sequencer: LongestFirst },
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
