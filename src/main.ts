/**
 * `npm start`: the whole service on this machine, in processes of its own: a private Redis unless one is given, the
 * demo model unless a real one is configured, the API and the workers. A composition root. Owns the terminal and the
 * order of starting and stopping; what was started last stops first.
 */
import './node-version.ts';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { childEnvironment, ConfigError, isSet, readConfig, type Config } from './config.ts';
import { CannotStart } from './cannot-start.ts';
import { checkPort, claim } from './local/claim.ts';
import type { JournalEntry } from './local/journal.ts';
import { Part } from './local/part.ts';
import { makePrivate, unwritable } from './local/private.ts';
import { checkGivenRedis, privateRedis } from './local/redis.ts';
import { localSecret } from './local/secret.ts';
import { upstreamProblem, welcome, type Welcome } from './local/welcome.ts';
import { defaultWorkers, Succession } from './local/workers.ts';
import { endOfStart, YOUNG_GENERATION } from './memory.ts';
import { onStop } from './shutdown.ts';

const ROOT = join(import.meta.dirname, '..');
/** Relative to the repository, which becomes the working folder: the path of a socket may have about 100 characters. */
const DATA = '.data';
const LOGS = join(DATA, 'log');
/** Where workers keep the packages of code_interpreter, whose programs run as nobody. */
const CODE_PACKAGES = 'code';
/** Time beyond the drain time, so that a worker can hand its runs over by itself. */
const MARGIN_S = 10;
/** Length of the demo model's key, which no page in a browser may guess. */
const KEY_BYTES = 24;
const NO_MODEL_FOR_KEYS =
  'AUTH is passthrough, which hands the keys of callers to your model server, but none is configured, and the demo model has no keys. Set OPENAI_BASE_URL.';

/** The started parts, which a second signal kills. */
const parts: Part[] = [];

async function main(): Promise<number> {
  process.chdir(ROOT);
  const config = configOfThisMachine();
  const stopping = stopSignal();
  const started = new AsyncDisposableStack();
  try {
    await Promise.race([start(config, started), stopping]);
    await stopping;
    return 0;
  } catch (error) {
    const known = unwritable(error, join(ROOT, DATA));
    say(known instanceof Error ? known.message : String(known));
    return 1;
  } finally {
    if (parts.length > 0) say('stopping.');
    await started.disposeAsync();
    if (parts.length > 0) say('stopped.');
  }
}

/** Makes a SECRET where none is set, so that the service can be tried without one. */
function configOfThisMachine(): Config {
  return isSet('secret') ? readConfig() : readConfig(childEnvironment({ SECRET: localSecret(DATA) }));
}

async function start(config: Config, started: AsyncDisposableStack): Promise<void> {
  await makePrivate(DATA, CODE_PACKAGES);
  started.defer(await claim(join(DATA, 'claim.sock')));
  if (config.port !== 0) await checkPort(config.port, config.host);

  const changes: Record<string, string> = { ...(config.secret !== undefined && { SECRET: config.secret }) };
  if (isSet('redisUrl')) await checkGivenRedis(config.redisUrl);
  else changes['REDIS_URL'] = await startRedis(started);
  const demo = config.upstreams.length === 0 ? await startDemo(config, started) : null;
  Object.assign(changes, demo?.settings);
  // Parts report that they are up at level info. Logs go to files with a size limit.
  if (config.logLevel !== 'debug') changes['LOG_LEVEL'] = 'info';

  const { workers = defaultWorkers() } = config;
  const url = await startService({ ...config, workers }, childEnvironment(changes), started);
  const look =
    demo === null ? await firstLook(config) : { model: demo.model, problem: null, mayAnswer: true };
  const key = KEYS[config.auth];
  const { console } = config;
  process.stdout.write(
    welcome({ url, key, ...look, isDemo: demo !== null, console, workers, logFolder: LOGS }),
  );
  endOfStart();
}

const KEYS = { none: 'none', key: 'API_KEY', passthrough: 'model server' } as const;

/** The demo model in this process, and the settings that lead the service to it. It is loaded only where it answers. */
async function startDemo({ auth }: Config, started: AsyncDisposableStack) {
  if (auth === 'passthrough') throw new Error(NO_MODEL_FOR_KEYS);
  const { startDemoModel } = await import('./model/demo.ts');
  const apiKey = randomBytes(KEY_BYTES).toString('hex');
  const { url, model, stop } = await startDemoModel({ port: 0, host: '127.0.0.1', apiKey });
  started.defer(stop);
  return { model, settings: { OPENAI_BASE_URL: url, OPENAI_API_KEY: apiKey } };
}

/** Whether the first model server answers, and a model for the first request. */
async function firstLook({
  upstreams,
  auth,
}: Config): Promise<Pick<Welcome, 'model' | 'problem' | 'mayAnswer'>> {
  const [upstream] = upstreams;
  if (upstream === undefined) return { model: null, problem: null, mayAnswer: false };
  const { firstModel, probe } = await import('./model/probe.ts');
  const answer = await probe(upstream);
  // Callers bring their own keys, so it is no problem that ours is refused or missing.
  const isTheirs = auth === 'passthrough' && answer.type === 'key refused';
  return {
    model: firstModel(upstream, answer),
    problem: isTheirs ? null : upstreamProblem(upstream, answer),
    // Some working servers have no list of models.
    mayAnswer: isTheirs || ['models', 'unknown', 'no list'].includes(answer.type),
  };
}

/** @returns the address of a private Redis. */
async function startRedis(started: AsyncDisposableStack): Promise<string> {
  const folder = join(DATA, 'redis');
  say(`starting a private Redis; its data is in ${folder}.`);
  const env = childEnvironment({});
  const { part, url } = await privateRedis({ folder, env, logPath: join(LOGS, 'redis.log'), say });
  parts.push(part);
  started.defer(() => part.stop());
  await part.start();
  return url;
}

/** Starts the API and the workers. @returns the API's address. */
async function startService(
  config: Pick<Config, 'drainMs'> & { readonly workers: number },
  env: NodeJS.ProcessEnv,
  started: AsyncDisposableStack,
): Promise<string> {
  let url = '';
  const node = (
    name: string,
    file: string,
    isUp: (entry: JournalEntry) => boolean,
    envOfChild: () => NodeJS.ProcessEnv = () => env,
  ): Part =>
    new Part({
      name,
      command: [process.execPath, ...YOUNG_GENERATION, join(ROOT, 'src', file)],
      env: envOfChild,
      logPath: join(LOGS, `${name.replace(' ', '-')}.log`),
      isUp: (_line, entry) => entry !== null && isUp(entry),
      patienceS: Math.ceil(config.drainMs / 1000) + MARGIN_S,
      say,
    });
  const api = node('api', 'api/main.ts', (entry) => {
    if (entry.msg === 'api listening' && typeof entry['url'] === 'string') url = entry['url'];
    return url !== '' && entry.msg === 'api listening';
  });
  const workers = Array.from({ length: config.workers }, (_, index) => {
    const succession = new Succession();
    const isReady = ({ msg }: JournalEntry): boolean => {
      if (msg !== 'worker ready') return false;
      succession.isUp();
      return true;
    };
    return node(`worker ${index + 1}`, 'worker/main.ts', isReady, () => ({ ...env, ...succession.next() }));
  });
  const service = [api, ...workers];
  parts.push(...service);
  started.defer(async () => {
    await Promise.all(service.map((part) => part.stop()));
  });
  await Promise.all(service.map((part) => part.start()));
  // The address of every interface is for listening, not for calling.
  return url.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:');
}

/** Resolves at the first signal to stop; a second signal ends everything at once. */
function stopSignal(): Promise<void> {
  // The terminal may close before this process ends.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  return new Promise((resolve) => {
    onStop(
      () => resolve(),
      () => {
        for (const part of parts) part.kill();
        process.exit(1);
      },
    );
  });
}

function say(text: string): void {
  process.stderr.write(`longrun: ${text}\n`);
}

try {
  process.exitCode = await main();
} catch (error) {
  const known = unwritable(error, join(ROOT, DATA));
  say(known instanceof ConfigError || known instanceof CannotStart ? known.message : String(error));
  process.exitCode = 1;
}
process.exit();
