/** The API process: answers clients. A composition root. */
import { createServer } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { ConfigError, readConfig, redacted, toolSettings } from '../config.ts';
import { createLog } from '../log.ts';
import { ModelCatalog } from '../model/catalog.ts';
import { newId, unixSeconds } from '../runs/ids.ts';
import { Seal } from '../seal.ts';
import { die, stopOnSignal } from '../shutdown.ts';
import { Answers } from '../store/answers.ts';
import { Audience } from '../store/audience.ts';
import { examine } from '../store/check.ts';
import { Replicas } from '../store/confirm.ts';
import { LogHub } from '../store/follow.ts';
import { Keys } from '../store/keys.ts';
import { ObjectStore } from '../store/objects.ts';
import { OpenRuns } from '../store/open-runs.ts';
import { countWorkers, readWorkers } from '../store/presence.ts';
import { RunQueue } from '../store/queue.ts';
import { openFeed, openState } from '../store/redis.ts';
import { PhotoRelay } from '../store/relay.ts';
import { RunStore } from '../store/runs.ts';
import { ToolAnswers } from '../store/tool-answers.ts';
import { openToolbox } from '../toolbox/open.ts';
import { createApp } from './app.ts';
import { Figures } from './figures.ts';
import { Pressure } from './pressure.ts';

/** Beyond the time that open requests and streams are given when the process is told to stop. */
const STOP_MARGIN_MS = 10_000;
/** Chats that are cut off after that cancel their runs, which needs the connections that are closed next. */
const SETTLE_MS = 200;

const KEEP_ALIVE_MS = 65_000;

async function main(): Promise<void> {
  const config = readConfig();
  const log = createLog(config, 'api');
  log.info({ config: redacted(config) }, 'starting');

  const redis = await openState(config.redisUrl, 'fail', log);
  const { problems, warnings } = await examine(redis);
  for (const warning of warnings) log.warn(warning);
  if (problems.length > 0) throw new ConfigError(problems);
  const keys = new Keys(config.redisPrefix);
  const hub = new LogHub(redis, openFeed(config.redisUrl, log), keys, log);
  const queue = new RunQueue(config.redisUrl, keys, log);
  const open = new OpenRuns(redis, keys);
  const pressure = new Pressure(config, () => queue.backlog());
  const figures = new Figures(pressure, () => readWorkers(redis, keys));
  const replicas = config.durability === 'replica' ? new Replicas(config.redisUrl, keys) : null;
  const runs = new RunStore({
    redis,
    keys,
    queue,
    open,
    log,
    now: unixSeconds,
    logKeptS: config.logKeptS,
    count: (what) => figures.commits.add(what),
    confirm: replicas === null ? null : async (ref) => replicas.confirm(ref),
  });
  const catalog = new ModelCatalog({ upstreams: config.upstreams, log });
  const readiness = async (): Promise<{ redis: boolean; workers: number }> => {
    try {
      return { redis: true, workers: await countWorkers(redis, keys) };
    } catch {
      // The connection has reported its loss in the log already.
      return { redis: false, workers: 0 };
    }
  };
  const toolbox = await openToolbox({
    ...toolSettings(config),
    cache: new ToolAnswers(redis, keys),
    log,
    now: unixSeconds,
  });
  const app = createApp(
    {
      runs,
      objects: new ObjectStore(redis, keys),
      hub,
      answers: new Answers(redis, keys),
      plugins: toolbox.plugins,
      runTool: toolbox.runTool,
      photos: new PhotoRelay(redis, keys),
      audience: new Audience(redis, keys, config.runExpiresAfterS * 1000),
      seal: config.secret === undefined ? null : new Seal(config.secret),
      models: () => catalog.list(),
      readiness,
      pressure,
      figures,
      now: unixSeconds,
      newId,
      settings: config,
    },
    {
      log,
      auth: config.auth === 'key' ? { type: 'key', key: config.apiKey ?? '' } : { type: config.auth },
      corsOrigins: config.corsOrigins,
      bodyLimitBytes: config.bodyLimitBytes,
      devicePaths: config.devicePaths,
      chat: config,
      strictParameters: config.strictParameters,
      heartbeatMs: config.heartbeatMs,
    },
  );
  await queue.ready();

  const server = createServer(app);
  // Longer than clients keep idle connections, or they write into one that is just being closed.
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.listen(config.port, config.host);
  await new Promise<void>((resolve, reject) => {
    server.once('listening', resolve);
    server.once('error', reject);
  });
  const closed = new Promise((resolve) => server.once('close', resolve));
  stopOnSignal(
    {
      stopTaking: () => {
        server.close();
        server.closeIdleConnections();
      },
      stop: async () => {
        await Promise.race([closed, delay(config.drainMs)]);
        server.closeAllConnections();
        await delay(SETTLE_MS);
        await toolbox.close();
        pressure.close();
        await queue.close();
        hub.close();
        replicas?.close();
        redis.disconnect();
      },
    },
    config.drainMs + STOP_MARGIN_MS,
    log,
  );
  const address = server.address();
  // With port 0 the system has chosen one.
  const port = typeof address === 'object' && address !== null ? address.port : config.port;
  const host = config.host.includes(':') ? `[${config.host}]` : config.host;
  log.info({ url: `http://${host}:${port}` }, 'api listening');
}

main().catch(die);
