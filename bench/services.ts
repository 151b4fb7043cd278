/**
 * The service as `npm start` runs it, from a copy of this checkout or of another commit, with data of its own. Also the
 * other gateways that are installed on this machine.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { run, startCommand, treeOf, type Command, type Process } from './processes.ts';

const ROOT = join(import.meta.dirname, '..');
/** Copies lie here; git ignores it. Their paths must be short, because Redis listens on a socket in them. */
const COPIES = join(ROOT, '.data', 'bench');
const READY_WITHIN_MS = 90_000;
const LOOK_EVERY_MS = 100;

/** A checkout that the service can be started from. */
export interface Copy {
  readonly name: string;
  readonly commit: string;
  readonly folder: string;
}

const git = (...args: readonly string[]): string =>
  execFileSync('git', ['-C', ROOT, ...args], { encoding: 'utf8' }).trim();

/** The files of this checkout as they are now, committed or not. */
export function copyOfThis(): Copy {
  const folder = emptied('this');
  const files = git(
    'ls-files',
    '-co',
    '--exclude-standard',
    '-z',
    'src',
    'setup',
    'package.json',
    'package-lock.json',
  )
    .split('\0')
    .filter((file) => file !== '' && existsSync(join(ROOT, file)));
  for (const file of files) cpSync(join(ROOT, file), join(folder, file));
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  const isChanged = git('status', '--porcelain', 'src', 'package.json') !== '';
  return {
    name: 'this',
    commit: git('rev-parse', '--short', 'HEAD') + (isChanged ? ' and changes' : ''),
    folder,
  };
}

/** The files of a commit, with its own packages. @throws when there is no such commit. */
export async function copyOf(revision: string): Promise<Copy> {
  const commit = git('rev-parse', '--short', `${revision}^{commit}`);
  const folder = emptied('before');
  const archive = join(folder, 'files.tar');
  git('archive', '-o', archive, commit, 'src', 'setup', 'package.json', 'package-lock.json');
  await run(['tar', '-xf', archive, '-C', folder], folder);
  const lock = (place: string): string => readFileSync(join(place, 'package-lock.json'), 'utf8');
  if (lock(folder) === lock(ROOT)) symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  else await run(['npm', 'ci', '--omit=dev', '--no-audit', '--no-fund'], folder);
  return { name: 'before', commit, folder };
}

function emptied(name: string): string {
  const folder = join(COPIES, name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** A service that answers. */
export interface Service {
  readonly copy: Copy;
  /** Everything before the paths of the API. */
  readonly base: string;
  readonly processes: readonly Process[];
  readonly redis: Redis;
  readonly stop: () => Promise<void>;
}

/**
 * Starts all its processes and waits until it is ready.
 * @param settings environment variables beside the defaults
 */
export async function startService(
  copy: Copy,
  upstream: string,
  settings: Readonly<Record<string, string>> = {},
): Promise<Service> {
  rmSync(join(copy.folder, '.data'), { recursive: true, force: true });
  const port = await freePort();
  const { PATH, HOME } = process.env;
  const env = {
    PATH,
    HOME,
    PORT: String(port),
    OPENAI_BASE_URL: upstream,
    OPENAI_API_KEY: 'bench',
    ...settings,
  };
  const command = startCommand([process.execPath, 'src/main.ts'], copy.folder, env);
  const base = `http://127.0.0.1:${port}`;
  await ready(`${base}/ready`, command, `the service of ${copy.commit}`);
  const redis = new Redis({ path: join(copy.folder, '.data', 'redis', 'redis.sock') });
  return {
    copy,
    base: `${base}/v1`,
    processes: treeOf(command.pid),
    redis,
    stop: async () => {
      redis.disconnect();
      await command.stop();
    },
  };
}

/** Another gateway in front of the same model server. */
export interface Peer {
  readonly name: string;
  readonly base: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly stop: () => Promise<void>;
}

/** The peers that this machine has; `missing` says why others are left out. */
export async function startPeers(upstream: string, missing: (why: string) => void): Promise<readonly Peer[]> {
  const peers: Peer[] = [];
  for (const [name, start] of [
    ['LiteLLM', litellm],
    ['Portkey', portkey],
  ] as const) {
    try {
      peers.push(await start(upstream));
    } catch (error) {
      missing(`${name} is left out: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return peers;
}

async function litellm(upstream: string): Promise<Peer> {
  const program = process.env['BENCH_LITELLM'] ?? onPath('litellm');
  if (program === null) throw new Error('there is no litellm on PATH, and BENCH_LITELLM names none.');
  const port = await freePort();
  const env = {
    ...process.env,
    OPENAI_API_KEY: 'bench',
    OPENAI_API_BASE: upstream,
    LITELLM_LOG: 'ERROR',
    LITELLM_LOCAL_MODEL_COST_MAP: 'True',
  };
  const args = ['--model', 'openai/*', '--host', '127.0.0.1', '--port', String(port), '--telemetry', 'False'];
  const command = startCommand([program, ...args], COPIES, env);
  await ready(`http://127.0.0.1:${port}/health/liveliness`, command, 'LiteLLM');
  return { name: 'LiteLLM', base: `http://127.0.0.1:${port}/v1`, stop: command.stop };
}

async function portkey(upstream: string): Promise<Peer> {
  const program = process.env['BENCH_PORTKEY'];
  if (program === undefined) throw new Error('BENCH_PORTKEY does not name its start-server.js.');
  const port = await freePort();
  const command = startCommand(
    [process.execPath, program, `--port=${port}`, '--headless'],
    COPIES,
    process.env,
  );
  await ready(`http://127.0.0.1:${port}/`, command, 'Portkey');
  const headers = { 'x-portkey-provider': 'openai', 'x-portkey-custom-host': upstream };
  return { name: 'Portkey', base: `http://127.0.0.1:${port}/v1`, headers, stop: command.stop };
}

function onPath(name: string): string | null {
  const folders = (process.env['PATH'] ?? '').split(':');
  return folders.map((folder) => join(folder, name)).find((file) => existsSync(file)) ?? null;
}

async function ready(url: string, command: Command, what: string): Promise<void> {
  const endMs = performance.now() + READY_WITHIN_MS;
  while (performance.now() < endMs) {
    if (command.isOver()) throw new Error(`${what} ended before it was ready.`);
    const isUp = await fetch(url).then(
      async (response) => {
        await response.arrayBuffer();
        return response.ok;
      },
      () => false,
    );
    if (isUp) return;
    await sleep(LOOK_EVERY_MS);
  }
  await command.stop();
  throw new Error(`${what} was not ready after ${READY_WITHIN_MS / 1_000} s.`);
}

async function freePort(): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const server = createServer();
  server.listen(0, '127.0.0.1', () => {
    const address = server.address();
    server.close(() => resolve(address === null || typeof address === 'string' ? 0 : address.port));
  });
  return await promise;
}
