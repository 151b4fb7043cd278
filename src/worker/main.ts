/** The worker process: takes runs from the queue and executes them. A composition root. */
import '../node-version.ts';
import { hostname } from 'node:os';
import {
  codeSettings,
  ConfigError,
  readConfig,
  readS3Environment,
  readSuccession,
  readTracing,
  redacted,
  toolSettings,
} from '../config.ts';
import { createLog } from '../log.ts';
import { endOfStart, givenBytes } from '../memory.ts';
import { PRESETS } from '../config/presets.ts';
import { lessonKey } from '../model/facts.ts';
import { OpenAiModel } from '../model/openai.ts';
import { pricesOf, upstreamNameOf } from '../model/upstreams.ts';
import { newId } from '../runs/ids.ts';
import { die, stopOnSignal } from '../shutdown.ts';
import { Freezer } from '../store/freezer.ts';
import { Lease } from '../store/lease.ts';
import { announceFolder } from '../store/folder-hosts.ts';
import { Lessons } from '../store/lessons.ts';
import { LibraryNote } from '../store/library-note.ts';
import { openStore } from '../store/open.ts';
import { announceWorker, workerId, type WorkerFigures } from '../store/presence.ts';
import { JobConsumer, JobQueue } from '../store/queue.ts';
import { readMemory } from '../store/redis-memory.ts';
import { QueueWatch } from '../store/queue-watch.ts';
import { RUN_JOBS } from '../store/run-jobs.ts';
import { ToolCache } from '../store/tool-cache.ts';
import { TraceNotes } from '../store/traces.ts';
import { Trial } from '../store/trial.ts';
import { INDEX_JOBS } from '../store/index-jobs.ts';
import { Shelving } from '../store/shelving.ts';
import { describeFile } from '../store/describe-file.ts';
import { Superseded } from '../library/library.ts';
import { openColdRows, openLibrary } from '../library/open.ts';
import { LibraryShelf } from '../library/shelf.ts';
import { embedderOf } from '../model/embeddings.ts';
import { withCodeFiles } from '../runs/hosted.ts';
import { removeFolder } from '../sandbox/files.ts';
import { openSandbox } from '../sandbox/open.ts';
import { NoSandbox } from '../sandbox/sandbox.ts';
import { vaultKey } from '../vault/vault.ts';
import { openCollector } from '../otel/open.ts';
import { openToolbox } from '../toolbox/open.ts';
import { ColdCare } from './cold.ts';
import { documentChunks } from './document-chunks.ts';
import { keepCodeFile } from './code-files.ts';
import { fileSearchEngine } from './file-search.ts';
import { CodeInterpreter } from './code-interpreter.ts';
import { hostedTools } from './hosted.ts';
import { Indexer } from './indexer.ts';
import { LibraryCare } from './library-care.ts';
import { lookAfterShelves } from './shelves.ts';
import { isFolder, openVault } from '../vault/open.ts';
import { FileCare } from './files.ts';
import { mcpReports, OwnFigures } from './own-figures.ts';
import { tidyFolders } from './own-folders.ts';
import { Pictures } from './pictures.ts';
import { RunTraces } from './run-traces.ts';
import { Room } from './room.ts';
import { RunWorker } from './run-job.ts';
import { unsealer } from './secrets.ts';
import { Slots } from './slots.ts';
import { startSweeper } from './sweeper.ts';
import { takeOver } from './take-over.ts';

/** Time beyond the drain time, for handing over and closing connections. */
const STOP_MARGIN_MS = 10_000;
/** Share of the memory: a prompt exists as text, as objects, as text again and on its way to the model server. */
const LARGE_PROMPTS_SHARE = 1 / 8;
const DRAIN_CHECK_MS = 50;
/** Of the runs that a worker executes, in its reports. */
const MAX_REPORTED_RUNS = 200;

/** Files under way are given back by then. */
const INDEXING_CLOSES_MS = 1_000;

async function main(): Promise<void> {
  const config = readConfig();
  const { name, ended } = readSuccession();
  const id = workerId(hostname(), name);
  const log = createLog(config, 'worker').child({ worker: id });
  log.info({ config: redacted(config) }, 'starting');
  const tracing = readTracing();
  for (const note of [...config.notes, ...tracing.notes]) log.warn(note);
  const collector = await openCollector(tracing.settings, { kind: 'worker', instance: id }, log);

  const own = new OwnFigures();
  const { measures } = own;
  const coldRows = openColdRows(config.libraryUrl);
  const store = await openStore({
    ...config,
    whenAway: 'wait',
    coldRows,
    log,
    ...own.observer,
    pricesOf: (model, backend) => pricesOf(config.upstreams, model, backend),
    onTransition: (transition) => {
      own.observer.onTransition?.(transition);
      traces.heard(transition);
    },
    tracing: collector,
  });
  if (store.problems.length > 0) throw new ConfigError(store.problems);
  const { redis, keys, hub, queue, open, threadIndex, runs, objects } = store;
  const { now, nowMs } = store.clock;
  const { traceKeptS: keptS } = config;
  const notes = keptS === 0 ? null : new TraceNotes({ redis, keys, log, keptS });
  const traces = new RunTraces({ worker: id, nowMs, notes, collector });
  const unseal = unsealer(config.secret);
  const isOwnFolder = isFolder(config.filesUrl) && !config.filesShared;
  const leaveFolder = isOwnFolder ? await announceFolder({ redis, keys, nowMs }, hostname()) : null;
  const vault = await openVault(config.filesUrl, readS3Environment(), log);
  const toolbox = await openToolbox({
    ...toolSettings(config),
    cache: new ToolCache(redis, keys),
    log,
    now,
  });
  const library = await openLibrary(config.libraryUrl);
  const indexQueue = new JobQueue(INDEX_JOBS, { redis, keys, log, nowMs });
  const { files, storeFiles, vectorStores: stores } = objects;
  const shelving = new Shelving({ stores, storeFiles, queue: indexQueue, redis, keys, now });
  const libraryNote = new LibraryNote(redis, keys);
  const embedder = embedderOf(config, log);
  const shelf = new LibraryShelf({ library, embedder, describe: (ref) => describeFile(objects, ref), log });
  const indexer = new Indexer({
    storeFiles,
    storeExists: (job) => stores.exists(job),
    file: (project, fileId) => files.get(project, fileId),
    chunks: (project, file, sizes, signal) =>
      documentChunks(
        { bytes: (owner, fileId) => vault.get(vaultKey(owner, fileId)), read: toolbox.readDocument },
        project,
        file,
        sizes,
        signal,
      ),
    write: ({ project, storeId, fileId }, { attributes }, space) =>
      library.write({ project, storeId, fileId, attributes, space }),
    isOvertaken: (error) => error instanceof Superseded,
    remove: (job) => library.removeFile(job),
    takeOut: (job) => shelving.takeOut(job, job.stamp),
    onKept: async () => libraryNote.begin(await library.name()),
    tidy: () => library.tidy(),
    embedder,
    log,
  });
  await tidyFolders(removeFolder, log);
  const sandbox = openSandbox({ ...codeSettings(config), log });
  const codeInterpreter = new CodeInterpreter({
    open: (options) => sandbox.open(options),
    refusal: (error) => (error instanceof NoSandbox ? error.message : null),
    read: async (project, fileId) => {
      const file = await files.get(project, fileId);
      const chunks = file && (await vault.get(vaultKey(project, fileId)));
      return file && chunks && { file, chunks };
    },
    keep: async (...file) => keepCodeFile({ vault, files, now, ...config }, ...file),
    remove: removeFolder,
    give: async (project, threadId, fileIds) => {
      await objects.threads.update({ project, threadId }, (thread) => ({
        ...thread,
        tool_resources: withCodeFiles(thread.tool_resources, fileIds),
      }));
    },
    log,
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
    measures,
    traces,
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
    runRemote: async ({ server, tool, written, asked, sealed }, signal) => {
      const target = unseal(sealed).servers[server];
      if (target === undefined) throw new Error(`the request has no server '${server}'`);
      return toolbox.remoteServers.run(target, tool, { written, asked }, signal);
    },
    hosted: hostedTools(
      fileSearchEngine({
        store: (project, storeId) => stores.get(project, storeId),
        search: (wanted, signal) => shelf.search(wanted, signal),
        touch: (project, storeIds) => stores.touch(project, storeIds),
        log,
      }),
      codeInterpreter,
    ),
    measures,
    traces,
    log,
    now,
    nowMs,
    newId,
    contextTokens: config.contextTokens,
    promptLimitBytes: config.promptLimitBytes,
    pictures: new Pictures(objects.files, vault),
    room: new Room(givenBytes() * LARGE_PROMPTS_SHARE),
    maxAttempts: config.maxAttempts,
    onAnswer: (project) =>
      void trial
        .prove(project)
        .catch((err: unknown) => log.warn({ err }, 'could not note that a model has answered a key')),
  });
  await Promise.all([queue.ready(), indexQueue.ready(), worker.start(), lease.begin()]);
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
    work: (job, goesFirst, addedMs) => worker.work(job, goesFirst, addedMs),
    onLaidAside: (job) => slots.laidAside(job),
    tracing: collector,
  });
  const indexing =
    config.indexConcurrency === 0
      ? null
      : new JobConsumer(INDEX_JOBS, {
          redisUrl: config.redisUrl,
          keys,
          log,
          nowMs,
          concurrency: config.indexConcurrency,
          holder: id,
          lockMs: config.lockMs,
          work: (job) => indexer.work(job),
        });
  await Promise.all([consumer.ready(), indexing?.ready()]);
  const watch = new QueueWatch({
    next: () => queue.next(),
    hasRoom: () => consumer.hasRoom,
    rebuild: () => consumer.rebuild(),
    log,
  });
  const indexWatch =
    indexing &&
    new QueueWatch({
      next: () => indexQueue.next(),
      hasRoom: () => indexing.hasRoom,
      rebuild: () => indexing.rebuild(),
      log,
    });
  const sinceMs = nowMs();
  const leave = await announceWorker({ redis, keys, nowMs }, id, () => {
    const figures: WorkerFigures = {
      busy: worker.busy,
      slots: config.workerConcurrency,
      rebuilds: watch.rebuilds,
      stalls: consumer.stalls,
      cold: store.cold.counts,
      skewMs: store.clock.skewMs,
      sinceMs,
      saidMs: nowMs(),
      running: worker.running(MAX_REPORTED_RUNS),
      mcp: mcpReports(toolbox.plugins),
      ...own.counts,
    };
    log.debug(figures, 'figures');
    return figures;
  });
  const fileCare = new FileCare({
    ...objects,
    vault,
    nowMs,
    log,
    onEnded: async ({ project, id: fileId }) => {
      if (await shelving.takeOutEverywhere(project, fileId))
        await library.removeFileEverywhere(project, fileId);
    },
  });
  const libraryCare = new LibraryCare({
    library,
    note: libraryNote,
    stores,
    storeFiles,
    shelving,
    space: embedder?.space ?? null,
    waiting: async () => (await indexQueue.backlog()).waiting,
    nowMs,
    log,
  });
  const coldCare = new ColdCare({
    freezer: new Freezer({ ...store, rows: coldRows, nowMs, log }),
    afterH: config.threadColdAfterH,
    aboveMb: config.threadColdAboveMb,
    usedBytes: async () => (await readMemory(redis)).usedBytes,
    log,
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
    careForFiles: () => {
      fileCare.begin();
      libraryCare.begin();
    },
    careForCold: () => coldCare.begin(),
    careForShelves: () =>
      lookAfterShelves({
        stores,
        storeFiles,
        shelving,
        emptied: (ref) => library.removeStore(ref),
        nowMs,
        log,
      }),
  });

  stopOnSignal(
    {
      stopTaking: async () => {
        await Promise.all([consumer.stopTaking(), indexing?.stopTaking()]);
      },
      stop: async () => {
        watch.stop();
        indexWatch?.stop();
        await leave();
        await stopSweeping();
        await Promise.all([fileCare.stop(), libraryCare.stop(), coldCare.stop()]);
        const drainedByMs = performance.now() + config.drainMs;
        while (worker.busy > 0 && performance.now() < drainedByMs) await delay(DRAIN_CHECK_MS);
        worker.handOver();
        indexer.handOver();
        // The consumer of files has nothing to finish, and may wait for a server that was lost.
        await Promise.all([consumer.close(), Promise.race([indexing?.close(), delay(INDEXING_CLOSES_MS)])]);
        worker.stop();
        await Promise.all([lease.end(), notes?.close(), collector?.close()]);
        await toolbox.close();
        await sandbox.close();
        await library.close();
        await coldRows.close();
        await indexQueue.close();
        await leaveFolder?.();
        await store.close();
      },
    },
    config.drainMs + STOP_MARGIN_MS,
    log,
  );
  log.info('worker ready');
}

const delay = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

main().catch(die);
