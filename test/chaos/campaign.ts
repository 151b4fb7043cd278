/** One campaign: a plan is carried out against a deployment of its own, and everything is checked when it is quiet again. */
import { setTimeout as delay } from 'node:timers/promises';
import { inspect } from 'node:util';
import { hasBubblewrap } from '../sandbox/sandbox.ts';
import type { Persistence } from '../support/redis.ts';
import { Wire } from '../support/wire.ts';
import { checkOutcome, type Violation } from './checkers.ts';
import { createAssistants, liveAll, type Outcome } from './clients.ts';
import { Deployment } from './deployment.ts';
import { checkLeaks, memoryOf, plateauOf } from './leaks.ts';
import { CountingModel } from './model.ts';
import { Nemeses } from './nemeses.ts';
import { checkFiles } from './hosted.ts';
import { asksForResponses, makePlan, type Plan, type PlanOptions } from './plan.ts';
import { checkResponses } from './response-checkers.ts';
import { Sdk, Traffic } from './sdk.ts';
import type { LogLine } from '../support/service.ts';

export interface CampaignOptions extends PlanOptions {
  readonly apis: number;
  readonly workers: number;
  readonly persistence: Persistence;
  /** Further settings of the service, by environment variable. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface Result {
  readonly plan: Plan;
  readonly faults: ReadonlyMap<string, number>;
  readonly outcomes: readonly Outcome[];
  readonly traffic: Traffic;
  readonly model: CountingModel;
  readonly violations: readonly Violation[];
  readonly memoryMb: Readonly<Record<string, number>>;
  readonly logs: readonly LogLine[];
}

/**
 * When the last fault is over, every client comes to its end: after a lock, a stall check, a sweep, an answer. A limit for what
 * hangs; on a busy machine all of them take longer.
 */
const SETTLE_MS = 120_000;
const CHECKED_AT_ONCE = 20;

export async function runCampaign(options: CampaignOptions): Promise<Result> {
  // It also sets up Python's packages where they are not there yet, which no client should wait for.
  const plan = makePlan({
    ...options,
    withoutCode: options.withoutCode === true || !(await hasBubblewrap()),
  });
  const deployment = await Deployment.start(options);
  const { service, upstream } = deployment;
  const model = new CountingModel(plan, upstream);
  const nemeses = new Nemeses(deployment);
  const traffic = new Traffic();
  const violations: Violation[] = [];
  let outcomes: readonly Outcome[] = [];
  let memoryMb = {};
  try {
    const origins = service.origins;
    const patience = new AbortController();
    const assistants = await createAssistants(new Sdk(origins, 0, traffic, patience.signal));
    await delay(1_000);
    const plateau = await plateauOf(deployment);
    const living = liveAll({
      plan,
      lastsMs: options.lastsMs,
      origins,
      assistants,
      traffic,
      gone: patience.signal,
    });
    await Promise.all([nemeses.strike(plan.faults), delay(options.lastsMs)]);
    const late = setTimeout(() => patience.abort(new Error('was not done in time')), SETTLE_MS);
    outcomes = await living;
    clearTimeout(late);
    try {
      violations.push(...(await checkLeaks(deployment, plateau)));
      violations.push(...(await checkAll(outcomes, service.origins, model)));
      memoryMb = memoryOf(deployment);
      const { storeId } = assistants;
      violations.push(...(await checkFiles(deployment, outcomes, new Wire(`${service.url}/v1`), storeId)));
    } catch (error) {
      // An API that did not come up again, for one: the report says why, and where the logs are.
      violations.push({ rule: 'everything can be checked', runId: null, detail: inspect(error) });
    }
  } finally {
    await deployment.stop().catch((error: unknown) => {
      violations.push({ rule: 'every process ends as it is told', runId: null, detail: String(error) });
    });
  }
  for (const detail of nemeses.problems)
    violations.push({ rule: 'everything comes up again', runId: null, detail });
  for (const detail of traffic.improper) violations.push({ rule: 'answers are proper', runId: null, detail });
  return { plan, faults: nemeses.struck, outcomes, traffic, model, violations, memoryMb, logs: service.logs };
}

async function checkAll(
  outcomes: readonly Outcome[],
  origins: readonly string[],
  model: CountingModel,
): Promise<readonly Violation[]> {
  const wire = new Wire(`${origins[0]}/v1`);
  const found: Violation[] = [];
  const left = [...outcomes];
  const work = async (): Promise<void> => {
    for (let outcome = left.pop(); outcome !== undefined; outcome = left.pop())
      found.push(
        ...(asksForResponses(outcome.plan)
          ? await checkResponses(outcome, origins, model)
          : await checkOutcome(outcome, wire, model)),
      );
  };
  await Promise.all(Array.from({ length: CHECKED_AT_ONCE }, work));
  return found;
}
