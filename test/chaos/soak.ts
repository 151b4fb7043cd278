/**
 * A day's load in minutes: `npm run soak -- --runs 20000`. Clients of four kinds come without a pause; the memory of every
 * process and of Redis is looked at all the while. Ends with exit code 1 where any of them, when all is quiet again, is above
 * what it was after the first tenth.
 *
 *   --runs      how many runs
 *   --clients   how many at a time
 */
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { calls, says } from '../support/upstream.ts';
import { Wire } from '../support/wire.ts';
import { Deployment } from './deployment.ts';
import { checkLeaks, memoryOf, plateauOf } from './leaks.ts';

const whole = z.coerce.number().int().min(1);
const optionsSchema = z.object({ runs: whole.default(20_000), clients: whole.default(32) });
const text = { type: 'string' } as const;
const { values } = parseArgs({ options: { runs: text, clients: text } });
const { runs, clients } = optionsSchema.parse(values);

const SAMPLES = 10;
/** Logs of ended runs, and everything else that expires, are gone by then. */
const QUIET_MS = 12_000;
const LOG_KEPT_S = '5';
/** Garbage collectors keep some room, and no two samples are alike. */
const TOLERANCE = 1.3;
const TOLERANCE_MB = 16;
const ANSWER = Array.from({ length: 40 }, (_, index) => `word${index} `);
const TOOLS = [{ type: 'function', function: { name: 'clock' } }];

const deployment = await Deployment.start({
  apis: 2,
  workers: 2,
  persistence: 'everysec',
  // With all the room they want, collectors let garbage lie for 20,000 runs before memory is flat.
  env: { LOG_KEPT_S, NODE_OPTIONS: '--max-old-space-size=160 --max-semi-space-size=8' },
});
const { service, upstream, admin } = deployment;
upstream.reply(({ body, outputs }) =>
  body.tools !== undefined && outputs.length === 0
    ? calls([{ name: 'clock', arguments: {} }])
    : says(...ANSWER),
);
const [first = '', second = ''] = service.origins.map((origin) => `${origin}/v1`);
const plateau = await plateauOf(deployment);
const setUp = new Wire(first);
const { id: assistant_id } = await setUp.ok('POST', '/assistants', { model: 'm' });
const { id: withTools } = await setUp.ok('POST', '/assistants', {
  model: 'm',
  tools: TOOLS,
  metadata: { auto_tools: 'true' },
});

/** One client's visit: polls, streams, has a tool run, or chats. */
async function visit(index: number): Promise<void> {
  const wire = new Wire(index % 2 === 0 ? first : second);
  const kind = index % 4;
  if (kind === 3) {
    const body = { model: 'm', stream: true, messages: [{ role: 'user', content: 'hello' }] };
    const answer = await wire.ask('POST', '/chat/completions', { body });
    if (!answer.text.endsWith('data: [DONE]\n\n'))
      throw new Error(`chat ${index}: ${answer.text.slice(-200)}`);
    return;
  }
  const thread = await wire.thread('hello');
  if (kind === 0) {
    const run = await wire.play(thread, { assistant_id });
    if (run.status !== 'completed') throw new Error(`run ${run.id} is ${run.status}`);
  } else {
    const body = { assistant_id: kind === 1 ? assistant_id : withTools, stream: true };
    const { text: told } = await wire.ask('POST', `/threads/${thread}/runs`, { body });
    if (!told.includes('thread.run.completed')) throw new Error(`stream ${index}: ${told.slice(-200)}`);
  }
  await wire.ask('DELETE', `/threads/${thread}`);
}

/** Megabytes, of every process and of what Redis holds. */
async function memory(): Promise<Readonly<Record<string, number>>> {
  const used = /used_memory:(\d+)/.exec(await admin.info('memory'))?.[1];
  return { ...memoryOf(deployment), redis: Math.round(Number(used) / 1024 / 1024) };
}

async function quiet(): Promise<Readonly<Record<string, number>>> {
  await delay(QUIET_MS);
  return memory();
}

let next = 0;
async function play(upTo: number): Promise<void> {
  await Promise.all(
    Array.from({ length: clients }, async () => {
      while (next < upTo) await visit(next++);
    }),
  );
}

try {
  const table: Record<string, Readonly<Record<string, number>>> = {};
  let reference: Readonly<Record<string, number>> = {};
  const startedMs = performance.now();
  for (let sample = 1; sample <= SAMPLES; sample += 1) {
    await play(Math.round((runs * sample) / SAMPLES));
    table[`${next} runs`] = await memory();
    // The model's record of what it was asked is ours, not the service's.
    upstream.requests.length = 0;
    if (sample === 1) {
      reference = await quiet();
      table['quiet after a tenth'] = reference;
    }
  }
  const seconds = Math.round((performance.now() - startedMs - QUIET_MS) / 1000);
  const last = await quiet();
  table['quiet at the end'] = last;
  console.table(table);
  console.log(`${runs} runs in ${seconds} s, ${clients} clients at a time.`);
  const leaks = (await checkLeaks(deployment, plateau)).map(({ rule, detail }) => `${rule}: ${detail}`);
  const grown = Object.entries(last).filter(
    ([name, megabytes]) => megabytes > (reference[name] ?? 0) * TOLERANCE + TOLERANCE_MB,
  );
  for (const [name, megabytes] of grown) leaks.push(`${name} has grown to ${megabytes} MB`);
  for (const leak of leaks) console.error(leak);
  process.exitCode = leaks.length > 0 ? 1 : 0;
} finally {
  await deployment.stop();
}
