/** The API process: answers clients. A composition root. */
import '../node-version.ts';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import {
  ConfigError,
  readConfig,
  readS3Environment,
  readTracing,
  redacted,
  toolSettings,
} from '../config.ts';
import { isLoopback } from '../config/web.ts';
import { createLog } from '../log.ts';
import { endOfStart, givenBytes } from '../memory.ts';
import { Tally } from '../metrics.ts';
import { PRESETS } from '../config/presets.ts';
import { CallersModels } from '../model/callers-models.ts';
import { ModelCatalog } from '../model/catalog.ts';
import { hasPrices, pricesOf } from '../model/upstreams.ts';
import { Forwarder } from '../model/forward.ts';
import { Facts } from '../model/facts.ts';
import { cannotListen } from '../port.ts';
import { newId, randomText } from '../runs/ids.ts';
import { Seal } from '../seal.ts';
import { die, stopOnSignal } from '../shutdown.ts';
import { ApiReports } from '../store/api-reports.ts';
import { Echo } from '../store/echo.ts';
import { IdempotencyRecords } from '../store/idempotency-records.ts';
import { announceFolder } from '../store/folder-hosts.ts';
import { Lessons } from '../store/lessons.ts';
import { LibraryNote } from '../store/library-note.ts';
import { Listeners } from '../store/listeners.ts';
import { Imports } from '../store/imports.ts';
import { openStore } from '../store/open.ts';
import { countWorkers, readWorkers } from '../store/presence.ts';
import { readMemory } from '../store/redis-memory.ts';
import { Approvals } from '../store/approvals.ts';
import { PhotoWait } from '../store/photo-wait.ts';
import { ToolCache } from '../store/tool-cache.ts';
import { Trial } from '../store/trial.ts';
import { WriteProbe } from '../store/write-probe.ts';
import { INDEX_JOBS } from '../store/index-jobs.ts';
import { JobQueue } from '../store/queue.ts';
import { Shelving } from '../store/shelving.ts';
import { describeFile } from '../store/describe-file.ts';
import { openColdRows, openLibrary } from '../library/open.ts';
import { LibraryShelf } from '../library/shelf.ts';
import { embedderOf } from '../model/embeddings.ts';
import { openCollector } from '../otel/open.ts';
import { openToolbox } from '../toolbox/open.ts';
import { isFolder, openVault } from '../vault/open.ts';
import { samplerOptions } from './admin/read.ts';
import { Sampler } from './admin/sampler.ts';
import { createApp } from './app.ts';
import { largestFileBody } from './files/endpoints.ts';
import { pictureFaultOf } from './files/picture-fault.ts';
import { authMode } from './http/auth.ts';
import { Figures } from './ops/figures.ts';
import { HeldBytes } from './http/held.ts';
import { Admission } from '../turns/admission.ts';
import { createApiServer, LISTEN_BACKLOG } from './http/server.ts';
import { Sockets } from './http/web-socket.ts';
import type { Readiness } from './http/services.ts';

/** Time beyond the drain time that open requests and streams get when the process is told to stop. */
const STOP_MARGIN_MS = 10_000;
const DRAIN_CHECK_MS = 50;
/** Chats that are cut off then cancel their runs, which needs the connections that are closed next. */
const SETTLE_MS = 200;

/** Share of the memory: a body exists as bytes, as text, as JSON, and once more on its way to Redis. */
const BODIES_SHARE = 1 / 8;
/** Share of the memory: while an answer is made, it also exists as objects and as text, and a stream holds its run. */
const ANSWERS_SHARE = 1 / 8;

async function main(): Promise<void> {
  const config = readConfig();
  const log = createLog(config, 'api');
  log.info({ config: redacted(config) }, 'starting');
  const tracing = readTracing();
  for (const note of [...config.notes, ...tracing.notes]) log.warn(note);
  const instance = `${hostname()}/${process.pid}`;
  const collector = await openCollector(tracing.settings, { kind: 'api', instance }, log);

  const commits = new Tally();
  const coldRows = openColdRows(config.libraryUrl);
  const store = await openStore({
    ...config,
    whenAway: 'fail',
    coldRows,
    log,
    count: (what) => commits.add(what),
    pricesOf: (model, backend) => pricesOf(config.upstreams, model, backend),
    tracing: collector,
  });
  if (store.problems.length > 0) throw new ConfigError(store.problems);
  const { redis, keys, hub, queue, open, threadIndex, runs, objects, usage } = store;
  const { now, nowMs } = store.clock;
  const presence = { redis, keys, nowMs };
  const admission = new Admission(config, {
    backlog: () => queue.backlog(),
    openRuns: () => open.countByProject(),
  });
  const libraryNote = new LibraryNote(redis, keys);
  const answers = new HeldBytes(config.answersLimitBytes ?? givenBytes() * ANSWERS_SHARE);
  const bodiesLimitBytes = config.bodiesLimitBytes ?? givenBytes() * BODIES_SHARE;
  const sockets = new Sockets({
    messageLimitBytes: config.bodyLimitBytes,
    messagesLimitBytes: bodiesLimitBytes,
    answers,
    heartbeatMs: config.heartbeatMs,
  });
  const sources = {
    memory: () => readMemory(redis),
    library: () => libraryNote.figures(),
    threads: async () => {
      const [all, cold] = await Promise.all([threadIndex.count(), threadIndex.countCold()]);
      return { all, cold };
    },
  };
  const figures = new Figures({
    admission,
    sockets,
    commits,
    workers: () => readWorkers(presence),
    ...sources,
    coldCounts: store.cold.counts,
    skewMs: () => store.clock.skewMs,
  });
  const echo = new Echo({ redis, keys, hub });
  await Promise.all([figures.begin(), echo.begin(figures.eventDelay)]);
  const name = randomText(8);
  const reports = new ApiReports(presence, name);
  const sampler = new Sampler(
    samplerOptions({ ...sources, ...store, name, reports, figures, admission, sockets, nowMs }),
  );
  const lessons = new Lessons(redis, keys);
  const facts = new Facts({ families: PRESETS, lessons: () => lessons.all() });
  const catalog = new ModelCatalog({ upstreams: config.upstreams, facts, log });
  const callersModels = new CallersModels({ upstreams: config.upstreams, facts, log });
  const probe = new WriteProbe(redis, keys);
  const readiness = async (): Promise<Readiness> => {
    const { skewMs } = store.clock;
    try {
      const [workers, refusal] = await Promise.all([countWorkers(presence), probe.refusal()]);
      return { redis: true, refusal, workers, skewMs };
    } catch {
      // The connection has reported its loss in the log already.
      return { redis: false, refusal: null, workers: 0, skewMs };
    }
  };
  const isOwnFolder = isFolder(config.filesUrl) && !config.filesShared;
  const leaveFolder = isOwnFolder ? await announceFolder({ redis, keys, nowMs }, hostname()) : null;
  const vault = await openVault(config.filesUrl, readS3Environment(), log);
  const toolbox = await openToolbox({
    ...toolSettings(config),
    cache: new ToolCache(redis, keys),
    log,
    now,
  });
  const limits = {
    idleMs: config.upstreamIdleMs,
    stallMs: config.upstreamStallMs,
    thinkMs: config.upstreamThinkMs,
    totalMs: config.upstreamTotalMs,
  };
  const forwarding = new Forwarder({ upstreams: config.upstreams, limits });
  const { speechUpstream, speechModel } = config;
  const speaking = speechUpstream === null ? null : new Forwarder({ upstreams: [speechUpstream], limits });
  const library = await openLibrary(config.libraryUrl);
  const indexQueue = new JobQueue(INDEX_JOBS, { redis, keys, log, nowMs });
  const shelving = new Shelving({
    stores: objects.vectorStores,
    storeFiles: objects.storeFiles,
    queue: indexQueue,
    redis,
    keys,
    now,
  });
  const embedder = embedderOf(config, log);
  const shelf = new LibraryShelf({ library, embedder, describe: (ref) => describeFile(objects, ref), log });
  const stopping = new Set<() => void>();
  const app = createApp(
    {
      shelving,
      shelf,
      runs,
      objects,
      hub,
      answers: new IdempotencyRecords(redis, keys, nowMs),
      trial: new Trial(redis, keys, nowMs),
      imports: new Imports(store, objects.assistants),
      usage,
      plugins: toolbox.plugins,
      pictureFault: (project, fileId) => pictureFaultOf(objects.files, vault, project, fileId),
      runTool: toolbox.runTool,
      listRemote: (project, server, signal) => toolbox.remoteServers.list(project, server, signal),
      photos: new PhotoWait(redis, keys),
      approvals: new Approvals(redis, keys),
      listeners: new Listeners(redis, keys, config.runExpiresAfterS * 1000),
      seal: config.secret === undefined ? null : new Seal(config.secret),
      models: ({ key, upstreamKey }) =>
        upstreamKey === null ? catalog.list() : callersModels.list(key, upstreamKey),
      knowsModel: (name) => catalog.knows(name),
      forwarding,
      // A caller's own key is one of the model servers, and nobody else's business.
      speechServer: (callersKey) =>
        speaking === null ? forwarding.to(speechModel, callersKey) : speaking.to(speechModel, null),
      readiness,
      money: {
        isKnown: hasPrices(config.upstreams),
        currency: config.currency,
        pricesOf: (model, backend) => pricesOf(config.upstreams, model, backend),
      },
      admission,
      figures,
      now,
      nowMs,
      settings: { ...config, pollGraceMs: config.calmAfterSubmitMs },
    },
    {
      log,
      auth: authMode(config.auth, config),
      corsOrigins: config.corsOrigins,
      allowedHosts: config.allowedHosts,
      loopbackOnly: isLoopback(config.host),
      trustProxy: config.trustProxy,
      bodyLimitBytes: config.bodyLimitBytes,
      uploadLimitBytes: config.uploadLimitBytes,
      files: { ...config, vault },
      bodiesLimitBytes,
      devicePaths: config.devicePaths,
      chat: { ...config, voiceApology: config.voiceApology ?? config.apology },
      strictParameters: config.strictParameters,
      console: config.console,
      heartbeatMs: config.heartbeatMs,
      answers,
      sockets,
      admin: {
        auth: config.auth,
        sampler,
        news: store.news,
        onStop: (end) => {
          stopping.add(end);
          return () => stopping.delete(end);
        },
        details: { open, settings: config },
      },
      collector,
    },
  );
  await Promise.all([queue.ready(), indexQueue.ready(), objects.assistants.remember(hub)]);
  endOfStart();

  const server = createApiServer(app, {
    ...config,
    bodyLimitBytes: Math.max(config.bodyLimitBytes, config.uploadLimitBytes, largestFileBody(config)),
    log,
    newId,
  });
  server.listen({ port: config.port, host: config.host, backlog: LISTEN_BACKLOG });
  await new Promise<void>((resolve, reject) => {
    server.once('listening', resolve);
    server.once('error', (error) => reject(cannotListen(error, config.port, config.host, 'npm run api')));
  });
  const closed = new Promise((resolve) => server.once('close', resolve));
  stopOnSignal(
    {
      stopTaking: () => {
        server.close();
        server.closeIdleConnections();
        sockets.drain();
        for (const end of stopping) end();
      },
      stop: async () => {
        // A connection whose last answer is over would be kept open for the next request, and would prolong the drain.
        const look = setInterval(() => server.closeIdleConnections(), DRAIN_CHECK_MS);
        await Promise.race([closed, delay(config.drainMs)]);
        clearInterval(look);
        server.closeAllConnections();
        sockets.close();
        await delay(SETTLE_MS);
        await toolbox.close();
        admission.close();
        echo.close();
        sampler.close();
        await reports.leave();
        await library.close();
        await coldRows.close();
        await indexQueue.close();
        await leaveFolder?.();
        await collector?.close();
        await store.close();
      },
    },
    config.drainMs + STOP_MARGIN_MS,
    log,
  );
  const address = server.address();
  // With port 0, the system has chosen a port.
  const port = typeof address === 'object' && address !== null ? address.port : config.port;
  const host = config.host.includes(':') ? `[${config.host}]` : config.host;
  log.info({ url: `http://${host}:${port}` }, 'api listening');
}

main().catch(die);
