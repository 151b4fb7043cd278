/**
 * A `redis-server` child on a free port of the loopback interface. Owns the process and its folder; writes nothing to
 * disk unless told to.
 */
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, rmdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';

export interface RedisProcess {
  readonly port: number;
  /** Ends the server and deletes what it wrote. */
  readonly stop: () => Promise<void>;
  /** Ends it without warning, as a power cut does; its files stay on disk until {@link stop}. */
  readonly crash: () => Promise<void>;
  /** Starts it again after a crash, at the same address, with what is on disk. */
  readonly restart: () => Promise<void>;
  /** From now on nothing can be saved, and so writes are refused (MISCONF), as with a full disk. */
  readonly fillDisk: () => Promise<void>;
  /** Undoes {@link fillDisk}. */
  readonly emptyDisk: () => Promise<void>;
  /** Stops the server for that long. */
  readonly freeze: (ms: number) => Promise<void>;
}

/** The limit for a server that hangs. */
const START_MS = 60_000;
/** Another process may take the free port before Redis starts. */
const PORT_TRIES = 5;
const SNAPSHOT = 'dump.rdb';
/** Between two looks at a snapshot that is being written. */
const SNAPSHOT_MS = 50;

/**
 * Starts a server. @param settings as in redis.conf, by name
 * @param mode a Sentinel is another mode of the same program, which keeps its settings in the file it is given
 * @throws when `redis-server` is not installed or does not come up.
 */
export async function startServer(
  settings: Readonly<Record<string, string | readonly string[]>>,
  mode: 'server' | 'sentinel' = 'server',
): Promise<RedisProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'longrun-redis-'));
  const file = join(folder, 'redis.conf');
  const options = [file, ...(mode === 'sentinel' ? ['--sentinel'] : [])];
  for (let left = PORT_TRIES; ; left -= 1) {
    const port = await freePort();
    const all = {
      bind: '127.0.0.1',
      port: String(port),
      dir: folder,
      ...(mode === 'server' && { save: '""', appendonly: 'no' }),
      ...settings,
    };
    const lines = Object.entries(all).flatMap(([name, values]) =>
      [values].flat().map((value) => `${name} ${value}`),
    );
    await writeFile(file, `${lines.join('\n')}\n`);
    try {
      let child = await startChild(options);
      return {
        port,
        crash: () => child.end('SIGKILL'),
        restart: async () => {
          child = await startChild(options);
        },
        fillDisk: async () => {
          // A folder in its place keeps the snapshot from being written.
          await rm(join(folder, SNAPSHOT), { force: true });
          await mkdir(join(folder, SNAPSHOT));
          await command(port, 'CONFIG', 'SET', 'save', '3600 1000000');
          await snapshot(port, 'err');
        },
        emptyDisk: async () => {
          await rmdir(join(folder, SNAPSHOT));
          await snapshot(port, 'ok');
          await command(port, 'CONFIG', 'SET', 'save', '');
        },
        freeze: async (ms) => {
          child.signal('SIGSTOP');
          await delay(ms);
          child.signal('SIGCONT');
        },
        stop: async () => {
          await child.end('SIGTERM');
          await rm(folder, { recursive: true, force: true });
        },
      };
    } catch (error) {
      if (left > 1 && String(error).includes('Address already in use')) continue;
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }
}

interface Child {
  readonly signal: (signal: NodeJS.Signals) => void;
  /** Sends a signal that ends it, and waits until it is gone. */
  readonly end: (signal: 'SIGTERM' | 'SIGKILL') => Promise<void>;
}

async function startChild(options: readonly string[]): Promise<Child> {
  const child = spawn('redis-server', [...options], { stdio: ['ignore', 'pipe', 'inherit'] });
  const killChild = (): void => void child.kill('SIGKILL');
  // A test run that is ended in the middle must not leave a server behind.
  process.once('exit', killChild);
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const end = async (signal: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
    process.off('exit', killChild);
    child.kill(signal);
    if (child.pid !== undefined) await gone;
  };

  let output = '';
  const ready = new Promise<void>((resolve, reject) => {
    const fail = (why: string): void => reject(new Error(`redis-server ${why}\n${output}`));
    child.once('error', (error) => fail(`cannot be started (is it installed?): ${error.message}`));
    child.once('close', (code) => fail(`ended with code ${code} before it was ready`));
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (/Ready to accept connections|\+monitor master/.test(output)) resolve();
    });
    setTimeout(fail, START_MS, `was not ready after ${START_MS} ms`).unref();
  });
  try {
    await ready;
  } catch (error) {
    await end('SIGKILL');
    throw error;
  }
  child.stdout.removeAllListeners('data').resume();
  return { signal: (signal) => void child.kill(signal), end };
}

/** Saves a snapshot, again where one was under way, until that ends so. */
async function snapshot(port: number, end: 'ok' | 'err'): Promise<void> {
  for (;;) {
    await command(port, 'BGSAVE').catch(() => null);
    const info = await command(port, 'INFO', 'persistence');
    if (info.includes('rdb_bgsave_in_progress:0') && info.includes(`rdb_last_bgsave_status:${end}`)) return;
    await delay(SNAPSHOT_MS);
  }
}

/** One command over a connection of its own. */
async function command(port: number, name: string, ...args: readonly string[]): Promise<string> {
  const redis = new Redis(port, { connectionName: 'chaos' });
  // The tests cause its losses themselves.
  redis.on('error', () => {});
  try {
    return String(await redis.call(name, ...args));
  } finally {
    redis.disconnect();
  }
}

/** A port that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('the loopback interface gave no port');
  return address.port;
}
