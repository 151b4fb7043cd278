/**
 * The chaos campaign, run by hand: `npm run chaos`. Several APIs and workers, a Redis of their own, and every fault of
 * plan.ts at random while clients of every kind come and go. Ends with exit code 1 when anything is violated.
 *
 *   npm run chaos -- --seed 7 --runs 1000 --minutes 3 --redis kill-always
 *
 *   --seed     what is drawn; the same seed makes the same plan
 *   --runs     how many clients come, evenly over the time
 *   --minutes  how long clients come and faults strike; without it, as long as it takes at 285 runs a minute
 *   --redis    `none`; or `kill-always`, `kill-everysec`: killed and started again every 20 s, with that `appendfsync`
 *   --workers, --apis  how many processes
 *   --clients  which kinds come, such as `response stream,response poll`; all of them by default
 *   --cold     threads leave Redis when they were not used for a few seconds, and come back when they are asked for
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { runCampaign } from './campaign.ts';
import { CLIENTS } from './plan.ts';
import { report } from './report.ts';

// Its children end with it only where it leaves by itself.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

/** What two cores carry with five workers being killed. A thousand runs see about 80 kills, 80 pauses and 50 drops. */
const RUNS_PER_MINUTE = 285;

/** Some three seconds. */
const COLD_AFTER_H = '0.001';

const whole = z.coerce.number().int().min(1);
const optionsSchema = z.object({
  seed: whole.default(1),
  runs: whole.default(200),
  minutes: z.coerce.number().positive().optional(),
  redis: z.enum(['none', 'kill-always', 'kill-everysec']).default('none'),
  workers: whole.default(5),
  apis: whole.default(2),
  clients: z
    .string()
    .transform((names) => z.array(z.enum(CLIENTS)).min(1).parse(names.split(',')))
    .optional(),
  cold: z.boolean().default(false),
});

const text = { type: 'string' } as const;
const { values } = parseArgs({
  options: {
    seed: text,
    runs: text,
    minutes: text,
    redis: text,
    workers: text,
    apis: text,
    clients: text,
    cold: { type: 'boolean' },
  },
});
const { seed, runs, redis, workers, apis, clients, cold, ...given } = optionsSchema.parse(values);
const minutes = given.minutes ?? Math.max(1, runs / RUNS_PER_MINUTE);
const folder = mkdtempSync(join(tmpdir(), 'longrun-chaos-'));
const result = await runCampaign({
  seed,
  runs,
  lastsMs: minutes * 60_000,
  killRedis: redis !== 'none',
  persistence: redis === 'kill-always' ? 'always' : 'everysec',
  workers,
  apis,
  ...(clients && { clients }),
  env: {
    LIBRARY_URL: join(folder, 'library.sqlite'),
    ...(cold && { THREAD_COLD_AFTER_H: COLD_AFTER_H }),
  },
});
rmSync(folder, { recursive: true, force: true });
const only = clients === undefined ? '' : ` --clients '${clients.join()}'`;
const replay = `npm run chaos -- --seed ${seed} --runs ${runs} --minutes ${minutes} --redis ${redis} --workers ${workers} --apis ${apis}${only}${cold ? ' --cold' : ''}`;
console.log(report(result, replay));
process.exitCode = result.violations.length > 0 ? 1 : 0;
