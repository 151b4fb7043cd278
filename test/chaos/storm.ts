/**
 * Many clients at a time while workers are killed and stand still, beyond their locks as well, and Redis' disk and memory are full
 * for seconds: `npm run chaos:storm`. Beside the promises of every campaign it counts what was asked of the model. Ends with
 * exit code 1 when a promise is broken or the model was asked too often.
 *
 *   npm run chaos:storm -- --minutes 10 --clients 500 --seed 1
 *
 *   --minutes  how long clients come and faults strike
 *   --clients  how many at a time; each begins a run every 15 s, or as soon as its last one is over
 *   --seed     what is drawn; the same seed makes the same plan
 *   --lock-ms  LOCK_MS of the workers
 *   --workers, --apis  how many processes
 */
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { runCampaign, type Result } from './campaign.ts';
import type { Violation } from './checkers.ts';
import type { LogLine } from '../support/service.ts';
import type { Rates } from './plan.ts';
import { report } from './report.ts';

// Its children end with it only where it leaves by itself.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

const RUN_EVERY_S = 15;
const SLOW_EVERY = 10;
/** The product's own limit, not the campaign's: a run may be lost four times. */
const MAX_ATTEMPTS = 5;
/** Pauses, and a Redis that renews no lock, last up to twice as long as the lock does by default. */
const RATES: Rates = {
  'worker kill -9': [4, 0, 0],
  'worker pause': [5, 500, 20_000],
  'all workers pause': [0.5, 2_000, 20_000],
  'Redis disk full': [0.5, 1_000, 15_000],
  'Redis out of memory': [0.5, 1_000, 15_000],
};
/** Longer than any of them, or runs fail for a model that was never silent. */
const UPSTREAM_IDLE_MS = 60_000;
/** How often the model may be asked for a turn: some are lost with a pause or a full disk. */
const ASKED_AGAIN = 1.1;

const whole = z.coerce.number().int().min(1);
const optionsSchema = z.object({
  minutes: z.coerce.number().positive().default(10),
  clients: whole.default(500),
  seed: whole.default(1),
  'lock-ms': whole.default(10_000),
  workers: whole.default(5),
  apis: whole.default(2),
});

const text = { type: 'string' } as const;
const { values } = parseArgs({
  options: { minutes: text, clients: text, seed: text, 'lock-ms': text, workers: text, apis: text },
});
const { minutes, clients, seed, 'lock-ms': lockMs, workers, apis } = optionsSchema.parse(values);
const all = await runCampaign({
  seed,
  runs: Math.ceil((clients * minutes * 60) / RUN_EVERY_S),
  visitors: clients,
  lastsMs: minutes * 60_000,
  killRedis: false,
  sparesModels: true,
  // Each has a Python while its run lasts, and two cores carry some dozens of them.
  withoutCode: true,
  slowEvery: SLOW_EVERY,
  rates: RATES,
  persistence: 'everysec',
  workers,
  apis,
  env: {
    LOCK_MS: String(lockMs),
    MAX_ATTEMPTS: String(MAX_ATTEMPTS),
    UPSTREAM_IDLE_MS: String(UPSTREAM_IDLE_MS),
  },
});
const replay = `npm run chaos:storm -- --minutes ${minutes} --clients ${clients} --seed ${seed} --lock-ms ${lockMs} --workers ${workers} --apis ${apis}`;
const atHand = leftUndone(all.logs);
/** A run that killed workers had at hand five times is rightly given up. */
const isDeadly = ({ runId, detail }: Violation): boolean =>
  detail.includes('lost its worker') && (atHand.get(runId ?? '') ?? 0) >= MAX_ATTEMPTS;
const result = { ...all, violations: all.violations.filter((violation) => !isDeadly(violation)) };
console.log(report(result, replay));
const isWithin = tellQuestions(result);
process.exitCode = result.violations.length > 0 || !isWithin ? 1 : 0;

/** What was asked of the model, against what may have been. @returns whether that was little enough. */
function tellQuestions({ model, faults, outcomes }: Result): boolean {
  const asked = model.asked.length;
  const turns = new Set(model.asked.map(({ plan, turn }) => `${plan.index}/${turn}`)).size;
  const kills = faults.get('worker kill -9') ?? 0;
  const share = Math.floor(ASKED_AGAIN * turns);
  const most = share + [...atHand.values()].reduce((sum, count) => sum + count, 0);
  console.log(`
asked of the model: ${asked}, for ${turns} turns of ${outcomes.length} runs: ${(asked / turns).toFixed(3)} times each
may be asked:       ${most}, ${ASKED_AGAIN} for a turn and one more for each run that one of ${kills} killed workers had at hand
with one for each kill, it would be ${share + kills}`);
  return asked <= most;
}

/** How often each run was begun by a worker that never said what became of it: one that was killed. */
function leftUndone(logs: readonly LogLine[]): ReadonlyMap<string, number> {
  const open = new Map<string, number>();
  for (const line of logs) {
    const job = `${line.process} ${String(line['run_id'])}`;
    const before = open.get(job) ?? 0;
    if (line['event'] === 'run.started') open.set(job, before + 1);
    if (line.msg === 'job') open.set(job, Math.max(0, before - 1));
  }
  const kills = new Map<string, number>();
  for (const [job, count] of open) {
    const runId = job.slice(job.lastIndexOf(' ') + 1);
    kills.set(runId, (kills.get(runId) ?? 0) + count);
  }
  return kills;
}
