/** A short campaign with a fixed seed: every kind of client, most kinds of faults, nothing violated. `npm run chaos` is the long one. */
import { expect, test } from 'vitest';
import { runCampaign } from './campaign.ts';
import { makePlan } from './plan.ts';
import { report } from './report.ts';

/** A model breaks off in a conversation, another stalls, and a client cancels: few seeds have it all in so few runs. */
const SHORT = {
  seed: 28_589,
  runs: 22,
  lastsMs: 7_000,
  killRedis: false,
  persistence: 'everysec',
  apis: 2,
  workers: 3,
} as const;
/** A limit for what hangs: the campaign, the time a killed worker is missed, and all checks, on a busy machine. */
const LASTS_MS = 300_000;

test('the same seed makes the same plan, another one another', () => {
  expect(makePlan(SHORT)).toEqual(makePlan(SHORT));
  expect(makePlan({ ...SHORT, seed: 21 })).not.toEqual(makePlan(SHORT));
});

test(
  'under faults every promise is kept',
  async () => {
    const result = await runCampaign(SHORT);
    expect(result.violations, report(result, 'npm run chaos')).toEqual([]);
    expect(result.outcomes).toHaveLength(SHORT.runs);
    expect(result.faults.get('worker kill -9')).toBeGreaterThan(0);
  },
  LASTS_MS,
);
