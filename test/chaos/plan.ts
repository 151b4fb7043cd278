/**
 * What is going to happen: which clients come when and what they do, what their models say, and which faults strike when.
 * All of it is drawn from one seed before anything starts, so the same seed makes the same plan. Pure.
 */
import { Random } from './random.ts';

/** What a client does; each one is a function in clients.ts, or in responses.ts. */
export const CLIENTS = [
  'response poll',
  'response stream',
  'poll',
  'stream',
  'watch',
  'cancel',
  'submit twice',
  'create and run',
  'server tool',
  'abandon',
  'chat',
  'file search',
  'code',
] as const;
export type ClientType = (typeof CLIENTS)[number];

/** Whether a client speaks the Responses API. */
export const asksForResponses = ({ client }: Pick<RunPlan, 'client'>): boolean =>
  client.startsWith('response ');

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
  /** Who does it: visitors come to all their runs in turn, each at its time, or as soon as the one before is over. */
  readonly visitor: number;
  readonly atMs: number;
  readonly turns: readonly TurnPlan[];
  readonly upstream: UpstreamFault;
  /** Which API process it asks first; a retry goes to the next. */
  readonly api: number;
  /** After how many events a watching client hangs up, again and again, to go on at another API process. */
  readonly cuts: readonly number[];
  /** When a client that cancels does, after its run was created. */
  readonly cancelAfterMs: number;
  /** Whether one that polls a response cancels it. */
  readonly cancels: boolean;
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
  'Redis disk full',
  'all workers pause',
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
  /** How many visitors share the runs; each run has its own where it does not say. */
  readonly visitors?: number;
  /** {@link RATES} where it does not say. */
  readonly rates?: Rates;
  /** Which kinds of clients come; all where it does not say. */
  readonly clients?: readonly ClientType[];
  /** Whether no code can be run here: its clients poll instead. */
  readonly withoutCode?: boolean;
  /** Whether no model fails. */
  readonly sparesModels?: boolean;
  /** In one of so many runs the model's first answer is {@link SLOWER} times as slow and outlasts locks; in none where it does not say. */
  readonly slowEvery?: number;
}

type RandomFault = Exclude<FaultType, 'Redis kill -9'>;

/** How often a fault strikes in a minute, and how long it lasts; what is not named does not strike. */
export type Rates = Readonly<
  Partial<Record<RandomFault, readonly [perMinute: number, leastMs: number, mostMs: number]>>
>;

const REDIS_KILL_EVERY_MS = 20_000;
const SLOWER = 20;

/** Everything, as two cores just carry it. */
const RATES: Required<Rates> = {
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
  'Redis disk full': [1, 500, 3_000],
  // A machine that is put to sleep: whoever takes the runs over is one of those that lost them.
  'all workers pause': [1, 2_000, 10_000],
};

export function makePlan(options: PlanOptions): Plan {
  const { seed, runs, lastsMs, killRedis, visitors = runs, rates = RATES, clients = CLIENTS } = options;
  const random = new Random(seed);
  return {
    seed,
    runs: Array.from({ length: runs }, (_, index) => {
      // Every kind comes in any seed, however few the runs.
      const kind = clients[index % clients.length] ?? 'poll';
      const client = kind === 'code' && options.withoutCode === true ? 'poll' : kind;
      const plan = runPlan(random, index, client, (lastsMs * index) / runs);
      const upstream = options.sparesModels === true ? 'none' : plan.upstream;
      const factor = index % (options.slowEvery ?? Infinity) === 1 ? SLOWER : 1;
      const turns = plan.turns.map((turn, at) => ({
        ...turn,
        fragmentMs: (at === 0 ? factor : 1) * turn.fragmentMs,
      }));
      return { ...plan, turns, upstream, visitor: index % visitors };
    }),
    faults: [...faults(random, lastsMs, rates), ...(killRedis ? redisKills(lastsMs) : [])].toSorted(
      (one, other) => one.atMs - other.atMs,
    ),
  };
}

function runPlan(random: Random, index: number, client: ClientType, atMs: number): Omit<RunPlan, 'visitor'> {
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
    cancels: random.chance(0.3),
  };
}

/** Those whose models call at least once. */
const CALLING: ReadonlySet<ClientType> = new Set([
  'submit twice',
  'abandon',
  'server tool',
  'file search',
  'code',
]);

function turnsOf(random: Random, client: ClientType): readonly TurnPlan[] {
  const turn = (calls: number): TurnPlan => ({
    fragments: calls > 0 && random.chance(0.5) ? 0 : random.between(1, 20),
    fragmentMs: random.between(5, 150),
    calls,
  });
  const calling = CALLING.has(client) ? 1 : 0;
  const loops = client === 'chat' ? 0 : random.between(calling, 2);
  return [...Array.from({ length: loops }, () => turn(random.between(1, 2))), turn(0)];
}

function faults(random: Random, lastsMs: number, rates: Rates): readonly Fault[] {
  return FAULTS.flatMap((type) => {
    const rate = type === 'Redis kill -9' ? undefined : rates[type];
    if (rate === undefined) return [];
    const [perMinute, leastMs, mostMs] = rate;
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

/** How many responses go on from the last one of a client that forks. */
export const FORKS = 2;

/** What the user says in a fork; they are counted from 0. */
export const forkQuestionOf = (plan: RunPlan, fork: number): string => `${questionOf(plan)} fork ${fork}`;

/** The plan a question belongs to, and its fork, if it is asked in one; null for any other text. */
export function planOf(
  { runs }: Plan,
  question: string,
): { readonly plan: RunPlan; readonly fork: number | null } | null {
  const [, index, fork] = /^plan (\d+)(?: fork (\d+))?$/.exec(question) ?? [];
  const plan = runs[Number(index ?? -1)];
  return plan === undefined ? null : { plan, fork: fork === undefined ? null : Number(fork) };
}

const FORK_TURN: TurnPlan = { fragments: 5, fragmentMs: 50, calls: 0 };

/** A turn of a run. Those after its own are its forks'. */
export const turnOf = ({ turns }: RunPlan, turn: number): TurnPlan => turns[turn] ?? FORK_TURN;

/** The words of a turn, fragment by fragment. */
export function wordsOf(plan: RunPlan, turn: number): readonly string[] {
  const { index } = plan;
  const { fragments } = turnOf(plan, turn);
  return Array.from({ length: fragments }, (_, word) => (word === 0 ? `${index}/${turn}:` : ` w${word}`));
}

type ToolName = 'clock' | 'look_up' | 'file_search' | 'code_interpreter';

const TOOLS: Readonly<Partial<Record<ClientType, ToolName>>> = {
  'server tool': 'clock',
  'file search': 'file_search',
  code: 'code_interpreter',
};

/** The name of the tool a run's model calls. */
export const toolOf = ({ client }: RunPlan): ToolName => TOOLS[client] ?? 'look_up';

/** What a run's model calls it with. */
export function argumentsOf(plan: RunPlan): object {
  if (plan.client === 'file search') return { queries: [wordOf(plan)] };
  return plan.client === 'code' ? { code: `print(${plan.index} * 7)` } : {};
}

/** A word that stands in the file of this client, and in no other. */
export const wordOf = ({ index }: RunPlan): string => `word${index}x`;

/** What the code of this client prints. */
export const printedBy = ({ index }: RunPlan): string => `${index * 7}\n`;
