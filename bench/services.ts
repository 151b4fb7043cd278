/** The service as `npm start` runs it, from a copy of this checkout or of another commit, with data of its own. */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { run, startCommand, treeOf, type Command, type Process } from './processes.ts';

const ROOT = join(import.meta.dirname, '..');
/** Copies lie here; git ignores it. Their paths must be short, because Redis listens on a socket in them. */
export const COPIES = join(ROOT, '.data', 'bench');
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
  const command = startCommand([process.execPath, 'setup/run.mjs', 'start'], copy.folder, env);
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

/** Resolves when `url` answers. @throws when `command` ends before, or takes too long. */
export async function ready(url: string, command: Command, what: string): Promise<void> {
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

/** A port that nobody listens on just now. */
export async function freePort(): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const server = createServer();
  server.listen(0, '127.0.0.1', () => {
    const address = server.address();
    server.close(() => resolve(address === null || typeof address === 'string' ? 0 : address.port));
  });
  return await promise;
}
