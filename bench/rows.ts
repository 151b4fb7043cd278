/** The figures of a run of the bench as rows of one table, each with the limit that the service must keep. */
import { rounded } from './figures.ts';
import { total } from './processes.ts';
import type { FirstWords, Flows, LongThreads, Memory, Stored, Streams } from './measure.ts';

/** Everything that was measured of one service; what was not measured is missing. */
export interface Measured {
  readonly first?: readonly FirstWords[];
  /** By load, such as `100`. */
  readonly streams?: Readonly<Record<string, readonly Streams[]>>;
  readonly polled?: Flows;
  readonly streamed?: Flows;
  readonly threads?: readonly LongThreads[];
  readonly memory?: Memory;
  readonly stored?: Stored;
  /** What the machine was too unsteady for: `first`, or a load. */
  readonly voids?: readonly string[];
}

/** One figure: a smaller value is better unless `isRate`. */
export interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** The worst value that is good enough; null for a figure without a limit. */
  readonly limit: number | null;
  readonly isRate: boolean;
  /** The machine was too unsteady for it: neither kept nor missed. */
  readonly isVoid: boolean;
  /** Of which processes the value is made, by role. */
  readonly by: Readonly<Record<string, number>>;
}

/** Whether the value is within its limit, or nobody can say. */
export const isKept = ({ value, limit, isRate, isVoid }: Row): boolean =>
  limit === null || isVoid || (isRate ? value >= limit : value <= limit);

/** The limits that the floor of this machine sets: the service may take so many times what a minimal proxy adds. */
const TIMES_PROXY = 3;
const FIRST_WORD_MS = 3.2;
/** What a response may take of what a chat takes. */
const TIMES_CHAT = 1.15;

/**
 * The rows of one service.
 * @param prefix of its arms' names
 */
export function rowsOf(measured: Measured, prefix: string): readonly Row[] {
  const judged = (part: string, rows: readonly Row[]): readonly Row[] =>
    measured.voids?.includes(part) === true ? rows.map((each) => ({ ...each, isVoid: true })) : rows;
  return [
    ...judged('first', firstRows(measured.first ?? [], prefix)),
    ...Object.entries(measured.streams ?? {}).flatMap(([load, arms]) =>
      judged(load, streamRows(load, arms, prefix)),
    ),
    ...flowRows(measured),
    ...threadRows(measured.threads ?? []),
    ...memoryRows(measured.memory),
    ...storedRows(measured.stored),
  ];
}

const row = (name: string, value: number, unit: string, limit: number | null = null): Row => ({
  name,
  value: rounded(value),
  unit,
  limit: limit === null ? null : rounded(limit),
  isRate: false,
  isVoid: false,
  by: {},
});

/** A row that tells its processes as well. */
const shared = (of: Row, by: ReadonlyMap<string, number>): Row => ({
  ...of,
  by: Object.fromEntries([...by].map(([role, value]) => [role, rounded(value, 1)])),
});

function firstRows(arms: readonly FirstWords[], prefix: string): readonly Row[] {
  const proxy = arms.find(({ arm }) => arm === 'proxy');
  const own = arms.filter(({ arm }) => arm.startsWith(prefix));
  const litellm = arms.find(({ arm }) => arm === 'LiteLLM');
  const chat = own.find(({ arm }) => arm === `${prefix}chat`);
  return [
    ...own.flatMap(({ arm, added, addedP99 }) => [
      row(
        `added first word, ${arm.slice(prefix.length)}, p50`,
        added.median,
        'ms',
        Math.min(FIRST_WORD_MS, proxy === undefined ? Infinity : TIMES_PROXY * proxy.added.median),
      ),
      row(`added first word, ${arm.slice(prefix.length)}, p99`, addedP99, 'ms', 10),
    ]),
    ...own
      .filter(({ arm }) => arm.startsWith(`${prefix}responses`))
      .map(({ arm, added }) =>
        row(
          `added first word, ${arm.slice(prefix.length)}, against chat`,
          added.median / (chat?.added.median ?? Number.NaN),
          '×',
          TIMES_CHAT,
        ),
      ),
    ...(litellm !== undefined && chat !== undefined
      ? [row('added first word against LiteLLM', chat.added.median / litellm.added.median, '×', 0.35)]
      : []),
  ];
}

/** The limits of each load, for chats: added first word, added gap at p99, processor per token. */
const STREAM_LIMITS: Readonly<
  Record<string, readonly [first: number | null, gap: number | null, perToken: number | null]>
> = {
  '100': [10, 12, 110],
  '200': [40, null, null],
  saturated: [null, null, 85],
};

function streamRows(load: string, arms: readonly Streams[], prefix: string): readonly Row[] {
  const direct = arms.find(({ arm }) => arm === 'direct');
  const [first = null, gap = null, perToken = null] = STREAM_LIMITS[load] ?? [];
  const name = load === 'saturated' ? 'saturated' : `${load} streams`;
  const proxy = arms.find(({ arm }) => arm === 'proxy');
  const floor =
    proxy === undefined
      ? []
      : [row(`${name}, minimal proxy: processor per token`, total(proxy.processor), 'µs')];
  const own = arms
    .filter(({ arm }) => arm.startsWith(prefix))
    .flatMap((arm) => {
      const kind = arm.arm.slice(prefix.length);
      return [
        row(`${name}, ${kind}: added first word p50`, arm.firstP50 - (direct?.firstP50 ?? 0), 'ms', first),
        row(`${name}, ${kind}: added gap p99`, arm.gapP99 - (direct?.gapP99 ?? 0), 'ms', gap),
        shared(
          row(`${name}, ${kind}: processor per token`, total(arm.processor), 'µs', perToken),
          arm.processor,
        ),
        { ...row(`${name}, ${kind}: tokens per second`, arm.tokensPerS, '/s'), isRate: true },
        row(`${name}, ${kind}: tokens lost, doubled, out of order`, arm.wrong, '', 0),
        row(`${name}, ${kind}: streams that failed`, arm.failed, '', 0),
      ];
    });
  return [...floor, ...own];
}

function flowRows({ polled, streamed }: Measured): readonly Row[] {
  return Object.entries({ polled, streamed }).flatMap(([kind, flows]) =>
    flows === undefined
      ? []
      : [
          { ...row(`flows per second, ${kind}`, flows.perS, '/s', 400), isRate: true },
          shared(row(`processor per flow, ${kind}`, total(flows.processor), 'µs'), flows.processor),
          row(`flows that failed, ${kind}`, flows.failed, '', 0),
        ],
  );
}

function threadRows([short, long]: readonly LongThreads[]): readonly Row[] {
  if (short === undefined || long === undefined) return [];
  const name = `first word, thread of ${long.messages} against ${short.messages} messages`;
  return [
    row(name, long.firstMs / short.firstMs, '×', 1.3),
    row(`${name}, last 10 wanted`, long.lastTenMs / short.lastTenMs, '×', 1.1),
  ];
}

function memoryRows(memory: Memory | undefined): readonly Row[] {
  if (memory === undefined) return [];
  return [
    shared(row('idle service, all processes', total(memory.idleMb), 'MB', 420), memory.idleMb),
    row('API, per idle stream', memory.apiPerStreamKb, 'KB', 70),
    row('worker, per idle run', memory.workerPerRunKb, 'KB', 100),
  ];
}

function storedRows(stored: Stored | undefined): readonly Row[] {
  if (stored === undefined) return [];
  const kb = (bytes: number): number => bytes / 1_024;
  return [
    row('Redis, finished 500-token run beside its text', kb(stored.plainRun), 'KB', 6),
    row('the same, 8 kB of instructions and 20 tools', kb(stored.richRun), 'KB', 7),
    row('Redis, thread of 50 messages beside their text', kb(stored.thread), 'KB', 100),
  ];
}
