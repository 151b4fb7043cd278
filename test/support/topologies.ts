/**
 * Redis as in larger deployments: a master with replicas and Sentinels, and a Cluster. Real servers on this machine,
 * with methods that make them fail.
 */
import { Redis } from 'ioredis';
import { z } from 'zod';
import { freePort, startServer, type RedisProcess } from './redis-process.ts';

/** Servers that stand in for each other. */
export interface Topology {
  /** As REDIS_URL. */
  readonly url: string;
  /** Ends the server that holds `key` at once, as a power cut does. */
  readonly kill: (key: string) => Promise<void>;
  /** Makes a replica take over from the server that holds `key`, as for maintenance. Resolves when it has taken over. */
  readonly failOver: (key: string) => Promise<void>;
  readonly stop: () => Promise<void>;
}

const MASTER = 'longrun';
const SENTINELS = 3;
const MASTERS = 3;
const SLOTS = 16_384;
const READY_MS = 100_000;
/** The other servers know a replica only after it has received something, and an idle master sends only pings. */
const COMMON = { 'repl-diskless-sync-delay': '0', 'repl-ping-replica-period': '1' };

export interface TopologyOptions {
  /** Further settings of every server. */
  readonly settings?: Readonly<Record<string, string>>;
  /** How many replicas each master has. */
  readonly replicas?: number;
  /** A server that has not answered for this long is dead. */
  readonly deadAfterMs?: number;
  /** How long a planned failover by Sentinels makes writers wait, so that replicas catch up first. */
  readonly pauseMs?: number;
}

/** One master, its replicas, and three Sentinels. */
export async function startSentinel(options: TopologyOptions = {}): Promise<Topology> {
  const { settings, replicas = 2, deadAfterMs = 500, pauseMs } = options;
  const servers: RedisProcess[] = [];
  const stop = stopper(servers);
  try {
    const common = { ...COMMON, ...settings };
    const master = await started(servers, startServer(common));
    const replicaof = `127.0.0.1 ${master.port}`;
    await Promise.all(
      Array.from({ length: replicas }, () => started(servers, startServer({ ...common, replicaof }))),
    );
    await until(async () => (await info(master.port, 'connected_slaves')) === String(replicas));
    const watch = {
      sentinel: [
        `monitor ${MASTER} ${replicaof} 2`,
        `down-after-milliseconds ${MASTER} ${deadAfterMs}`,
        `failover-timeout ${MASTER} 5000`,
      ],
    };
    const sentinels = await Promise.all(
      Array.from({ length: SENTINELS }, () => started(servers, startServer(watch, 'sentinel'))),
    );
    const ports = sentinels.map(({ port }) => port);
    const [first = 0] = ports;
    const current = async (): Promise<number> => Number((await masterState(first)).get('port'));
    await until(async () => {
      const states = await Promise.all(ports.map(masterState));
      return states.every(
        (state) =>
          state.get('num-slaves') === String(replicas) &&
          state.get('num-other-sentinels') === String(SENTINELS - 1),
      );
    });
    return {
      url: `redis+sentinel://${ports.map((port) => `127.0.0.1:${port}`).join(',')}/${MASTER}`,
      kill: async () => killAt(servers, await current()),
      failOver: async () => {
        const before = await current();
        if (pauseMs !== undefined)
          await ask(before, async (redis) => redis.call('CLIENT', 'PAUSE', pauseMs, 'WRITE'));
        await ask(first, async (redis) => redis.call('SENTINEL', 'FAILOVER', MASTER));
        await until(async () => (await current()) !== before);
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A Cluster of three masters. */
export async function startCluster(options: TopologyOptions = {}): Promise<Topology> {
  const { settings, replicas = 1, deadAfterMs = 1_000 } = options;
  const servers: RedisProcess[] = [];
  const stop = stopper(servers);
  const startNode = async (): Promise<{ port: number; bus: number }> => {
    const bus = await freePort();
    const node = await started(
      servers,
      startServer({
        'cluster-enabled': 'yes',
        'cluster-node-timeout': String(deadAfterMs),
        'cluster-port': String(bus),
        ...COMMON,
        ...settings,
      }),
    );
    return { port: node.port, bus };
  };
  try {
    const nodes = await Promise.all(Array.from({ length: MASTERS * (1 + replicas) }, startNode));
    const masters = nodes.slice(0, MASTERS);
    const [first] = masters;
    if (first === undefined) throw new Error('there are no masters');
    await Promise.all(
      nodes.map(async ({ port }, index) =>
        ask(port, async (redis) => {
          await redis.cluster('SET-CONFIG-EPOCH', index + 1);
          if (index >= MASTERS) return;
          const from = Math.floor((index * SLOTS) / MASTERS);
          const to = Math.floor(((index + 1) * SLOTS) / MASTERS) - 1;
          await redis.cluster('ADDSLOTSRANGE', from, to);
        }),
      ),
    );
    await ask(first.port, async (redis) => {
      for (const { port, bus } of nodes) await redis.cluster('MEET', '127.0.0.1', port, bus);
    });
    const settled = async (): Promise<boolean> => {
      const states = await Promise.all(nodes.map(async ({ port }) => clusterInfo(port)));
      return states.every(
        (state) =>
          state.includes('cluster_state:ok') && state.includes(`cluster_known_nodes:${nodes.length}`),
      );
    };
    await until(settled);
    await Promise.all(
      nodes.slice(MASTERS).map(async ({ port }, index) => {
        const id = await ask(masters[index % MASTERS]?.port ?? 0, async (redis) => redis.cluster('MYID'));
        await ask(port, async (redis) => redis.cluster('REPLICATE', id));
        await until(async () => (await info(port, 'master_link_status')) === 'up');
      }),
    );
    await until(async () => {
      const views = await Promise.all(nodes.map(async ({ port }) => slotsOf(port)));
      return views.flat().every(({ ports }) => ports.length === 1 + replicas);
    });
    const alive = (): number => servers[0]?.port ?? 0;
    const ownersOfKey = async (key: string): Promise<readonly number[]> =>
      ownersOf(alive(), await ask(alive(), async (redis) => redis.cluster('KEYSLOT', key)));
    return {
      url: `redis+cluster://${masters.map(({ port }) => `127.0.0.1:${port}`).join(',')}`,
      kill: async (key) => killAt(servers, (await ownersOfKey(key))[0] ?? 0),
      failOver: async (key) => {
        const [before, replica = 0] = await ownersOfKey(key);
        await ask(replica, async (redis) => redis.cluster('FAILOVER'));
        await until(async () => (await ownersOfKey(key))[0] !== before);
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function started(servers: RedisProcess[], starting: Promise<RedisProcess>): Promise<RedisProcess> {
  const server = await starting;
  servers.push(server);
  return server;
}

function stopper(servers: readonly RedisProcess[]): () => Promise<void> {
  return async () => {
    await Promise.all(servers.map(async (server) => server.stop()));
  };
}

async function killAt(servers: RedisProcess[], port: number): Promise<void> {
  const index = servers.findIndex((server) => server.port === port);
  const [server] = index === -1 ? [] : servers.splice(index, 1);
  if (server === undefined) throw new Error(`no server of ours is at port ${port}`);
  await server.crash();
}

/** Sends one command to one server, over a connection that is closed at once. */
async function ask<T>(port: number, question: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis({ port, maxRetriesPerRequest: 0, retryStrategy: () => null });
  redis.on('error', () => {});
  try {
    return await question(redis);
  } finally {
    redis.disconnect();
  }
}

/** A field of INFO. */
async function info(port: number, field: string): Promise<string | undefined> {
  const text = await ask(port, async (redis) => redis.info('replication'));
  return new RegExp(`^${field}:(.*?)\r?$`, 'm').exec(text)?.[1];
}

async function clusterInfo(port: number): Promise<string> {
  return ask(port, async (redis) => redis.cluster('INFO'));
}

/** A Sentinel's view of the master. */
async function masterState(port: number): Promise<ReadonlyMap<string, string>> {
  const flat: unknown = await ask(port, async (redis) => redis.call('SENTINEL', 'MASTER', MASTER));
  const list = Array.isArray(flat) ? flat.map(String) : [];
  return new Map(list.flatMap((name, index) => (index % 2 === 0 ? [[name, list[index + 1] ?? '']] : [])));
}

/** The ports of the servers that hold a slot, the master first, as the server at `port` sees it. */
async function ownersOf(port: number, slot: number): Promise<readonly number[]> {
  const ranges = await slotsOf(port);
  return ranges.find(({ from, to }) => from <= slot && slot <= to)?.ports ?? [];
}

interface SlotRange {
  readonly from: number;
  readonly to: number;
  readonly ports: readonly number[];
}

async function slotsOf(port: number): Promise<readonly SlotRange[]> {
  const ranges: unknown = await ask(port, async (redis) => redis.cluster('SLOTS'));
  return z
    .array(z.tuple([z.number(), z.number()], z.tuple([z.string(), z.number()], z.unknown())))
    .parse(ranges)
    .map(([from, to, ...nodes]) => ({ from, to, ports: nodes.map(([, nodePort]) => nodePort) }));
}

/** Asks until the answer is yes. No answer counts as no. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + READY_MS;
  while (!(await isSo().catch(() => false))) {
    if (performance.now() > deadline)
      throw new Error(`Redis was not ready after ${READY_MS} ms: ${isSo.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
