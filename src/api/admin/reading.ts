/** What was read of the service at one moment, and what operators are told of it. Pure. */
import { API_MEASURES, type Measured } from '../../measures.ts';
import type { ApiReport } from '../../store/api-reports.ts';
import type { LibraryFigures } from '../../store/library-note.ts';
import type { WorkerReport } from '../../store/presence.ts';
import type { JobCounts } from '../../store/queue.ts';
import type { RedisMemory } from '../../store/redis-memory.ts';

/** Counters are those since the process that reads has begun, or since their own process has; null is what Redis did not tell. */
export interface ServiceReading {
  /** Unix milliseconds. */
  readonly atMs: number;
  readonly jobs: JobCounts | null;
  readonly oldestWaitMs: number;
  readonly openRuns: number | null;
  readonly workers: readonly WorkerReport[] | null;
  /** What all workers have measured. */
  readonly measured: Measured;
  readonly apis: readonly ApiReport[];
  readonly memory: RedisMemory | null;
  readonly threads: { readonly all: number; readonly cold: number } | null;
  readonly library: LibraryFigures | null;
}

/** What operators are told. Its fields are explained in docs/admin.md. */
export type ServiceView = ReturnType<typeof serviceView>;

/** @param before a reading of about a minute ago, with which it is compared; null where there is none yet */
export function serviceView(reading: ServiceReading, before: ServiceReading | null) {
  const { atMs, jobs, oldestWaitMs, workers, apis, memory, threads, library, openRuns } = reading;
  const now = totalsOf(reading);
  return {
    object: 'admin.service' as const,
    at: Math.floor(atMs / 1_000),
    queue: jobs && { ...jobs, oldest_wait_ms: Math.round(oldestWaitMs) },
    open_runs: openRuns,
    workers: (workers ?? []).map((worker) => workerView(worker, atMs)),
    apis: apis.map((api) => apiView(api, atMs)),
    redis: {
      ok: workers !== null,
      used_memory_bytes: memory?.usedBytes ?? null,
      max_memory_bytes: memory?.maxBytes ?? null,
    },
    streams_open: sum(apis.map(({ streams }) => streams)),
    sockets_open: sum(apis.map(({ sockets }) => sockets)),
    first_word: firstWordView(reading, before),
    requests: now.requests,
    upstreams: upstreamViews(reading.measured),
    tokens: now.tokens,
    failures: failuresOf(workers ?? []),
    threads,
    library: library && { files_to_embed: library.outside, files_lost: library.lost },
    last_minute: before && difference(now, totalsOf(before), (atMs - before.atMs) / 1_000),
  };
}

/** Runs of all workers that one snapshot of the stream names: it goes to every reader every two seconds. */
const MAX_STREAMED_RUNS = 100;

/** What the stream tells: workers share the runs that it names, and `busy` says how many there are. */
export function streamedView(view: ServiceView): ServiceView {
  let room = MAX_STREAMED_RUNS;
  const workers = view.workers.map((worker, index) => {
    const share = Math.ceil(room / (view.workers.length - index));
    const running = worker.running.slice(0, share);
    room -= running.length;
    return { ...worker, running };
  });
  return { ...view, workers };
}

function workerView(worker: WorkerReport, atMs: number) {
  const { name, busy, slots, sinceMs, saidMs, skewMs, rebuilds, stalls, running, mcp } = worker;
  return {
    name,
    busy,
    slots,
    since: secondsOf(sinceMs),
    age_ms: saidMs === null ? null : Math.max(0, Math.round(atMs - saidMs)),
    skew_ms: Math.round(skewMs),
    rebuilds,
    stalls,
    running: running.map(({ project, threadId, runId }) => ({ run_id: runId, thread_id: threadId, project })),
    mcp,
  };
}

function apiView(
  { name, sinceMs, saidMs, streams, sockets, memoryBytes, loopDelayMs }: ApiReport,
  atMs: number,
) {
  return {
    name,
    since: secondsOf(sinceMs),
    age_ms: Math.max(0, Math.round(atMs - saidMs)),
    streams,
    sockets,
    memory_bytes: memoryBytes,
    loop_delay_ms: Math.round(loopDelayMs),
  };
}

const secondsOf = (ms: number | null): number | null => (ms === null ? null : Math.floor(ms / 1_000));

interface Counted {
  readonly requests: { readonly count: number; readonly errors_4xx: number; readonly errors_5xx: number };
  readonly tokens: Readonly<Record<TokenKind, number>>;
}

const TOKEN_KINDS = ['input', 'cached', 'output', 'reasoning'] as const;
type TokenKind = (typeof TOKEN_KINDS)[number];

function totalsOf({ apis, measured }: ServiceReading): Counted {
  const byStatus = apis.flatMap(({ requests }) => Object.entries(requests));
  const ofClass = (first: string): number =>
    sum(byStatus.flatMap(([status, count]) => (status.startsWith(first) ? [count] : [])));
  return {
    requests: {
      count: sum(byStatus.map(([, count]) => count)),
      errors_4xx: ofClass('4'),
      errors_5xx: ofClass('5'),
    },
    tokens: tokensOf(measured, () => true),
  };
}

/** What came between; a process that has begun anew since makes some of it 0, and never less. */
function difference(now: Counted, before: Counted, seconds: number) {
  const since = (later: number, earlier: number): number => Math.max(0, later - earlier);
  return {
    seconds: Math.round(seconds),
    requests: since(now.requests.count, before.requests.count),
    errors_4xx: since(now.requests.errors_4xx, before.requests.errors_4xx),
    errors_5xx: since(now.requests.errors_5xx, before.requests.errors_5xx),
    input_tokens: since(now.tokens.input, before.tokens.input),
    output_tokens: since(now.tokens.output, before.tokens.output),
  };
}

/** The labels of cells are joined by line breaks (measures.ts). */
const cellsOf = (measured: Measured, name: string): (readonly [readonly string[], readonly number[]])[] =>
  Object.entries(measured[name] ?? {}).map(([labels, cell]) => [labels.split('\n'), cell] as const);

function tokensOf(measured: Measured, isWanted: (upstream: string) => boolean): Record<TokenKind, number> {
  const counts = { input: 0, cached: 0, output: 0, reasoning: 0 };
  for (const [[upstream = '', , kind], [value = 0]] of cellsOf(measured, 'tokens_total')) {
    const known = TOKEN_KINDS.find((each) => each === kind);
    if (known !== undefined && isWanted(upstream)) counts[known] += value;
  }
  return counts;
}

function upstreamViews(measured: Measured) {
  const requests = cellsOf(measured, 'model_request_seconds');
  const errors = cellsOf(measured, 'upstream_errors_total');
  const retries = cellsOf(measured, 'upstream_retries_total');
  const names = new Set([...requests, ...errors, ...retries].map(([[name = '']]) => name));
  return [...names].toSorted().map((name) => {
    const isOwn = ([[upstream]]: readonly [readonly string[], readonly number[]]): boolean =>
      upstream === name;
    const amount = ([, [value = 0]]: readonly [readonly string[], readonly number[]]): number => value;
    const byKind = errors.filter(isOwn);
    return {
      name,
      requests: sum(requests.filter(isOwn).map(([, [, ...counts]]) => sum(counts))),
      errors: sum(byKind.map(amount)),
      errors_by_kind: Object.fromEntries(byKind.map((cell) => [cell[0][1] ?? '', amount(cell)])),
      retries: sum(retries.filter(isOwn).map(amount)),
      tokens: tokensOf(measured, (upstream) => upstream === name),
    };
  });
}

function failuresOf(workers: readonly WorkerReport[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { failures } of workers) {
    for (const [code, byUpstream] of Object.entries(failures))
      counts[code] = (counts[code] ?? 0) + sum(Object.values(byUpstream));
  }
  return counts;
}

const BOUNDS: readonly number[] = API_MEASURES.first_word_seconds.bounds;

/** Of the first words since the reading before. */
function firstWordView(reading: ServiceReading, before: ServiceReading | null) {
  const earlier = new Map(before?.apis.map(({ name, firstWord }) => [name, firstWord]));
  const counts = Array.from({ length: BOUNDS.length + 1 }, (_, bucket) =>
    sum(
      reading.apis.map(({ name, firstWord }) =>
        Math.max(0, (firstWord[bucket + 1] ?? 0) - (earlier.get(name)?.[bucket + 1] ?? 0)),
      ),
    ),
  );
  return {
    p50_s: quantile(counts, 0.5),
    p90_s: quantile(counts, 0.9),
    p99_s: quantile(counts, 0.99),
    count: sum(counts),
  };
}

/** As Prometheus computes it: evenly spread within its bucket. Null where there is nothing. */
export function quantile(counts: readonly number[], share: number): number | null {
  const total = sum(counts);
  if (total === 0) return null;
  const rank = share * total;
  let below = 0;
  for (const [bucket, count] of counts.entries()) {
    if (count > 0 && below + count >= rank) {
      const from = BOUNDS[bucket - 1] ?? 0;
      const to = BOUNDS[bucket] ?? from;
      return Number((from + ((to - from) * (rank - below)) / count).toFixed(4));
    }
    below += count;
  }
  return BOUNDS.at(-1) ?? null;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
