/** Which run has a decision about a call. A call is decided about once, however many requests bring the decision. */
import { decode } from './json.ts';
import type { RedisKeys } from './keys.ts';
import type { ScriptedRedis } from './scripts.ts';

/** Longer than anybody decides about the same call again. */
const KEPT_S = 90 * 86_400;

/** A decision, and the run that carries it out. */
export interface Claim {
  readonly approve: boolean;
  readonly threadId: string;
  readonly runId: string;
  /** Whether the run is stored; others are gone soon after their end. */
  readonly isKept: boolean;
  /** When the decision was claimed, in Unix milliseconds: its run is made right afterwards. */
  readonly atMs: number;
}

export class Approvals {
  readonly #redis: ScriptedRedis;
  readonly #keys: RedisKeys;

  constructor(redis: ScriptedRedis, keys: RedisKeys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /**
   * Claims a decision. Done twice it changes nothing.
   * @param approval the id of what asked for it
   * @param instead a claim that may be replaced
   * @returns the claim that holds: this one, or an earlier one of another run
   */
  async claim(project: string, approval: string, mine: Claim, instead: Claim | null = null): Promise<Claim> {
    const key = this.#keys.passing(project, 'approval', approval);
    const other = instead === null ? '' : textOf(instead);
    const held = await this.#redis.claim(1, key, textOf(mine), other, KEPT_S);
    return decode<Claim>(String(held)) ?? mine;
  }

  /** Gives a claim back: the run that was to have it was not made. */
  async release(project: string, approval: string, mine: Claim): Promise<void> {
    await this.#redis.unclaim(1, this.#keys.passing(project, 'approval', approval), textOf(mine));
  }
}

const textOf = ({ approve, threadId, runId, isKept, atMs }: Claim): string =>
  JSON.stringify({ approve, threadId, runId, isKept, atMs });
