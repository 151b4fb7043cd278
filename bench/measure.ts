/** What is measured, one function for each kind of figure. Every function leaves the service as it found it, and idle. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ask, call, type Arm } from './ask.ts';
import type { Seen, Task } from './client.ts';
import { differences, estimate, median, quantile, type Estimate } from './figures.ts';
import { memoryOf, processorOf, type Helper, type Process } from './processes.ts';
import type { Service } from './services.ts';

export type Client = Helper<Task, Seen>;

/** A prompt of some 300 characters. */
const PROMPT = 'hello '.repeat(50);
/** What every arm asks. */
export const MESSAGES = [{ role: 'user', content: PROMPT }];

/** The arm that asks `/chat/completions` of any server. */
export function chatArm(name: string, base: string, model: string, headers: Arm['headers'] = {}): Arm {
  const body = { model, stream: true, messages: MESSAGES };
  return { name, base, path: '/chat/completions', body, headers, tokens: tokensOf(model) };
}

/** How many tokens a model of the bench says, by its name. */
export function tokensOf(model: string): number | null {
  const count = /^paced-(\d+)-/.exec(model)?.[1];
  return count === undefined ? null : Number(count);
}

/** Arms of the service by the Assistants API: a new thread with the run, and a run in a thread that is there. */
export async function assistantsArms(prefix: string, base: string, model: string): Promise<readonly Arm[]> {
  const assistant = String((await call(base, '/assistants', { model }))['id']);
  const run = { assistant_id: assistant, stream: true };
  const tokens = tokensOf(model);
  return [
    {
      name: `${prefix}threads/runs`,
      base,
      path: '/threads/runs',
      body: { ...run, thread: { messages: MESSAGES } },
      tokens,
    },
    {
      name: `${prefix}run`,
      base,
      path: '/threads/{thread}/runs',
      body: { ...run, additional_messages: MESSAGES },
      tokens,
      needsThread: true,
    },
  ];
}

/** Arms of the service by the Responses API: one that is stored, and one that is as fleeting as a chat. */
export function responsesArms(prefix: string, base: string, model: string): readonly Arm[] {
  const body = { model, stream: true, input: PROMPT };
  const arm = { base, path: '/responses', tokens: tokensOf(model) };
  return [
    { ...arm, name: `${prefix}responses`, body },
    { ...arm, name: `${prefix}responses, not stored`, body: { ...body, store: false } },
  ];
}

/** First words of one arm. Times in milliseconds; `added` is compared with the direct arm, round by round. */
export interface FirstWords {
  readonly arm: string;
  readonly p50: number;
  readonly p99: number;
  readonly added: Estimate;
  readonly addedP99: number;
  /** The median of the last third of the rounds, as a multiple of that of the first: how steady the arm was. */
  readonly drift: number;
  readonly failed: number;
}

/** One request at a time, the arms in turn. The first arm is the direct one. */
export async function firstWords(
  client: Client,
  arms: readonly Arm[],
  rounds: number,
): Promise<readonly FirstWords[]> {
  const warmUp = Math.ceil(rounds / 5);
  const { firstMs } = await client.do({ type: 'rounds', arms, rounds, warmUp });
  const [first] = arms;
  const base = first === undefined ? [] : (firstMs[first.name] ?? []);
  return arms.map(({ name }) => {
    const all = firstMs[name] ?? [];
    const values = all.filter((value) => !Number.isNaN(value));
    const added = differences(all, base);
    const addedP99 = quantile(values, 0.99) - quantile(valid(base), 0.99);
    const [p50, p99] = [median(values), quantile(values, 0.99)];
    const third = Math.ceil(values.length / 3);
    const drift = median(values.slice(-third)) / median(values.slice(0, third));
    const failed = all.length - values.length;
    return { arm: name, p50, p99, added: estimate(added), addedP99, drift, failed };
  });
}

const valid = (values: readonly number[]): readonly number[] =>
  values.filter((value) => !Number.isNaN(value));

/** Many streams at a time through one arm. */
export interface Streams {
  readonly arm: string;
  readonly streams: number;
  readonly firstP50: number;
  readonly firstP99: number;
  readonly gapP50: number;
  readonly gapP99: number;
  readonly tokensPerS: number;
  /** Processor time of the processes behind the arm, in microseconds per token, by role. */
  readonly processor: ReadonlyMap<string, number>;
  readonly tokens: number;
  readonly wrong: number;
  readonly failed: number;
  readonly why: string | null;
}

export interface StreamLoad {
  readonly streams: number;
  readonly tokens: number;
  readonly gapMs: number;
  readonly forMs: number;
}

/**
 * How long an arm works before it is measured. V8 compiles what is used often, in threads of its own, so that the first
 * 20,000 tokens of a fresh service cost a quarter more than those that follow.
 */
const WARM_UP_MS = 6_000;

/** Lets an arm do so much work that what is measured then is that work alone. */
export async function warmUp(client: Client, arm: Arm, load: StreamLoad): Promise<void> {
  await client.do(streamsOf(arm, { ...load, forMs: WARM_UP_MS }));
}

function streamsOf(arm: Arm, { streams, tokens, gapMs, forMs }: StreamLoad): Task {
  return { type: 'streams', arm, streams, forMs, spreadMs: Math.max(200, tokens * gapMs) };
}

/** Keeps so many streams open for a while. */
export async function manyStreams(
  client: Client,
  arm: Arm,
  processes: readonly Process[],
  load: StreamLoad,
): Promise<Streams> {
  const { streams } = load;
  const before = processorOf(processes);
  const seen = await client.do(streamsOf(arm, load));
  const processor = perPiece(processes, before, seen.tokens);
  const first = valid(seen.firstMs[arm.name] ?? []);
  return {
    arm: arm.name,
    streams,
    firstP50: median(first),
    firstP99: quantile(first, 0.99),
    gapP50: median(seen.gapsMs),
    gapP99: quantile(seen.gapsMs, 0.99),
    tokensPerS: (seen.tokens / seen.tookMs) * 1_000,
    processor,
    tokens: seen.tokens,
    wrong: seen.wrong,
    failed: seen.failed,
    why: seen.why,
  };
}

function perPiece(
  processes: readonly Process[],
  before: ReadonlyMap<string, number>,
  pieces: number,
): ReadonlyMap<string, number> {
  const after = processorOf(processes);
  return new Map(
    [...after].map(([role, seconds]) => [role, ((seconds - (before.get(role) ?? 0)) / pieces) * 1e6]),
  );
}

/** Whole flows, thread to answer. */
export interface Flows {
  readonly perS: number;
  /** Processor time in microseconds per flow, by role. */
  readonly processor: ReadonlyMap<string, number>;
  readonly failed: number;
  readonly why: string | null;
}

/** Flows of thread, message and run, 32 at a time, over a model that answers at once. */
export async function flowsOf(
  client: Client,
  { base, processes }: Service,
  { isPolled, forMs }: { readonly isPolled: boolean; readonly forMs: number },
): Promise<Flows> {
  const assistant = String((await call(base, '/assistants', { model: 'paced-8-0' }))['id']);
  const task = { type: 'flows', base, assistant, isPolled, flows: 32 } as const;
  await client.do({ ...task, forMs: forMs / 4 });
  const before = processorOf(processes);
  const seen = await client.do({ ...task, forMs });
  return {
    perS: (seen.done / seen.tookMs) * 1_000,
    processor: perPiece(processes, before, seen.done),
    failed: seen.failed,
    why: seen.why,
  };
}

/** The first word in threads of these lengths, and the same when the run wants the last ten messages only; medians. */
export interface LongThreads {
  readonly messages: number;
  readonly firstMs: number;
  readonly lastTenMs: number;
}

const AT_ONCE = 40;

/** Threads of 10 and of `long` messages, asked in turn. */
export async function longThreads(
  client: Client,
  { base }: Service,
  { long, rounds }: { readonly long: number; readonly rounds: number },
): Promise<readonly LongThreads[]> {
  const assistant = String((await call(base, '/assistants', { model: 'paced-4-2' }))['id']);
  const arms: Arm[] = [];
  for (const messages of [10, long]) {
    const path = `/threads/${await threadOf(base, messages)}/runs`;
    const body = { assistant_id: assistant, stream: true };
    const truncation_strategy = { type: 'last_messages', last_messages: 10 };
    arms.push({ name: `${messages}`, base, path, body, tokens: 4 });
    arms.push({ name: `${messages} last`, base, path, body: { ...body, truncation_strategy }, tokens: 4 });
  }
  const { firstMs } = await client.do({ type: 'rounds', arms, rounds, warmUp: 5 });
  return [10, long].map((messages) => ({
    messages,
    firstMs: median(valid(firstMs[`${messages}`] ?? [])),
    lastTenMs: median(valid(firstMs[`${messages} last`] ?? [])),
  }));
}

async function threadOf(base: string, messages: number): Promise<string> {
  const thread = String((await call(base, '/threads', {}))['id']);
  let left = messages;
  const add = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await call(base, `/threads/${thread}/messages`, {
        role: 'user',
        content: `This is message number ${left}.`,
      });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, add));
  return thread;
}

/** Memory of an idle service in MB, by role, and what an open stream that says nothing adds, in KB. */
export interface Memory {
  readonly idleMb: ReadonlyMap<string, number>;
  readonly apiPerStreamKb: number;
  readonly workerPerRunKb: number;
  readonly failed: number;
}

const SETTLE_MS = 5_000;

/** Opens so many silent streams. The service must be freshly started; it is stopped with its streams open. */
export async function memory(client: Client, service: Service, streams: number): Promise<Memory> {
  const [arm] = await assistantsArms('', service.base, 'waits');
  if (arm === undefined) throw new Error('there is no arm');
  await sleep(SETTLE_MS);
  const idle = memoryOf(service.processes);
  const seen = await client.do({ type: 'open', arm, streams });
  await sleep(SETTLE_MS);
  const full = memoryOf(service.processes);
  const grown = (role: string): number => (((full.get(role) ?? 0) - (idle.get(role) ?? 0)) * 1_024) / streams;
  return {
    idleMb: idle,
    apiPerStreamKb: grown('api'),
    workerPerRunKb: grown('worker'),
    failed: seen.failed,
  };
}

/** What finished runs leave in Redis for good, without their logs: in bytes beside their text. */
export interface Stored {
  readonly plainRun: number;
  /** A run of an assistant with 8 kB of instructions and 20 tools. */
  readonly richRun: number;
  /** A thread of 50 messages, each question answered. */
  readonly thread: number;
}

const RUN_TOKENS = 500;

export async function stored({ base, redis }: Service, runs: number): Promise<Stored> {
  const model = `paced-${RUN_TOKENS}-0`;
  const tool = (index: number): unknown => ({
    type: 'function',
    function: {
      name: `look_up_${index}`,
      description: `Looks up the record of kind ${index} that belongs to a customer, by its number.`,
      parameters: { type: 'object', properties: { number: { type: 'string', description: 'Its number' } } },
    },
  });
  const rich = {
    model,
    instructions: 'Be kind. '.repeat(900),
    tools: Array.from({ length: 20 }, (_, index) => tool(index)),
  };
  const text = Array.from({ length: RUN_TOKENS }, (_, index) => ` w${index}`).join('').length;
  const plainRun = (await grownBy(redis, async () => await runsOf(base, { model }, runs))) / runs - text;
  const richRun = (await grownBy(redis, async () => await runsOf(base, rich, runs))) / runs - text;
  const thread = await grownBy(redis, async () => await turnsOf(base, { model }, 25));
  return { plainRun, richRun, thread: thread - 25 * text };
}

async function grownBy(redis: Service['redis'], work: () => Promise<void>): Promise<number> {
  const before = await keptBytes(redis);
  await work();
  return (await keptBytes(redis)) - before;
}

/** All keys that do not expire, as Redis measures them; the queue's own, which are bounded, aside. */
async function keptBytes(redis: Service['redis']): Promise<number> {
  let sum = 0;
  for await (const found of redis.scanStream({ count: 1_000 })) {
    const keys: readonly string[] = Array.isArray(found) ? found.map(String) : [];
    const bytes = await Promise.all(
      keys.map(async (key) => {
        const [leftMs, used] = await Promise.all([redis.pttl(key), redis.memory('USAGE', key, 'SAMPLES', 0)]);
        return leftMs === -1 && !key.startsWith('{') ? (used ?? 0) : 0;
      }),
    );
    sum = bytes.reduce((all, each) => all + each, sum);
  }
  return sum;
}

async function runsOf(base: string, assistant: object, runs: number): Promise<void> {
  const id = String((await call(base, '/assistants', assistant))['id']);
  const body = { assistant_id: id, stream: true, thread: { messages: [{ role: 'user', content: 'hello' }] } };
  const arm: Arm = { name: 'run', base, path: '/threads/runs', body, tokens: RUN_TOKENS };
  for (let done = 0; done < runs; done += AT_ONCE) {
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, runs - done) }, async () => await ask(arm)));
  }
}

/** So many questions and answers in one thread. */
async function turnsOf(base: string, assistant: object, turns: number): Promise<void> {
  const id = String((await call(base, '/assistants', assistant))['id']);
  const thread = String((await call(base, '/threads', {}))['id']);
  const body = { assistant_id: id, stream: true, additional_messages: [{ role: 'user', content: 'hello' }] };
  const arm: Arm = { name: 'turn', base, path: `/threads/${thread}/runs`, body, tokens: RUN_TOKENS };
  for (let turn = 0; turn < turns; turn++) await ask(arm);
}
