/**
 * What is going to happen: which clients come when and what they do, what their models say, and which faults strike when.
 * All of it is drawn from one seed before anything starts, so the same seed makes the same plan. Pure.
 */
import { Random } from './random.ts';

/** What a client does; each one is a function in clients.ts. */
export const CLIENTS = [
  'poll',
  'stream',
  'watch',
  'cancel',
  'submit twice',
  'create and run',
  'abandon',
  'server tool',
  'chat',
] as const;
export type ClientType = (typeof CLIENTS)[number];

/** One completion of the model. A turn that calls is followed by another. */
export interface TurnPlan {
  readonly fragments: number;
  readonly fragmentMs: number;
  readonly calls: number;
}

/** What happens to the model's first answer of a run; `refuse` and `early` come before its first word. */
export type UpstreamFault = 'none' | 'refuse' | 'early reset' | 'late reset' | 'stall';

export interface RunPlan {
  readonly index: number;
  readonly client: ClientType;
  readonly atMs: number;
  readonly turns: readonly TurnPlan[];
  readonly upstream: UpstreamFault;
  /** Which API process it asks first; a retry goes to the next. */
  readonly api: number;
  /** After how many events a watching client hangs up, again and again, to go on at another API process. */
  readonly cuts: readonly number[];
  /** When a client that cancels does, after its run was created. */
  readonly cancelAfterMs: number;
}

export const FAULTS = [
  'worker kill -9',
  'worker pause',
  'worker SIGTERM',
  'API kill -9',
  'connection drop',
  'Redis pause',
  'Redis freeze',
  'Redis read-only',
  'Redis out of memory',
  'Redis kill -9',
] as const;
export type FaultType = (typeof FAULTS)[number];

export interface Fault {
  readonly type: FaultType;
  readonly atMs: number;
  /** How long it lasts, where it lasts. */
  readonly ms: number;
  /** Which of the candidates it strikes, from 0 to 1. */
  readonly target: number;
}

export interface Plan {
  readonly seed: number;
  readonly runs: readonly RunPlan[];
  readonly faults: readonly Fault[];
}

export interface PlanOptions {
  readonly seed: number;
  readonly runs: number;
  /** Over how long clients and faults are spread. */
  readonly lastsMs: number;
  /** Redis is killed and started again every {@link REDIS_KILL_EVERY_MS}. */
  readonly killRedis: boolean;
}

const REDIS_KILL_EVERY_MS = 20_000;

/** How often a fault strikes in a minute, and how long it lasts. */
const RATES: Readonly<
  Record<Exclude<FaultType, 'Redis kill -9'>, readonly [perMinute: number, leastMs: number, mostMs: number]>
> = {
  'worker kill -9': [24, 0, 0],
  // One in four finds every worker paused or coming up.
  'worker pause': [30, 2_000, 10_000],
  'worker SIGTERM': [4, 0, 0],
  'API kill -9': [4, 0, 0],
  'connection drop': [15, 0, 0],
  'Redis pause': [2, 200, 1_500],
  'Redis freeze': [1, 200, 3_000],
  'Redis read-only': [2, 500, 1_500],
  'Redis out of memory': [2, 500, 1_500],
};

export function makePlan({ seed, runs, lastsMs, killRedis }: PlanOptions): Plan {
  const random = new Random(seed);
  return {
    seed,
    runs: Array.from({ length: runs }, (_, index) => runPlan(random, index, (lastsMs * index) / runs)),
    faults: [...faults(random, lastsMs), ...(killRedis ? redisKills(lastsMs) : [])].toSorted(
      (one, other) => one.atMs - other.atMs,
    ),
  };
}

function runPlan(random: Random, index: number, atMs: number): RunPlan {
  // Every kind comes in any seed, however few the runs.
  const client = CLIENTS[index % CLIENTS.length] ?? 'poll';
  return {
    index,
    client,
    atMs: Math.round(atMs),
    turns: turnsOf(random, client),
    upstream: random.chance(0.8)
      ? 'none'
      : random.pick(['refuse', 'early reset', 'late reset', 'stall'] as const),
    api: random.between(0, 7),
    cuts: Array.from({ length: 6 }, () => random.between(1, 12)),
    cancelAfterMs: random.between(0, 2_500),
  };
}

function turnsOf(random: Random, client: ClientType): readonly TurnPlan[] {
  const turn = (calls: number): TurnPlan => ({
    fragments: calls > 0 && random.chance(0.5) ? 0 : random.between(1, 20),
    fragmentMs: random.between(5, 150),
    calls,
  });
  const calling = client === 'submit twice' || client === 'abandon' || client === 'server tool' ? 1 : 0;
  const loops = client === 'chat' ? 0 : random.between(calling, 2);
  return [...Array.from({ length: loops }, () => turn(random.between(1, 2))), turn(0)];
}

function faults(random: Random, lastsMs: number): readonly Fault[] {
  return FAULTS.flatMap((type) => {
    if (type === 'Redis kill -9') return [];
    const [perMinute, leastMs, mostMs] = RATES[type];
    const count = Math.round((perMinute * lastsMs) / 60_000);
    return Array.from({ length: count }, () => ({
      type,
      atMs: random.between(0, lastsMs),
      ms: random.between(leastMs, mostMs),
      target: random.next(),
    }));
  });
}

function redisKills(lastsMs: number): readonly Fault[] {
  const count = Math.floor(lastsMs / REDIS_KILL_EVERY_MS);
  return Array.from({ length: count }, (_, index) => ({
    type: 'Redis kill -9' as const,
    atMs: (index + 1) * REDIS_KILL_EVERY_MS,
    ms: 0,
    target: 0,
  }));
}

/** What the user says: enough for the model to know its plan. */
export const questionOf = ({ index }: RunPlan): string => `plan ${index}`;

/** The plan a question belongs to; null for any other text. */
export function planOf({ runs }: Plan, question: string): RunPlan | null {
  const index = /^plan (\d+)$/.exec(question)?.[1];
  return runs[Number(index ?? -1)] ?? null;
}

/** The words of a turn, fragment by fragment. */
export function wordsOf({ index, turns }: RunPlan, turn: number): readonly string[] {
  const { fragments = 0 } = turns[turn] ?? {};
  return Array.from({ length: fragments }, (_, word) => (word === 0 ? `${index}/${turn}:` : ` w${word}`));
}

/** The name of the tool a run's model calls. */
export const toolOf = ({ client }: RunPlan): string => (client === 'server tool' ? 'clock' : 'look_up');
