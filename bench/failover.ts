/**
 * What a failover of Redis costs: runs that were acknowledged and are lost, and how long none could be begun. Eight clients
 * begin runs without a pause, over servers that are replaced as planned, and that die. Prints a Markdown table.
 */
import { startCluster, startSentinel, type Topology } from '../test/support/topologies.ts';
import { startService } from '../test/support/service.ts';
import { Traffic } from '../test/support/traffic.ts';
import { FakeUpstream } from '../test/support/upstream.ts';
import { Wire } from '../test/support/wire.ts';

/** How long a server must be silent to count as dead: short for a production, where it is 5 to 30 s. */
const DEAD_AFTER_MS = 2_000;
/** Longer than an election takes. */
const PAUSE_MS = 4_000;
const BEFORE = 300;
const AFTER = 200;
const CAREFUL = { 'min-replicas-to-write': '1', 'min-replicas-max-lag': '1' };

interface Scene {
  readonly name: string;
  readonly start: () => Promise<Topology>;
  readonly env?: Readonly<Record<string, string>>;
}

const common = { deadAfterMs: DEAD_AFTER_MS };
const SCENES: readonly Scene[] = [
  { name: 'Sentinel, 2 replicas', start: async () => startSentinel(common) },
  {
    name: 'Sentinel, 2 replicas, writes paused first',
    start: async () => startSentinel({ ...common, pauseMs: PAUSE_MS }),
  },
  {
    name: 'Sentinel, 2 replicas, min-replicas',
    start: async () => startSentinel({ ...common, settings: CAREFUL }),
  },
  {
    name: 'Sentinel, 2 replicas, DURABILITY=replica',
    start: async () => startSentinel(common),
    env: { DURABILITY: 'replica' },
  },
  {
    name: 'Sentinel, 2 replicas, min-replicas, DURABILITY=replica',
    start: async () => startSentinel({ ...common, settings: CAREFUL }),
    env: { DURABILITY: 'replica' },
  },
  { name: 'Cluster, 1 replica', start: async () => startCluster(common) },
  {
    name: 'Cluster, 2 replicas, DURABILITY=replica',
    start: async () => startCluster({ ...common, replicas: 2 }),
    env: { DURABILITY: 'replica' },
  },
];

process.stdout.write(
  '| Redis | event | begun | lost | failed | refused (503) | longest pause |\n|---|---|---|---|---|---|---|\n',
);
const wanted = process.argv[2] ?? '';
for (const scene of SCENES.filter(({ name }) => name.includes(wanted))) {
  for (const event of ['planned', 'kill -9'] as const) await play(scene, event);
}

async function play({ name, start, env = {} }: Scene, event: 'planned' | 'kill -9'): Promise<void> {
  const [topology, upstream] = await Promise.all([start(), FakeUpstream.start()]);
  const service = await startService({ redisUrl: topology.url, upstream, env });
  const wire = new Wire(service.baseUrl);
  const { id } = await wire.ok('POST', '/assistants', { model: 'm' });
  const traffic = new Traffic(wire, id);
  await traffic.more(BEFORE);
  const queue = `{${service.redisPrefix}}`;
  await (event === 'planned' ? topology.failOver(queue) : topology.kill(queue));
  await traffic.more(AFTER);
  const { lost, failed, completed, refused, outageMs } = await traffic.outcome();
  const begun = completed + lost.length + failed.length;
  const cells = [
    name,
    event,
    begun,
    lost.length,
    failed.length,
    refused,
    `${(outageMs / 1000).toFixed(1)} s`,
  ];
  process.stdout.write(`| ${cells.join(' | ')} |\n`);
  await service.stop();
  await upstream.stop();
  await topology.stop();
}
