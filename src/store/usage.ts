/**
 * What projects have used: runs that ended, by how, and their tokens, by UTC day. Counted beside the commit that ends a run,
 * which waits for none of this; so a run is counted once at most, and not at all where the process dies in between.
 */
import type { Logger } from '../log.ts';
import type { RedisKeys } from './keys.ts';
import type { ScriptedRedis } from './scripts.ts';
import type { CommittedTransition } from './report.ts';

const HOUR_MS = 60 * 60 * 1000;
const DAY_MS = 24 * HOUR_MS;
/** A year, and what it is compared with. */
const KEPT_DAYS = 400;
/** Of a day on which no model has answered: projects of keys that somebody made up leave nothing. */
const UNANSWERED_KEPT_MS = HOUR_MS;
/** Longer than a client library goes on sending what was not answered. */
const COUNTED_KEPT_MS = HOUR_MS;

type End = 'completed' | 'incomplete' | 'failed' | 'cancelled' | 'expired';

/** How a run can end, by the event that ends it. */
const ENDS: Readonly<Partial<Record<CommittedTransition['type'], End>>> = {
  'run.completed': 'completed',
  'run.incomplete': 'incomplete',
  'run.failed': 'failed',
  'run.cancelled': 'cancelled',
  'run.expired': 'expired',
};

/** How an event ends its run; null for one that does not. */
export const endOf = (type: CommittedTransition['type']): End | null => ENDS[type] ?? null;

const TOKENS = ['prompt_tokens', 'completion_tokens', 'total_tokens'] as const;

/** What a project has used on one day. */
export interface DayUsage extends Readonly<Record<(typeof TOKENS)[number], number>> {
  /** In UTC, as `2026-11-26`. */
  readonly date: string;
  /** Runs that ended on that day, by how. */
  readonly runs: Readonly<Record<End, number>>;
  /** What its runs have cost, in millionths of the currency of the configuration. */
  readonly costMicros: number;
}

export class UsageCounts {
  readonly #redis: ScriptedRedis;
  readonly #keys: RedisKeys;
  readonly #log: Logger;

  constructor(redis: ScriptedRedis, keys: RedisKeys, log: Logger) {
    this.#redis = redis;
    this.#keys = keys;
    this.#log = log;
  }

  /**
   * Counts the run where the transition has ended it. Not waited for: what cannot be written is not counted.
   * @param costMicros millionths of the currency; null where that is not known
   */
  count({ project, run_id, type, usage, at }: CommittedTransition, costMicros: number | null = null): void {
    const end = endOf(type);
    if (end === null) return;
    const grown: (string | number)[] = [end, 1];
    for (const field of TOKENS) grown.push(field, usage?.[field] ?? 0);
    if (costMicros !== null) grown.push('cost_micros', costMicros);
    const keptMs = (usage?.total_tokens ?? 0) > 0 ? KEPT_DAYS * DAY_MS : UNANSWERED_KEPT_MS;
    const names = [this.#keys.usage(project, dateOf(at)), this.#keys.counted(project, run_id)];
    this.#redis.usage(names.length, ...names, keptMs, COUNTED_KEPT_MS, ...grown).catch((err: unknown) => {
      this.#log.debug({ err, run_id }, 'could not count what a run has used');
    });
  }

  /**
   * What a project has used on each day from `from` to `to`, both in UTC as `2026-11-26` and both included; days on which no run
   * ended are left out. One read of Redis for each day, all sent at once, so the caller bounds how many there are.
   */
  async days(project: string, from: string, to: string): Promise<readonly DayUsage[]> {
    const dates = datesBetween(from, to);
    const found = await Promise.all(
      dates.map((date) => this.#redis.hgetall(this.#keys.usage(project, date))),
    );
    return dates.flatMap((date, index) => {
      const fields = found[index] ?? {};
      return Object.keys(fields).length === 0 ? [] : [dayOf(date, fields)];
    });
  }
}

/** The UTC day of a time in unix seconds. */
const dateOf = (at: number): string => new Date(at * 1000).toISOString().slice(0, 10);

function datesBetween(from: string, to: string): readonly string[] {
  const dates: string[] = [];
  for (let ms = Date.parse(from); ms <= Date.parse(to); ms += DAY_MS) dates.push(dateOf(ms / 1000));
  return dates;
}

function dayOf(date: string, fields: Readonly<Record<string, string>>): DayUsage {
  const number = (name: string): number => Number(fields[name] ?? 0);
  return {
    date,
    runs: {
      completed: number('completed'),
      incomplete: number('incomplete'),
      failed: number('failed'),
      cancelled: number('cancelled'),
      expired: number('expired'),
    },
    prompt_tokens: number('prompt_tokens'),
    completion_tokens: number('completion_tokens'),
    total_tokens: number('total_tokens'),
    costMicros: number('cost_micros'),
  };
}
