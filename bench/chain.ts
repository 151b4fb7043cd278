/**
 * What a response costs at the end of a long chain: `npm run bench:chain`. Makes a chain by `previous_response_id`, then asks for its
 * next response and for the tenth of a new chain in turn, and for forks of both. Twice: with a context so small that every prompt
 * is full, which leaves the service's own cost, and with one that the long chain's prompt is larger in. Ends with 1 when the
 * long chain costs too much beside full prompts. Options: `--length 10000`, `--rounds 200`.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { call } from './ask.ts';
import { median, quantile, rounded } from './figures.ts';
import { loadNow, processorOf, startHelper, stopAll, type Process } from './processes.ts';
import { copyOfThis, startService, type Service } from './services.ts';

const { values } = parseArgs({
  options: { length: { type: 'string', default: '10000' }, rounds: { type: 'string', default: '200' } },
});
const [LENGTH, ROUNDS] = [Number(values.length), Number(values.rounds)];
/** How many times the tenth response the last one may cost. */
const LIMIT = 1.2;
const SHORT = 10;
/** A few turns of this question fill the small context. */
const QUESTION = 'And what comes after that, in not more than a few words, as you said it before?';
const SMALL_CONTEXT_TOKENS = 256;
/** A model of the small context, and one of the default; both answer at once. */
const MODELS = { small: 'cut', large: 'paced-8-0' };
/** Forks begin so far before the end: that the chain has gone on is what makes them forks. */
const BEFORE_END = 5;

/** Makes a response. @returns its id */
async function respond(base: string, model: string, previous: string | null): Promise<string> {
  const body = { model, input: QUESTION, truncation: 'auto', previous_response_id: previous };
  const { id, status } = await call(base, '/responses', body);
  if (status !== 'completed') throw new Error(`a response is ${String(status)}`);
  return String(id);
}

/** The ids of a new chain. */
async function chainOf(base: string, model: string, length: number): Promise<string[]> {
  const ids: string[] = [];
  while (ids.length < length) ids.push(await respond(base, model, ids.at(-1) ?? null));
  return ids;
}

interface Arms {
  readonly base: string;
  readonly model: string;
  /** The long chain; what is made goes on from its end. */
  readonly chain: string[];
  readonly processes: readonly Process[];
}

interface Cost {
  readonly tookMs: readonly number[];
  /** Processor time of the service, in milliseconds. */
  readonly busyMs: number;
}

/** Asks each arm once in every round, in turn, and beginning with another one each time. */
async function measure({ base, model, chain, processes }: Arms): Promise<ReadonlyMap<string, Cost>> {
  const short = await chainOf(base, model, SHORT);
  const arms: readonly (readonly [string, () => Promise<() => Promise<unknown>>])[] = [
    [
      `response ${SHORT}`,
      async () => {
        const before = (await chainOf(base, model, SHORT - 1)).at(-1) ?? null;
        return async () => respond(base, model, before);
      },
    ],
    [
      `response ${LENGTH} and on`,
      async () => async () => chain.push(await respond(base, model, chain.at(-1) ?? null)),
    ],
    [`fork after response ${SHORT - 1}`, async () => async () => respond(base, model, short.at(-2) ?? null)],
    [
      `fork near response ${LENGTH}`,
      async () => async () => respond(base, model, chain.at(-BEFORE_END) ?? null),
    ],
  ];
  const seen = new Map(arms.map(([name]) => [name, { tookMs: [] as number[], busyMs: 0 }]));
  for (let round = 0; round < ROUNDS; round += 1) {
    const first = round % arms.length;
    for (const [name, prepare] of [...arms.slice(first), ...arms.slice(0, first)]) {
      const ask = await prepare();
      const busy = busyMs(processes);
      const sinceMs = performance.now();
      await ask();
      const cost = seen.get(name);
      cost?.tookMs.push(performance.now() - sinceMs);
      if (cost !== undefined) cost.busyMs += (busyMs(processes) - busy) / ROUNDS;
    }
  }
  return seen;
}

function busyMs(processes: readonly Process[]): number {
  return [...processorOf(processes).values()].reduce((sum, seconds) => sum + seconds * 1_000, 0);
}

/** Prints the arms. @returns how many times the tenth response one of the long chain costs */
function told(seen: ReadonlyMap<string, Cost>): number {
  console.table(
    [...seen].map(([arm, { tookMs, busyMs: busy }]) => ({
      arm,
      'median, ms': rounded(median(tookMs)),
      'p90, ms': rounded(quantile(tookMs, 0.9)),
      'processor, ms': rounded(busy),
    })),
  );
  const [tenth = 0, last = 0] = [...seen.values()].map(({ tookMs }) => median(tookMs));
  return last / tenth;
}

async function main(): Promise<number> {
  console.log(`load before: ${loadNow()}`);
  const copy = copyOfThis();
  const upstream = await startHelper('upstream.ts');
  const baseUrl = `http://127.0.0.1:${upstream.port}/v1`;
  const config = join(copy.folder, 'chain.json');
  const small = {
    name: 'small',
    baseUrl,
    contextTokens: SMALL_CONTEXT_TOKENS,
    models: [MODELS.small],
  };
  writeFileSync(config, JSON.stringify({ upstreams: [small] }));
  const service = await startService(copy, baseUrl, { LONGRUN_CONFIG: config, WORKERS: '1' });
  try {
    return await compare(service);
  } finally {
    await service.stop();
  }
}

/** @returns the exit code */
async function compare({ base, processes }: Service): Promise<number> {
  const sinceMs = performance.now();
  const chain = await chainOf(base, MODELS.small, LENGTH);
  console.log(`${LENGTH} responses, ${rounded((performance.now() - sinceMs) / LENGTH)} ms each`);
  const ratios = [];
  for (const [context, model] of Object.entries(MODELS)) {
    const ratio = told(await measure({ base, model, chain, processes }));
    console.log(`the long chain costs ${rounded(ratio)} times the tenth, with a ${context} context`);
    ratios.push(ratio);
  }
  return (ratios[0] ?? Infinity) <= LIMIT ? 0 : 1;
}

try {
  process.exitCode = await main();
} finally {
  await stopAll();
}
