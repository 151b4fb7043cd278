/** Reads the service from everything that knows something of it, and says what this process knows. */
import type { Measured } from '../../measures.ts';
import type { ApiFigures, ApiReports } from '../../store/api-reports.ts';
import type { LibraryFigures } from '../../store/library-note.ts';
import type { OpenRuns } from '../../store/open-runs.ts';
import type { WorkerReport } from '../../store/presence.ts';
import type { JobQueue } from '../../store/queue.ts';
import type { RedisMemory } from '../../store/redis-memory.ts';
import type { RunJob } from '../../store/run-jobs.ts';
import type { Admission } from '../../turns/admission.ts';
import type { ServiceReading } from './reading.ts';
import type { SamplerOptions } from './sampler.ts';

interface Sources {
  readonly name: string;
  readonly reports: ApiReports;
  readonly queue: Pick<JobQueue<RunJob>, 'counts'>;
  readonly open: Pick<OpenRuns, 'count'>;
  readonly memory: () => Promise<RedisMemory>;
  readonly library: () => Promise<LibraryFigures>;
  readonly threads: () => Promise<{ readonly all: number; readonly cold: number }>;
  readonly figures: {
    readonly own: Pick<ApiFigures, 'requests' | 'firstWord'>;
    readonly workers: () => Promise<{
      readonly reports: readonly WorkerReport[];
      readonly measured: Measured;
    } | null>;
  };
  readonly admission: Pick<Admission, 'streams' | 'memoryBytes' | 'loopDelayMs' | 'oldestWaitingMs'>;
  readonly sockets: { readonly count: number };
  /** Unix milliseconds, the same for every process. */
  readonly nowMs: () => number;
}

export function samplerOptions(sources: Sources): SamplerOptions {
  const { name, reports, queue, open, memory, library, threads, figures, admission, sockets, nowMs } =
    sources;
  const sinceMs = nowMs();
  let measured: Measured = {};
  const own = (): ApiFigures => ({
    sinceMs,
    saidMs: nowMs(),
    streams: admission.streams,
    sockets: sockets.count,
    memoryBytes: admission.memoryBytes,
    loopDelayMs: admission.loopDelayMs,
    ...figures.own,
  });
  const orNull = async <T>(asked: Promise<T>): Promise<T | null> => asked.catch(() => null);
  const read = async (): Promise<ServiceReading> => {
    const [jobs, openRuns, workers, others, used, kept, files] = await Promise.all([
      orNull(queue.counts()),
      orNull(open.count()),
      figures.workers(),
      orNull(reports.others()),
      orNull(memory()),
      orNull(threads()),
      orNull(library()),
    ]);
    measured = workers?.measured ?? measured;
    return {
      atMs: nowMs(),
      jobs,
      oldestWaitMs: admission.oldestWaitingMs,
      openRuns,
      workers: workers?.reports ?? null,
      measured,
      apis: [{ ...own(), name }, ...(others ?? [])],
      memory: used,
      threads: kept,
      library: files,
    };
  };
  return { read, onTick: async () => void (await orNull(reports.say(own()))) };
}
