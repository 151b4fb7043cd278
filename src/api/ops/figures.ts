/**
 * The figures of `GET /metrics`: those of this process, of the queue, and those that every worker reports with its
 * heartbeat.
 */
import { API_MEASURES, Measures, metricsOf, WORKER_MEASURES, type Measured } from '../../measures.ts';
import { exposition, LabelledTally, samplesOf, Tally, type Metric, type Sample } from '../../metrics.ts';
import type { ColdCounts } from '../../store/cold-threads.ts';
import type { WorkerReport } from '../../store/presence.ts';
import type { LibraryFigures } from '../../store/library-note.ts';
import type { RedisMemory } from '../../store/redis-memory.ts';
import type { Admission } from '../../turns/admission.ts';
import type { SpentMs } from '../../turns/server-timing.ts';
import { WorkerTotals } from './worker-totals.ts';

export interface FiguresOptions {
  readonly admission: Admission;
  /** The WebSockets that are open, each of which counts as a stream. */
  readonly sockets: { readonly count: number };
  /** The commits of this process. */
  readonly commits: Tally;
  readonly workers: () => Promise<readonly WorkerReport[]>;
  readonly memory: () => Promise<RedisMemory>;
  /** How far files have come in the library. */
  readonly library: () => Promise<LibraryFigures>;
  /** The number of stored threads, and of those of them that are cold. */
  readonly threads: () => Promise<{ readonly all: number; readonly cold: number }>;
  /** What this process did with cold threads. */
  readonly coldCounts: Readonly<ColdCounts>;
  /** How far the clock of this machine is ahead of that of Redis. */
  readonly skewMs: () => number;
}

export class Figures {
  /** Requests that were passed on to model servers, by route, upstream and status. */
  readonly forwarded = new LabelledTally();
  /** Their bytes, by route, upstream and direction. */
  readonly forwardedBytes = new LabelledTally();
  /** Texts that a speech server was asked to speak, by upstream and status. */
  readonly spoken = new LabelledTally();
  /** Answered requests, by status. */
  readonly #requests = new Tally();
  readonly #measures = new Measures(API_MEASURES);
  readonly #totals = new WorkerTotals();
  readonly #options: FiguresOptions;

  constructor(options: FiguresOptions) {
    this.#options = options;
  }

  /** Notes what workers had measured before this process began. */
  async begin(): Promise<void> {
    await this.#workers();
  }

  /** A request was answered, or its client has gone; `seconds` is null where a socket was opened. */
  readonly answered = (area: string, status: number, seconds: number | null): void => {
    this.#requests.add(String(status));
    if (seconds !== null)
      this.#measures.note('request_seconds', seconds, area, `${Math.floor(status / 100)}xx`);
  };

  readonly eventDelay = (seconds: number): void => this.#measures.note('event_delay_seconds', seconds);

  readonly firstWord = (spentMs: SpentMs): void => {
    let totalMs = 0;
    for (const [stage, ms] of Object.entries(spentMs)) {
      totalMs += ms;
      this.#measures.note('first_word_seconds', ms / 1_000, stage);
    }
    this.#measures.note('first_word_seconds', totalMs / 1_000, 'total');
  };

  /** What the workers say; null while Redis is away. */
  async #workers(): Promise<readonly WorkerReport[] | null> {
    const workers = await this.#options.workers().catch(() => null);
    if (workers !== null) this.#totals.see(workers);
    return workers;
  }

  /** What this process has counted and measured itself. */
  get own(): { readonly requests: Readonly<Record<string, number>>; readonly firstWord: readonly number[] } {
    const { first_word_seconds: firstWord = {} } = this.#measures.measured;
    return { requests: this.#requests.counts, firstWord: firstWord['total'] ?? [] };
  }

  /** What the workers say, and what all of them have measured since this process began; null while Redis is away. */
  async workers(): Promise<{
    readonly reports: readonly WorkerReport[];
    readonly measured: Measured;
  } | null> {
    const reports = await this.#workers();
    return reports && { reports, measured: this.#totals.measured };
  }

  /** All figures in Prometheus' format. Without Redis, only those of this process. */
  async text(): Promise<string> {
    const { admission } = this.#options;
    const [workers, memory, threads, library] = await Promise.all([
      this.#workers(),
      // Some hosted Redis services do not answer this.
      this.#options.memory().catch(() => null),
      this.#options.threads().catch(() => null),
      this.#options.library().catch(() => null),
    ]);
    return exposition([
      gauge('redis_up', 'Whether Redis answers.', workers === null ? 0 : 1),
      ...(memory === null ? [] : ofMemory(memory)),
      ...(threads === null ? [] : ofThreads(threads)),
      ...(library === null ? [] : ofLibrary(library)),
      ...(workers === null ? [] : ofDeployment(workers, admission)),
      ...metricsOf(WORKER_MEASURES, this.#totals.measured),
      ...this.#own(),
      ...metricsOf(API_MEASURES, this.#measures.measured),
    ]);
  }

  #own(): readonly Metric[] {
    const { admission, commits, sockets, coldCounts, skewMs } = this.#options;
    return [
      counter('requests_total', 'Answered requests.', samplesOf(this.#requests.counts, 'status')),
      counter(
        'commits_total',
        'Transitions of runs that this process made, and commits that were refused.',
        samplesOf(commits.counts, 'what'),
      ),
      counter(
        'forwarded_total',
        'Requests that were passed on to a model server, by what the client was answered.',
        this.forwarded.samples,
      ),
      counter(
        'forwarded_bytes_total',
        'Bytes of such requests (sent) and of their answers (received).',
        this.forwardedBytes.samples,
      ),
      counter(
        'spoken_total',
        'Texts of answers with sound that a speech server was asked for, mostly sentences, by what became of them.',
        this.spoken.samples,
      ),
      counter('threads_thawed_total', 'Cold threads that this process brought back.', [
        { value: coldCounts.thawed },
      ]),
      counter('thread_thaw_seconds_total', 'Time that took, all together.', [
        { value: coldCounts.thawMs / 1_000 },
      ]),
      gauge('forwarded_open', 'Requests that are being passed on.', admission.forwarded),
      gauge('streams_open', 'Event streams that are open.', admission.streams),
      gauge('sockets_open', 'WebSockets that are open; each is one of the streams.', sockets.count),
      gauge(
        'event_loop_delay_seconds',
        'How late the event loop was lately, 99th percentile.',
        admission.loopDelayMs / 1_000,
      ),
      gauge(
        'clock_skew_seconds',
        "How far the clock of this process' machine is ahead of that of Redis.",
        skewMs() / 1_000,
      ),
      gauge('memory_bytes', 'Memory that this process occupies.', admission.memoryBytes),
    ];
  }
}

function ofThreads({ all, cold }: { readonly all: number; readonly cold: number }): readonly Metric[] {
  return [
    gauge('threads', 'Threads that are kept.', all),
    gauge(
      'threads_cold',
      'Those of them that lie outside of Redis, because nobody has used them for long.',
      cold,
    ),
  ];
}

function ofMemory({ usedBytes, maxBytes }: RedisMemory): readonly Metric[] {
  return [
    gauge('redis_memory_used_bytes', 'Memory that Redis uses; of a Cluster, its fullest server.', usedBytes),
    gauge('redis_memory_max_bytes', 'What that server may use (maxmemory); 0 where it is not set.', maxBytes),
  ];
}

function ofLibrary({ outside, lost }: LibraryFigures): readonly Metric[] {
  const restored = counter(
    'library_files_lost_total',
    'Files of vector stores that were missing in the library and were read again.',
    [{ value: lost }],
  );
  if (outside === null) return [restored];
  const help = 'Files of vector stores whose vectors are not yet of EMBEDDING_MODEL.';
  return [restored, gauge('library_files_to_embed', help, outside)];
}

/** Every API process of a deployment reports the same values for these. */
function ofDeployment(workers: readonly WorkerReport[], admission: Admission): readonly Metric[] {
  const each = (value: (report: WorkerReport) => number): readonly Sample[] =>
    workers.map((report) => ({ labels: { worker: report.name }, value: value(report) }));
  const commits = workers.flatMap(({ name, commits: counts }) => samplesOf(counts, 'what', { worker: name }));
  const failures = workers.flatMap(({ name: worker, failures: codes }) =>
    Object.entries(codes).flatMap(([code, counts]) => samplesOf(counts, 'upstream', { worker, code })),
  );
  return [
    gauge('workers', 'Workers that are alive.', workers.length),
    gauge('queue_waiting', 'Runs that wait for a worker.', admission.waiting),
    gauge(
      'queue_oldest_waiting_seconds',
      'Age of the job that is to be taken next.',
      admission.oldestWaitingMs / 1_000,
    ),
    gauge(
      'worker_busy',
      'Runs a worker executes.',
      each(({ busy }) => busy),
    ),
    gauge(
      'worker_slots',
      'Runs a worker may execute at once.',
      each(({ slots }) => slots),
    ),
    gauge(
      'worker_clock_skew_seconds',
      "How far the clock of a worker's machine is ahead of that of Redis.",
      each(({ skewMs }) => skewMs / 1_000),
    ),
    counter(
      'worker_rebuilds_total',
      'How often a worker had gone deaf and took jobs anew.',
      each(({ rebuilds }) => rebuilds),
    ),
    counter(
      'worker_stalls_total',
      'Jobs a worker found that another had lost.',
      each(({ stalls }) => stalls),
    ),
    counter(
      'worker_commits_total',
      'Transitions of runs that a worker made, and commits that were refused.',
      commits,
    ),
    counter(
      'worker_threads_frozen_total',
      'Threads a worker moved out of Redis.',
      each(({ cold }) => cold.frozen),
    ),
    counter(
      'worker_threads_thawed_total',
      'Cold threads a worker brought back.',
      each(({ cold }) => cold.thawed),
    ),
    counter(
      'worker_thread_thaw_seconds_total',
      'Time that took, all together.',
      each(({ cold }) => cold.thawMs / 1_000),
    ),
    counter(
      'worker_run_failures_total',
      'Runs that a worker ended as failed, by the code of their error and the upstream that had a part in it.',
      failures,
    ),
  ];
}

function gauge(name: string, help: string, value: number | readonly Sample[]): Metric {
  return {
    name: `longrun_${name}`,
    help,
    type: 'gauge',
    samples: typeof value === 'number' ? [{ value }] : value,
  };
}

function counter(name: string, help: string, samples: readonly Sample[]): Metric {
  return { name: `longrun_${name}`, help, type: 'counter', samples };
}
