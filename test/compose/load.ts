/**
 * The load check, run by hand: `npm run check:compose`. It starts the deployment of docker-compose.yml with one API and
 * three workers, gives it 300 runs, 50 at a time, through the official SDK, and stops one worker in the middle of it.
 *
 * Claims: every run completes with its own answer; the model is asked exactly once per run; no thread stays locked.
 *
 *   npm run check:compose -- test/compose/host-network.yml         with a further compose file
 *   npm run check:compose -- --url http://127.0.0.1:8080 --model-port 8091
 *       a service that runs already, with OPENAI_BASE_URL=http://127.0.0.1:8091/v1; nothing is stopped
 */
import { parseArgs } from 'node:util';
import OpenAI from 'openai';
import { CountingModel } from './counting-model.ts';
import { Deployment } from './deployment.ts';

const RUNS = 300;
const AT_ONCE = 50;
const WORKERS = 3;
const STOP_AFTER_RUNS = 100;
const RUN_TIMEOUT_MS = 60_000;

interface Outcome {
  readonly threadId: string;
  readonly status: string;
  /** The answer begins with the run's own marker. */
  readonly isOwnAnswer: boolean;
  readonly tookMs: number;
}

const { values, positionals } = parseArgs({
  options: { url: { type: 'string' }, key: { type: 'string' }, 'model-port': { type: 'string' } },
  allowPositionals: true,
});
const model = new CountingModel();
const modelPort = await model.start(Number(values['model-port'] ?? 0));
const deployment =
  values.url === undefined ? new Deployment({ workers: WORKERS, modelPort, files: positionals }) : null;
try {
  await deployment?.up();
  process.exitCode = (await check(deployment)) ? 0 : 1;
} finally {
  deployment?.down();
  await model.stop();
}

async function check(target: Deployment | null): Promise<boolean> {
  const client = new OpenAI({
    baseURL: `${target?.url ?? values.url ?? ''}/v1`,
    apiKey: target?.key ?? values.key ?? 'none',
    // A retry would hide a request that was lost.
    maxRetries: 0,
  });
  const assistant = await client.beta.assistants.create({ model: 'counting', instructions: 'Answer.' });

  const startedMs = performance.now();
  const outcomes: Outcome[] = [];
  const errors: unknown[] = [];
  const stopping: Promise<void>[] = [];
  let next = 0;
  const drive = async (): Promise<void> => {
    while (next < RUNS) {
      const marker = `marker-${(next += 1)}`;
      try {
        outcomes.push(await runOnce(client, assistant.id, marker));
      } catch (error) {
        errors.push(error);
      }
      if (outcomes.length >= STOP_AFTER_RUNS && stopping.length === 0 && target !== null) {
        stopping.push(target.stopOneWorker());
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, drive));
  const tookMs = performance.now() - startedMs;
  await Promise.all(stopping);

  const unlocked = await Promise.allSettled(
    outcomes.map(({ threadId }) =>
      client.beta.threads.messages.create(threadId, { role: 'user', content: 'more' }),
    ),
  );
  const counts = [...model.asked.values()];
  report({
    'runs driven': RUNS,
    'at once': AT_ONCE,
    'seconds in all': (tookMs / 1000).toFixed(1),
    'runs per second': (RUNS / (tookMs / 1000)).toFixed(1),
    ...percentiles(outcomes.map((outcome) => outcome.tookMs)),
    'model requests': counts.reduce((sum, count) => sum + count, 0),
    'most model requests at once': model.peak,
    'worker stopped on the way': target === null ? 'no' : 'yes',
  });
  for (const error of errors.slice(0, 5)) process.stdout.write(`error: ${String(error)}\n`);
  return claims({
    'every run completed': outcomes.filter(({ status }) => status === 'completed').length === RUNS,
    'every run has its own answer': outcomes.filter(({ isOwnAnswer }) => isOwnAnswer).length === RUNS,
    'the model was asked exactly once per run':
      counts.length === RUNS && counts.every((count) => count === 1),
    'no thread stayed locked':
      unlocked.length === RUNS && unlocked.every(({ status }) => status === 'fulfilled'),
  });
}

async function runOnce(client: OpenAI, assistantId: string, marker: string): Promise<Outcome> {
  const startedMs = performance.now();
  const { beta } = client;
  const thread = await beta.threads.create({ messages: [{ role: 'user', content: marker }] });
  const run = await beta.threads.runs.createAndPoll(
    thread.id,
    { assistant_id: assistantId },
    { signal: AbortSignal.timeout(RUN_TIMEOUT_MS) },
  );
  const { data } = await beta.threads.messages.list(thread.id, { run_id: run.id });
  const [part] = data[0]?.content ?? [];
  const isOwnAnswer = data.length === 1 && part?.type === 'text' && part.text.value.startsWith(`${marker} `);
  return { threadId: thread.id, status: run.status, isOwnAnswer, tookMs: performance.now() - startedMs };
}

function percentiles(timesMs: readonly number[]): Record<string, string> {
  const sorted = timesMs.toSorted((a, b) => a - b);
  const at = (share: number): string =>
    `${Math.round(sorted[Math.floor((sorted.length - 1) * share)] ?? 0)} ms`;
  return { 'a run, median': at(0.5), 'a run, 95 of 100': at(0.95), 'a run, slowest': at(1) };
}

function report(figures: Readonly<Record<string, string | number>>): void {
  for (const [name, value] of Object.entries(figures)) process.stdout.write(`${name.padEnd(30)} ${value}\n`);
}

function claims(held: Readonly<Record<string, boolean>>): boolean {
  for (const [name, holds] of Object.entries(held))
    process.stdout.write(`${holds ? 'holds ' : 'BROKEN'} ${name}\n`);
  return Object.values(held).every(Boolean);
}
