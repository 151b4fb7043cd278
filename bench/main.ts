/**
 * What the service costs: `npm run bench`. Starts a paced model server, a minimal proxy, the service and a client as
 * processes of their own, asks all of them in turn, and prints one table; the same goes into a JSON file and a plot.
 * Ends with 1 when a figure misses its limit. `--help` lists the options.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Arm } from './ask.ts';
import type { Seen, Task } from './client.ts';
import { median } from './figures.ts';
import {
  assistantsArms,
  chatArm,
  firstWords,
  flowsOf,
  longThreads,
  manyStreams,
  memory,
  responsesArms,
  stored,
  warmUp,
  type Client,
  type FirstWords,
  type Flows,
  type Streams,
  type StreamLoad,
} from './measure.ts';
import { loadNow, startHelper, stopAll, treeOf, type Process } from './processes.ts';
import { printFirst, report } from './report.ts';
import type { Measured } from './rows.ts';
import { startPeers } from './peers.ts';
import { copyOf, copyOfThis, startService, type Copy, type Service } from './services.ts';

const HELP = `npm run bench -- [options]
  --quick          one to two minutes: first words, 100 streams, flows
  --against REV    measures that commit too, in the same rotation
  --only A,B       first, streams, flows, threads, memory, stored
  --rounds N       requests of each arm for the first word (default 200)
  --out FOLDER     where result.json and result.svg go (default .data/bench)
Peers take part where they are installed: LiteLLM (litellm on PATH, or BENCH_LITELLM), Portkey (BENCH_PORTKEY names
its start-server.js) and aegra (aegra on PATH, or BENCH_AEGRA, and BENCH_POSTGRES, the address of an empty database).
Ends with 1 when a figure misses its limit. Figures are void, and not judged, when asking the model server directly
was unsteady itself.`;
const PARTS = ['first', 'streams', 'flows', 'threads', 'memory', 'stored'] as const;
type Part = (typeof PARTS)[number];
const QUICK: readonly Part[] = ['first', 'streams', 'flows'];
/** A machine that does something else measures that as well. */
const MAX_LOAD = 1;
/** The machine is not steady when asking the model server itself takes so much longer now and then, or at the end. */
const MAX_DIRECT_SPREAD_MS = 10;
const MAX_DIRECT_DRIFT = 1.5;
/** Nor when a first word of the model server itself takes so long under load. */
const MAX_DIRECT_FIRST_MS = 10;
/** Limits that would stand in the way of thousands of streams. */
const ROOMY = { WORKER_CONCURRENCY: '3000', MAX_STREAMS: '20000', LOG_KEPT_S: '5' };

const OPTIONS = {
  quick: { type: 'boolean', default: false },
  against: { type: 'string' },
  only: { type: 'string' },
  rounds: { type: 'string' },
  out: { type: 'string', default: join(import.meta.dirname, '..', '.data', 'bench') },
  help: { type: 'boolean', default: false },
} as const;

const values = options();

function options() {
  try {
    const { values: given } = parseArgs({ options: OPTIONS });
    if (given.rounds !== undefined && !/^[1-9]\d*$/.test(given.rounds))
      throw new Error(`--rounds takes a number, not '${given.rounds}'.`);
    return given;
  } catch (error) {
    console.error(`bench: ${error instanceof Error ? error.message : String(error)}\n${HELP}`);
    process.exit(2);
  }
}

const notes: string[] = [];
function note(text: string): void {
  notes.push(text);
  console.error(`bench: ${text}`);
}

/** What stays the same for all figures. */
interface Bench {
  readonly client: Client;
  readonly upstream: string;
  readonly proxy: { readonly base: string; readonly processes: readonly Process[] };
  readonly copies: readonly Copy[];
  readonly isQuick: boolean;
}

async function main(): Promise<number> {
  const { quick: isQuick, against } = values;
  const parts = partsWanted(isQuick);
  if (loadNow() > MAX_LOAD)
    note(`the machine is busy: its load is ${loadNow()}. Only ratios mean anything now.`);
  const copies = [copyOfThis(), ...(against === undefined ? [] : [await copyOf(against)])];
  const model = await startHelper('upstream.ts');
  const upstream = `http://127.0.0.1:${model.port}/v1`;
  const proxy = await startHelper('proxy.ts', [upstream]);
  const client: Client = await startHelper<Task, Seen>('client.ts');
  const bench: Bench = {
    client,
    upstream,
    proxy: { base: `http://127.0.0.1:${proxy.port}/v1`, processes: treeOf(proxy.pid) },
    copies,
    isQuick,
  };
  try {
    const measured = await measureAll(bench, parts);
    return report(copies, measured, { out: values.out, notes });
  } finally {
    await Promise.all([client.stop(), proxy.stop(), model.stop()]);
  }
}

function partsWanted(isQuick: boolean): ReadonlySet<Part> {
  const { only } = values;
  if (only === undefined) return new Set(isQuick ? QUICK : PARTS);
  const names = only.split(',');
  const wrong = names.find((name) => !PARTS.some((part) => part === name));
  if (wrong !== undefined) throw new Error(`there is no part '${wrong}'. There are: ${PARTS.join(', ')}.`);
  return new Set(PARTS.filter((part) => names.includes(part)));
}

/** The measurements of each copy, in their order. */
async function measureAll(bench: Bench, parts: ReadonlySet<Part>): Promise<readonly Measured[]> {
  let all: readonly Measured[] = bench.copies.map(() => ({}));
  const add = (more: readonly Measured[]): void => {
    all = all.map((measured, index) => ({
      ...measured,
      ...more[index],
      voids: [...(measured.voids ?? []), ...(more[index]?.voids ?? [])],
    }));
  };
  if (parts.has('first') || parts.has('streams') || parts.has('flows') || parts.has('threads')) {
    await withServices(bench, {}, async (services) => {
      if (parts.has('first')) add(await firstOf(bench, services));
      if (parts.has('streams'))
        add(await streamsOf(bench, services, bench.isQuick ? ['100'] : ['100', '200']));
      if (parts.has('flows')) add(await allFlows(bench, services));
      if (parts.has('threads')) add(await allThreads(bench, services));
    });
  }
  const roomy: Measured[] = all.map(() => ({}));
  for (const [index, copy] of bench.copies.entries()) {
    // One service at a time: memory is not shared with a neighbour.
    if (!parts.has('memory') && !parts.has('stored')) break;
    const service = await startService(copy, bench.upstream, ROOMY);
    try {
      const kept = parts.has('stored') ? { stored: await stored(service, 100) } : {};
      roomy[index] = kept;
    } finally {
      await service.stop();
    }
    if (parts.has('memory')) roomy[index] = { ...roomy[index], memory: await memoryOfCopy(bench, copy) };
  }
  add(roomy);
  if (parts.has('streams') && !bench.isQuick) {
    const before = all.map(({ streams }) => streams);
    await withServices(bench, ROOMY, async (services) => {
      add(await streamsOf(bench, services, ['saturated']));
    });
    all = all.map((measured, index) => ({ ...measured, streams: { ...before[index], ...measured.streams } }));
  }
  return all;
}

async function memoryOfCopy(bench: Bench, copy: Copy): Promise<Measured['memory'] & {}> {
  const service = await startService(copy, bench.upstream, { ...ROOMY, WORKERS: '2' });
  // Its streams stay open until their client ends.
  const client: Client = await startHelper<Task, Seen>('client.ts');
  try {
    return await memory(client, service, 1_000);
  } finally {
    await client.stop();
    await service.stop();
  }
}

async function withServices(
  { copies, upstream }: Bench,
  settings: Readonly<Record<string, string>>,
  work: (services: readonly Service[]) => Promise<void>,
): Promise<void> {
  const services: Service[] = [];
  try {
    for (const copy of copies) services.push(await startService(copy, upstream, settings));
    await work(services);
  } finally {
    await Promise.all(services.map((service) => service.stop()));
  }
}

const prefixOf = ({ copy }: Service): string => `${copy.name} `;

async function firstOf(
  { client, upstream, proxy, isQuick }: Bench,
  services: readonly Service[],
): Promise<Measured[]> {
  const model = 'paced-10-10';
  const peers = isQuick ? [] : await startPeers(upstream, model, note);
  try {
    const arms: Arm[] = [chatArm('direct', upstream, model), chatArm('proxy', proxy.base, model)];
    for (const service of services) {
      const prefix = prefixOf(service);
      arms.push(chatArm(`${prefix}chat`, service.base, model), ...responsesArms(prefix, service.base, model));
      arms.push(...(await assistantsArms(prefix, service.base, model)));
    }
    arms.push(...peers.map(({ arm }) => arm));
    const rounds = Number(values.rounds ?? (isQuick ? 40 : 200));
    const first = await firstWords(client, arms, rounds);
    printFirst(first);
    return services.map(() => ({ first, ...(isSteady(first) ? {} : { voids: ['first'] }) }));
  } finally {
    await Promise.all(peers.map((peer) => peer.stop()));
  }
}

function isSteady(first: readonly FirstWords[]): boolean {
  const direct = first.find(({ arm }) => arm === 'direct');
  if (direct === undefined) return true;
  const { p50, p99, drift, failed } = direct;
  const isFine = p99 - p50 <= MAX_DIRECT_SPREAD_MS && drift <= MAX_DIRECT_DRIFT && failed === 0;
  if (!isFine)
    note(
      `VOID: first words. The direct arm itself was unsteady: median ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms, ${drift.toFixed(2)} times as slow at the end, ${failed} failed.`,
    );
  return isFine;
}

const LOADS: Readonly<Record<string, StreamLoad>> = {
  '100': { streams: 100, tokens: 100, gapMs: 20, forMs: 5_000 },
  '200': { streams: 200, tokens: 100, gapMs: 20, forMs: 5_000 },
  saturated: { streams: 400, tokens: 256, gapMs: 40, forMs: 1 },
};

async function streamsOf(
  { client, upstream, proxy, isQuick }: Bench,
  services: readonly Service[],
  loads: readonly string[],
): Promise<Measured[]> {
  const byLoad: Record<string, readonly Streams[]> = {};
  const voids: string[] = [];
  for (const name of loads) {
    const load = LOADS[name];
    if (load === undefined) continue;
    const model = `paced-${load.tokens}-${load.gapMs}`;
    const arms: { readonly arm: Arm; readonly processes: readonly Process[] }[] = [
      { arm: chatArm('direct', upstream, model), processes: [] },
      { arm: chatArm('proxy', proxy.base, model), processes: proxy.processes },
    ];
    for (const service of services) {
      const { base, processes } = service;
      const [run] = await assistantsArms(prefixOf(service), base, model);
      arms.push({ arm: chatArm(`${prefixOf(service)}chat`, base, model), processes });
      if (run !== undefined && !isQuick) arms.push({ arm: run, processes });
    }
    for (const { arm, processes } of arms) if (processes.length > 0) await warmUp(client, arm, load);
    const blocks: Streams[] = [];
    const turns = isQuick ? 1 : 2;
    const inBlock = isQuick ? { ...load, forMs: load.forMs / 2 } : load;
    for (let turn = 0; turn < turns; turn++) {
      const order = turn % 2 === 0 ? arms : arms.toReversed();
      for (const { arm, processes } of order) blocks.push(await manyStreams(client, arm, processes, inBlock));
    }
    byLoad[name] = arms.map(({ arm }) => together(blocks.filter((block) => block.arm === arm.name)));
    if (!isSteadyUnder(name, blocks)) voids.push(name);
    for (const { arm, why } of byLoad[name]) if (why !== null) note(`${arm}: ${why}`);
  }
  return services.map(() => ({ streams: byLoad, voids }));
}

function isSteadyUnder(load: string, blocks: readonly Streams[]): boolean {
  const direct = blocks.filter(({ arm }) => arm === 'direct');
  const slowestMs = Math.max(...direct.map(({ firstP50 }) => firstP50));
  const broken = direct.reduce((sum, { wrong, failed }) => sum + wrong + failed, 0);
  const isFine = slowestMs <= MAX_DIRECT_FIRST_MS && broken === 0;
  if (!isFine)
    note(
      `VOID: ${load} streams. The direct arm's own first words took ${slowestMs.toFixed(2)} ms, and ${broken} of its tokens or streams were not right.`,
    );
  return isFine;
}

/** Blocks of one arm as one: medians of their figures, sums of their counts. */
function together(blocks: readonly Streams[]): Streams {
  const [first] = blocks;
  if (first === undefined) throw new Error('nothing was measured');
  const mid = (of: (block: Streams) => number): number => median(blocks.map(of));
  const sum = (of: (block: Streams) => number): number => blocks.reduce((all, block) => all + of(block), 0);
  return {
    ...first,
    firstP50: mid((block) => block.firstP50),
    firstP99: mid((block) => block.firstP99),
    gapP50: mid((block) => block.gapP50),
    gapP99: mid((block) => block.gapP99),
    tokensPerS: mid((block) => block.tokensPerS),
    processor: midOf(blocks.map(({ processor }) => processor)),
    tokens: sum((block) => block.tokens),
    wrong: sum((block) => block.wrong),
    failed: sum((block) => block.failed),
    why: blocks.map(({ why }) => why).find((why) => why !== null) ?? null,
  };
}

function midOf(maps: readonly ReadonlyMap<string, number>[]): ReadonlyMap<string, number> {
  const roles = new Set(maps.flatMap((each) => [...each.keys()]));
  return new Map([...roles].map((role) => [role, median(maps.map((each) => each.get(role) ?? 0))]));
}

async function allFlows({ client, isQuick }: Bench, services: readonly Service[]): Promise<Measured[]> {
  const forMs = isQuick ? 2_000 : 8_000;
  const blocks: { readonly service: Service; readonly polled: Flows; readonly streamed: Flows }[] = [];
  // There and back again: a machine that warms up or slows down hits both alike.
  for (const service of services.length === 1 ? services : [...services, ...services.toReversed()]) {
    const polled = await flowsOf(client, service, { isPolled: true, forMs });
    const streamed = await flowsOf(client, service, { isPolled: false, forMs });
    for (const { why } of [polled, streamed]) if (why !== null) note(`${service.copy.name}: ${why}`);
    blocks.push({ service, polled, streamed });
  }
  return services.map((service) => {
    const own = blocks.filter((block) => block.service === service);
    return {
      polled: meanOf(own.map(({ polled }) => polled)),
      streamed: meanOf(own.map(({ streamed }) => streamed)),
    };
  });
}

function meanOf(flows: readonly Flows[]): Flows {
  const mean = (of: (each: Flows) => number): number =>
    flows.reduce((sum, each) => sum + of(each), 0) / flows.length;
  return {
    perS: mean(({ perS }) => perS),
    processor: midOf(flows.map(({ processor }) => processor)),
    failed: flows.reduce((sum, { failed }) => sum + failed, 0),
    why: flows.map(({ why }) => why).find((why) => why !== null) ?? null,
  };
}

async function allThreads({ client }: Bench, services: readonly Service[]): Promise<Measured[]> {
  const all: Measured[] = [];
  for (const service of services)
    all.push({ threads: await longThreads(client, service, { long: 10_000, rounds: 40 }) });
  return all;
}

if (values.help) {
  console.log(HELP);
} else {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      console.error('bench: stopping. Once more to end at once.');
      process.once(signal, () => process.exit(130));
      void stopAll().finally(() => process.exit(130));
    });
  }
  try {
    process.exitCode = await main();
  } catch (error) {
    console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 2;
  }
}
