/** The worker process: takes runs from the queue and executes them. A composition root. */
import '../node-version.ts';
import { hostname } from 'node:os';
import { ConfigError, readConfig, readSuccession, redacted, toolSettings } from '../config.ts';
import { createLog } from '../log.ts';
import { Tally } from '../metrics.ts';
import { endOfStart, givenBytes } from '../memory.ts';
import { PRESETS } from '../config/presets.ts';
import { lessonKey } from '../model/facts.ts';
import { OpenAiModel } from '../model/openai.ts';
import { upstreamNameOf } from '../model/upstreams.ts';
import { newId } from '../runs/ids.ts';
import { ModelError } from '../runs/model.ts';
import { Seal, type Secrets } from '../seal.ts';
import { die, stopOnSignal } from '../shutdown.ts';
import { Lease } from '../store/lease.ts';
import { Lessons } from '../store/lessons.ts';
import { openStore } from '../store/open.ts';
import { announceWorker, workerId, type WorkerFigures } from '../store/presence.ts';
import { JobConsumer } from '../store/queue.ts';
import { QueueWatch } from '../store/queue-watch.ts';
import { RUN_JOBS } from '../store/run-jobs.ts';
import { ToolCache } from '../store/tool-cache.ts';
import { Trial } from '../store/trial.ts';
import { openToolbox } from '../toolbox/open.ts';
import { Room } from './room.ts';
import { RunWorker } from './run-job.ts';
import { Slots } from './slots.ts';
import { startSweeper } from './sweeper.ts';
import { takeOver } from './take-over.ts';

/** Time beyond the drain time, for handing over and closing connections. */
const STOP_MARGIN_MS = 10_000;
/** Share of the memory: a prompt exists as text, as objects, as text again and on its way to the model server. */
const LARGE_PROMPTS_SHARE = 1 / 8;
const DRAIN_CHECK_MS = 50;

async function main(): Promise<void> {
  const config = readConfig();
  const { name, ended } = readSuccession();
  const id = workerId(hostname(), name);
  const log = createLog(config, 'worker').child({ worker: id });
  log.info({ config: redacted(config) }, 'starting');
  for (const note of config.notes) log.warn(note);

  const commits = new Tally();
  const failures = new Map<string, Tally>();
  const store = await openStore({
    ...config,
    whenAway: 'wait',
    log,
    count: (what) => commits.add(what),
    countFailure: (code, upstream) => {
      const tally = failures.get(code) ?? new Tally();
      failures.set(code, tally);
      tally.add(upstream ?? '');
    },
  });
  if (store.problems.length > 0) throw new ConfigError(store.problems);
  const { redis, keys, hub, queue, open, threadIndex, runs, objects } = store;
  const { now, nowMs } = store.clock;
  const unseal = unsealer(config.secret);
  const toolbox = await openToolbox({
    ...toolSettings(config),
    cache: new ToolCache(redis, keys),
    log,
    now,
  });
  const trial = new Trial(redis, keys, nowMs);
  const lease = new Lease({ redis, keys, id, leaseMs: config.lockMs, log });
  const slots = new Slots({
    slots: config.workerConcurrency,
    upstreams: config.upstreams,
    wake: (job) => queue.wake(job),
  });
  const lessons = new Lessons(redis, keys);
  const model = new OpenAiModel({
    upstreams: config.upstreams,
    families: PRESETS,
    limits: {
      idleMs: config.upstreamIdleMs,
      stallMs: config.upstreamStallMs,
      thinkMs: config.upstreamThinkMs,
      totalMs: config.upstreamTotalMs,
    },
    retries: config.upstreamRetries,
    waitMs: config.upstreamWaitMs,
    upstreamKey: (sealed) => unseal(sealed).upstreamKey,
    tellLesson: (upstream, name, lesson) =>
      void lessons
        .keep(lessonKey(upstream, name), JSON.stringify(lesson))
        .catch((err: unknown) => log.warn({ err }, 'could not tell what a refusal taught')),
    log,
  });
  model.describe();
  const worker = new RunWorker({
    slots,
    upstreamOf: ({ run, origin }) => upstreamNameOf(config.upstreams, run.model, origin.backend_id),
    runs,
    objects,
    hub,
    lease,
    model,
    secretsIn: (sealed) => unseal(sealed).variables,
    runTool: toolbox.runTool,
    log,
    now,
    nowMs,
    newId,
    contextTokens: config.contextTokens,
    promptLimitBytes: config.promptLimitBytes,
    room: new Room(givenBytes() * LARGE_PROMPTS_SHARE),
    maxAttempts: config.maxAttempts,
    onAnswer: (project) =>
      void trial
        .prove(project)
        .catch((err: unknown) => log.warn({ err }, 'could not note that a model has answered a key')),
  });
  await Promise.all([queue.ready(), worker.start(), lease.begin()]);
  endOfStart();
  await takeOver(
    { queue, runs, lease, now, log },
    ended.map((before) => workerId(hostname(), before)),
  );
  const consumer = new JobConsumer(RUN_JOBS, {
    redisUrl: config.redisUrl,
    keys,
    log,
    nowMs,
    concurrency: config.workerConcurrency,
    holder: id,
    lockMs: config.lockMs,
    work: (job, goesFirst) => worker.work(job, goesFirst),
    onLaidAside: (job) => slots.laidAside(job),
  });
  await consumer.ready();
  const watch = new QueueWatch({
    next: () => queue.next(),
    hasRoom: () => consumer.hasRoom,
    rebuild: () => consumer.rebuild(),
    log,
  });
  const leave = await announceWorker({ redis, keys, nowMs }, id, () => {
    const figures: WorkerFigures = {
      busy: worker.busy,
      slots: config.workerConcurrency,
      rebuilds: watch.rebuilds,
      stalls: consumer.stalls,
      commits: commits.counts,
      failures: Object.fromEntries([...failures].map(([code, { counts }]) => [code, counts])),
    };
    log.debug(figures, 'figures');
    return figures;
  });
  const stopSweeping = startSweeper({
    runs,
    open,
    now,
    nowMs,
    log,
    holder: id,
    endTrials: () => trial.end(objects),
    endContents: () => store.contents.sweep(),
    endThreads: () => threadIndex.endUnused(objects.threads, config.threadKeptDays),
  });

  stopOnSignal(
    {
      stopTaking: () => consumer.stopTaking(),
      stop: async () => {
        watch.stop();
        await leave();
        await stopSweeping();
        const drainedByMs = performance.now() + config.drainMs;
        while (worker.busy > 0 && performance.now() < drainedByMs) await delay(DRAIN_CHECK_MS);
        worker.handOver();
        await consumer.close();
        worker.stop();
        await lease.end();
        await toolbox.close();
        await store.close();
      },
    },
    config.drainMs + STOP_MARGIN_MS,
    log,
  );
  log.info('worker ready');
}

/**
 * Opens the secrets of a request. A worker that cannot open them must not go on: it would use the operator's own key
 * for a caller's request.
 */
function unsealer(secret: string | undefined): (sealed: string) => Secrets {
  const seal = secret === undefined ? null : new Seal(secret);
  return (sealed) => {
    try {
      if (seal !== null) return seal.open(sealed);
    } catch {
      // Sealed under another secret; the error is thrown below.
    }
    const text =
      "This worker cannot open the secrets of the request: its SECRET is missing, or not the API's.";
    throw new ModelError('server_error', text);
  };
}

const delay = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

main().catch(die);
