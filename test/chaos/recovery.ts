/**
 * How long the service takes to recover, as figures for the documentation: `npm run chaos:recovery`. Nothing is asserted
 * but that it does recover.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { finish, gate, says, text } from '../support/upstream.ts';
import { Wire, type WireRun } from '../support/wire.ts';
import { Deployment } from './deployment.ts';

const REPETITIONS = 3;
const AWAY_MS = 30_000;
const PROBE_EVERY_MS = 250;
/** The first pause of `npm start` before it starts again what has died. */
const RESTART_PAUSE_MS = 250;

const stateSchema = z.looseObject({ attempts: z.number() });

type Figures = Record<string, string | number>;

for (const [signal, lockMs] of [
  ['SIGTERM', '10000'],
  ['SIGKILL', '10000'],
  ['SIGKILL', '3000'],
] as const) {
  for (let index = 0; index < REPETITIONS; index += 1) console.log(await replaced(signal, lockMs));
}
for (const isTold of [true, false]) {
  for (let index = 0; index < REPETITIONS; index += 1) console.log(await restarted(isTold));
}
console.log(await redisAway());

/** The only busy worker goes; another one idles. From the signal to the run's next start. */
async function replaced(signal: 'SIGTERM' | 'SIGKILL', lockMs: string): Promise<Figures> {
  const deployment = await start({ DRAIN_MS: '0', LOCK_MS: lockMs });
  const { service, upstream } = deployment;
  try {
    let asked = 0;
    const door = gate();
    upstream.reply(() =>
      (asked += 1) === 1 ? [text('Once'), door, { type: 'stall' }] : says('Once upon a time'),
    );
    const { wire, run } = await runOn(deployment);
    await door.reached;
    await service.startWorker();
    const startedMs = performance.now();
    const ended = service.killWorker(0, signal);
    await service.waitForLog(
      (line) => line['event'] === 'run.started' && line['run_id'] === run.id && line.process === 'worker 1',
    );
    const tookMs = performance.now() - startedMs;
    await ended;
    await wire.rested(run);
    const [key = ''] = await deployment.admin.keys(`*:run:${run.id}`);
    const { attempts } = stateSchema.parse(JSON.parse((await deployment.admin.hget(key, 'doc')) ?? ''));
    return {
      what: `${signal} of the only busy worker, LOCK_MS=${lockMs}`,
      'until the run goes on, ms': Math.round(tookMs),
      attempts,
    };
  } finally {
    await deployment.stop();
  }
}

/**
 * The only worker is killed, and started again as `npm start` does it.
 * @param isTold whether the new process is told whose place it takes, or finds out by leases and locks
 */
async function restarted(isTold: boolean): Promise<Figures> {
  const deployment = await start({ ...(isTold && { LONGRUN_WORKER: 'first' }) });
  const { service, upstream } = deployment;
  try {
    let asked = 0;
    const door = gate();
    upstream.reply(() =>
      (asked += 1) === 1 ? [text('Once'), door, { type: 'stall' }] : says('Once upon a time'),
    );
    const { wire, run } = await runOn(deployment);
    await door.reached;
    const killedMs = performance.now();
    await service.killWorker(0, 'SIGKILL');
    await delay(RESTART_PAUSE_MS);
    const startedMs = performance.now();
    const told = { LONGRUN_WORKER: 'second', LONGRUN_WORKERS_ENDED: 'first' };
    const ready = service.startWorker(isTold ? told : {}).then(() => performance.now() - startedMs);
    await service.waitForLog(
      (line) => line['event'] === 'run.started' && line['run_id'] === run.id && line.process === 'worker 1',
    );
    const tookMs = performance.now() - killedMs;
    await wire.rested(run);
    return {
      what: `SIGKILL of the only worker, started again, ${isTold ? 'told' : 'not told'} whose place it takes`,
      'until the run goes on, ms': Math.round(tookMs),
      'of that until the new process was ready, ms': Math.round(await ready),
    };
  } finally {
    await deployment.stop();
  }
}

/** Redis dies and comes back half a minute later, while a run is said and clients ask. */
async function redisAway(): Promise<Figures> {
  const deployment = await start({});
  const { service, upstream, redis } = deployment;
  try {
    const door = gate();
    upstream.reply(({ text: said }) =>
      said === 'a story' ? [text('Once'), door, text(' upon a time'), finish('stop')] : says('Again'),
    );
    const { wire, run, assistantId } = await runOn(deployment);
    await door.reached;
    const before = service.living.length;
    await redis.crash();
    const diedMs = Date.now();
    door.open();
    const latencies = await probe(wire, run, AWAY_MS);
    const alive = service.living.length;
    await redis.restart();
    const backMs = Date.now();
    while ((await wire.ask('GET', '/assistants')).status !== 200) await delay(10);
    const answersMs = Date.now() - backMs;
    const since = async (ended: Promise<WireRun>): Promise<number> => ended.then(() => Date.now() - backMs);
    const anew = await wire.run(await wire.thread('more'), { assistant_id: assistantId });
    const [endedMs, workMs] = await Promise.all([since(wire.rested(run)), since(wire.rested(anew))]);
    const sorted = latencies.toSorted((one, other) => one - other);
    const lines = service.logs.filter(({ time }) => Number(time) >= diedMs && Number(time) < backMs);
    const seconds = Map.groupBy(
      lines,
      (line) => `${line.process} ${Math.floor(Number(line['time']) / 1000)}`,
    );
    const perProcess = Map.groupBy(lines, (line) => line.process);
    return {
      what: 'Redis away for 30 s',
      '503s': latencies.length,
      'median 503, ms': Math.round(sorted[Math.floor(sorted.length / 2)] ?? 0),
      'slowest 503, ms': Math.round(sorted.at(-1) ?? 0),
      'processes alive': `${alive} of ${before}`,
      'until the API answers, ms': answersMs,
      'until the open run ended, ms': endedMs,
      'until a new run ended, ms': workMs,
      'most lines of a process in a second': Math.max(0, ...[...seconds.values()].map((some) => some.length)),
      'lines a second, busiest process':
        Math.max(0, ...[...perProcess.values()].map((some) => some.length)) / (AWAY_MS / 1000),
    };
  } finally {
    await deployment.stop();
  }
}

/** Asks again and again; how long each refusal took. @throws when an answer is none. */
async function probe(wire: Wire, run: WireRun, forMs: number): Promise<readonly number[]> {
  const latencies: number[] = [];
  const endMs = performance.now() + forMs;
  while (performance.now() < endMs) {
    const askedMs = performance.now();
    const { status, headers } = await wire.ask('GET', `/threads/${run.thread_id}/runs/${run.id}`);
    latencies.push(performance.now() - askedMs);
    if (status !== 503 || headers.get('retry-after') === null) throw new Error(`answered with ${status}`);
    await delay(PROBE_EVERY_MS);
  }
  return latencies;
}

async function start(env: Readonly<Record<string, string>>): Promise<Deployment> {
  const common = { UPSTREAM_IDLE_MS: '120000', ...env };
  return Deployment.start({ apis: 1, workers: 1, persistence: 'always', env: common });
}

async function runOn({ service }: Deployment): Promise<{ wire: Wire; run: WireRun; assistantId: string }> {
  const wire = new Wire(service.baseUrl);
  const { id: assistantId } = await wire.ok('POST', '/assistants', { model: 'm' });
  return {
    wire,
    run: await wire.run(await wire.thread('a story'), { assistant_id: assistantId }),
    assistantId,
  };
}
