/**
 * Starts a Redis for tests; knows nothing of what is stored in it. Tests of the store use `startRedis`, a container
 * where a Docker engine answers; tests of the service share the server of `startNamedRedis`.
 */
import { createConnection } from 'node:net';
import type { TestContext } from 'vitest';
import { startServer, type RedisProcess } from './redis-process.ts';
import { startCluster, startSentinel } from './topologies.ts';

export interface RedisServer {
  /** For example `redis://127.0.0.1:41234`. */
  readonly url: string;
  /** Ends the server and deletes what it wrote. */
  readonly stop: () => Promise<void>;
}

/** A `redis-server` that tests may crash, freeze or fill. */
export type PrivateRedis = RedisServer & Omit<RedisProcess, 'port'>;

/** When a server syncs what it writes to disk; `no` writes nothing. */
export type Persistence = 'no' | 'everysec' | 'always';

const IMAGE = 'redis:8-alpine';
const PROBE_MS = 1_000;

/**
 * The Redis of one test file: what TEST_REDIS names, if it does; else a container where a Docker engine answers, and a
 * private `redis-server` otherwise.
 */
export async function startRedis(): Promise<RedisServer> {
  if (process.env['TEST_REDIS']) return startNamedRedis();
  return (await dockerAnswers()) ? startContainer() : startPrivateRedis();
}

/** Starts what TEST_REDIS names: `cluster`, `sentinel`, or one `redis-server` when it is not set. */
export async function startNamedRedis(): Promise<RedisServer> {
  const name = process.env['TEST_REDIS'] || 'single';
  switch (name) {
    case 'single':
      return startPrivateRedis();
    case 'sentinel':
      return startSentinel();
    case 'cluster':
      return startCluster();
    default:
      throw new Error(`TEST_REDIS is ${name}; it may be single, sentinel or cluster`);
  }
}

/** For tests that look into the one server there is, or count what it is asked: skips them where there are several. */
export function needsOneServer({ skip }: Pick<TestContext, 'skip'>): void {
  const name = process.env['TEST_REDIS'] || 'single';
  if (name !== 'single') skip(`looks into one server, and TEST_REDIS is ${name}`);
}

/**
 * A `redis-server` child on a free port of the loopback interface, in a folder of its own; nothing is written to disk
 * unless told so.
 * @throws when `redis-server` is not installed or does not come up.
 */
export async function startPrivateRedis(persistence: Persistence = 'no'): Promise<PrivateRedis> {
  const kept = { appendonly: 'yes', appendfsync: persistence };
  const server = await startServer(persistence === 'no' ? {} : kept);
  return { ...server, url: `redis://127.0.0.1:${server.port}` };
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
