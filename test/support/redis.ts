/**
 * A Redis of one's own. Owns the server it starts and that server's folder; knows nothing of what is stored in it.
 * Store tests take the first kind, which is a container where a Docker engine answers; everything else shares the second.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

export interface RedisServer {
  /** For example `redis://127.0.0.1:41234`. */
  readonly url: string;
  /** Ends the server and deletes what it wrote. */
  readonly stop: () => Promise<void>;
}

/** A `redis-server` of our own, which can be treated badly. */
export interface PrivateRedis extends RedisServer {
  /** Ends the process without a word; what it kept on disk stays. */
  readonly crash: () => Promise<void>;
  /** Starts it again after a crash, at the same address, with what is on disk. */
  readonly restart: () => Promise<void>;
  /** Stands still for that long. */
  readonly freeze: (ms: number) => Promise<void>;
}

/** What a server writes to disk, and when it calls it written. */
export type Persistence = 'no' | 'everysec' | 'always';

const IMAGE = 'redis:8-alpine';
const PROBE_MS = 1_000;
const START_MS = 10_000;
/** Somebody else may take the free port between our look and Redis' start. */
const PORT_TRIES = 5;

/** A Redis in a container where a Docker engine answers, a private `redis-server` otherwise. */
export async function startRedis(): Promise<RedisServer> {
  return (await dockerAnswers()) ? startContainer() : startPrivateRedis();
}

/**
 * A `redis-server` child on a free port of the loopback interface, in a folder of its own; nothing is written to disk
 * unless told so.
 * @throws when `redis-server` is not installed or does not come up.
 */
export async function startPrivateRedis(persistence: Persistence = 'no'): Promise<PrivateRedis> {
  const folder = await mkdtemp(join(tmpdir(), 'longrun-redis-'));
  for (let left = PORT_TRIES; ; left -= 1) {
    const port = await freePort();
    const options = optionsOf(port, folder, persistence);
    try {
      let child = await startChild(options);
      return {
        url: `redis://127.0.0.1:${port}`,
        crash: () => child.end('SIGKILL'),
        restart: async () => {
          child = await startChild(options);
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

function optionsOf(port: number, folder: string, persistence: Persistence): readonly string[] {
  const settings = {
    bind: '127.0.0.1',
    port: String(port),
    save: '',
    dir: folder,
    appendonly: persistence === 'no' ? 'no' : 'yes',
    ...(persistence !== 'no' && { appendfsync: persistence }),
  };
  return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
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
  const end = async (signal: NodeJS.Signals): Promise<void> => {
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
      if (output.includes('Ready to accept connections')) resolve();
    });
    setTimeout(fail, START_MS, `was not ready after ${START_MS} ms`).unref();
  });
  try {
    await ready;
  } catch (error) {
    await end('SIGTERM');
    throw error;
  }
  child.stdout.removeAllListeners('data').resume();
  return { signal: (signal) => void child.kill(signal), end };
}

async function startContainer(): Promise<RedisServer> {
  // Loaded only here: it is large, and most machines that run the suite never need it.
  const { GenericContainer, Wait } = await import('testcontainers');
  const container = await new GenericContainer(IMAGE)
    .withCommand(['redis-server', '--save', '', '--appendonly', 'no'])
    .withExposedPorts(6379)
    .withWaitStrategy(Wait.forLogMessage(/Ready to accept connections/))
    .start();
  return {
    url: `redis://${container.getHost()}:${container.getMappedPort(6379)}`,
    stop: async () => {
      await container.stop();
    },
  };
}

/** Whether something listens where the Docker client would look. */
async function dockerAnswers(): Promise<boolean> {
  const { hostname, pathname, port, protocol } = new URL(
    process.env['DOCKER_HOST'] || 'unix:///var/run/docker.sock',
  );
  const where = protocol === 'unix:' ? { path: pathname } : { host: hostname, port: Number(port || 2375) };
  const socket = createConnection({ ...where, timeout: PROBE_MS });
  try {
    return await new Promise((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.once('timeout', () => resolve(false));
      socket.once('error', () => resolve(false));
    });
  } finally {
    socket.destroy();
  }
}

async function freePort(): Promise<number> {
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
