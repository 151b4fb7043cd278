/**
 * What cold threads cost and save: `npm run bench:cold -- --redis URL` (an empty Redis, whose memory is measured). Threads of a few
 * turns are made and read, all of them leave Redis, and each comes back and is read again: every answer must be the same. Options:
 * `--threads 10000`, `--turns 5`, `--postgres URL` (else a file of SQLite).
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { openColdRows } from '../src/library/open.ts';
import { PLAIN_ORIGIN, type RunEvent } from '../src/runs/event.ts';
import { newId } from '../src/runs/ids.ts';
import { queuedRun, toMessage } from '../src/runs/parts.ts';
import { Freezer } from '../src/store/freezer.ts';
import { openStore, type Store } from '../src/store/open.ts';
import { readMemory } from '../src/store/redis-memory.ts';
import { keysLike } from '../test/support/contents.ts';

const { values: options } = parseArgs({
  options: {
    redis: { type: 'string', default: 'redis://127.0.0.1:6379' },
    threads: { type: 'string', default: '10000' },
    turns: { type: 'string', default: '5' },
    postgres: { type: 'string' },
  },
});

const PROJECT = 'bench';
const PREFIX = 'bench-cold';
const [THREADS, TURNS] = [Number(options.threads), Number(options.turns)];
/** Made, frozen and read so many at a time. */
const TOGETHER = 8;
const QUESTION_WORDS = 35;
const ANSWER_WORDS = 70;
const PAGE = { limit: 100, order: 'asc', after: null, before: null } as const;
const log = pino({ level: 'warn' });

/** Words as people use them: those of the documentation, again and again in another order. */
const WORDS = ['README.md', 'docs/configuration.md', 'docs/durability.md', 'docs/devices.md']
  .flatMap((name) => readFileSync(join(import.meta.dirname, '..', name), 'utf8').match(/[a-z]{2,}/gi) ?? [])
  .toSorted();
let seed = 42;
function text(words: number): string {
  const chosen = Array.from({ length: words }, () => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
    return WORDS[(seed >> 8) % WORDS.length];
  });
  return chosen.join(' ');
}

async function makeThread({ objects, runs, clock }: Store): Promise<string> {
  const at = clock.now();
  const threadId = newId('thread');
  const thread = {
    id: threadId,
    object: 'thread',
    created_at: at,
    metadata: {},
    tool_resources: {},
  } as const;
  await objects.threads.create(PROJECT, thread, []);
  for (let turn = 0; turn < TURNS; turn += 1) {
    const run = queuedRun({
      id: newId('run'),
      created_at: at,
      thread_id: threadId,
      assistant_id: 'asst_bench',
      model: 'bench',
      instructions: 'Answer.',
      tools: [],
      metadata: {},
      temperature: 1,
      top_p: 1,
      reasoning_effort: null,
      max_completion_tokens: null,
      max_prompt_tokens: null,
      truncation_strategy: { type: 'auto', last_messages: null },
      response_format: 'auto',
      tool_choice: 'auto',
      expires_at: at + 600,
      parallel_tool_calls: true,
    });
    const origin = { ...PLAIN_ORIGIN, project: PROJECT, request_id: newId('req') };
    const question = toMessage(
      { role: 'user', content: [{ type: 'text', text: { value: text(QUESTION_WORDS), annotations: [] } }] },
      threadId,
      newId('msg'),
      at,
    );
    const created = await runs.create(PROJECT, {
      run,
      origin,
      messages: [question],
      thread: null,
      input: [],
    });
    if (created.type !== 'created') throw new Error(created.type);
    const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };
    const [message_id, step_id] = [newId('msg'), newId('step')];
    const events: readonly RunEvent[] = [
      { type: 'run.started', at },
      { type: 'step.created', at, step_id, message_id },
      { type: 'message.created', at, message_id },
      { type: 'message.delta', text: text(ANSWER_WORDS) },
      { type: 'message.completed', at },
      {
        type: 'step.completed',
        at,
        usage: {
          ...usage,
          prompt_token_details: { cached_tokens: 0 },
          completion_tokens_details: { reasoning_tokens: 0 },
        },
        outputs: null,
      },
      { type: 'run.completed', at },
    ];
    await runs.commit(created.stored, events);
  }
  return threadId;
}

/** A digest of everything that clients can read of a thread. */
async function answersOf({ objects, runs }: Store, threadId: string): Promise<string> {
  const ref = { project: PROJECT, threadId };
  const thread = await objects.threads.get(ref);
  const messages = await objects.messages.list(ref, null, PAGE);
  const listed = await objects.runs.list(ref, PAGE);
  const found = listed.type === 'page' ? listed.items : [];
  const each = await Promise.all(
    found.map(async ({ id: runId }) => [
      (await runs.get({ ...ref, runId }))?.stored,
      await objects.steps.list({ ...ref, runId }, PAGE),
      await objects.messages.list(ref, runId, PAGE),
    ]),
  );
  return createHash('sha256')
    .update(JSON.stringify([thread, messages, listed, each]))
    .digest('base64');
}

async function inTurn<T>(
  items: readonly T[],
  work: (items: readonly T[]) => Promise<unknown>,
): Promise<void> {
  for (let at = 0; at < items.length; at += TOGETHER) await work(items.slice(at, at + TOGETHER));
}

const folder = mkdtempSync(join(tmpdir(), 'longrun-bench-cold-'));
const library = options.postgres ?? join(folder, 'library.sqlite');
const rows = openColdRows(library);
const store = await openStore({
  redisUrl: options.redis,
  redisPrefix: PREFIX,
  durability: 'local',
  logKeptS: 1,
  pageLimitBytes: 64 * 1024 * 1024,
  whenAway: 'fail',
  coldRows: rows,
  log,
  count: () => {},
});
const { redis, cold, clock } = store;
const freezer = new Freezer({ ...store, rows, nowMs: clock.nowMs, log });
const usedBytes = async (): Promise<number> => (await readMemory(redis)).usedBytes;
const forget = async (pattern: string): Promise<void> => {
  const found = await keysLike(redis, pattern);
  for (let from = 0; from < found.length; from += 1_000)
    await redis.unlink(...found.slice(from, from + 1_000));
};
try {
  await store.queue.ready();
  const empty = await usedBytes();
  const threads: string[] = [];
  await inTurn(Array.from({ length: THREADS }), async (some) => {
    threads.push(...(await Promise.all(some.map(async () => makeThread(store)))));
  });
  // Nobody executes the jobs, and what was used is counted once.
  await forget(`{${PREFIX}}*`);
  await forget(`${PREFIX}:*:counted:*`);
  // Logs expire a second after their runs have ended.
  while ((await keysLike(redis, `${PREFIX}:*:log:*`)).length > 0)
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  const before = new Map<string, string>();
  await inTurn(threads, async (some) => {
    for (const id of some) before.set(id, await answersOf(store, id));
  });
  const warmBytes = await usedBytes();

  const frozenAtMs = performance.now();
  await inTurn(threads, async (some) =>
    freezer.freeze(some.map((threadId) => ({ ref: { project: PROJECT, threadId }, usedMs: 0 }))),
  );
  const freezeMs = (performance.now() - frozenAtMs) / THREADS;
  const coldBytes = await usedBytes();
  const rowBytes =
    options.postgres === undefined
      ? statSync(join(folder, 'library-threads.sqlite')).size / THREADS
      : Number.NaN;

  const tookMs: number[] = [];
  for (const threadId of threads) {
    const sinceMs = performance.now();
    await store.objects.threads.get({ project: PROJECT, threadId });
    tookMs.push(performance.now() - sinceMs);
  }
  const sorted = tookMs.toSorted((a, b) => a - b);
  const at = (share: number): string => (sorted[Math.floor(sorted.length * share)] ?? 0).toFixed(1);
  let different = 0;
  for (const id of threads) if ((await answersOf(store, id)) !== before.get(id)) different += 1;

  console.table({
    threads: THREADS,
    'turns each': TURNS,
    'frozen / thawed': `${cold.counts.frozen} / ${cold.counts.thawed}`,
    'answers that differ': different,
    'Redis, bytes a thread: warm': Math.round((warmBytes - empty) / THREADS),
    'Redis, bytes a thread: cold': Math.round((coldBytes - empty) / THREADS),
    'row, bytes a thread (file)': Math.round(rowBytes),
    'freeze, ms a thread': freezeMs.toFixed(2),
    'thaw p50 / p99, ms': `${at(0.5)} / ${at(0.99)}`,
  });
  process.exitCode = different === 0 && cold.counts.thawed === THREADS ? 0 : 1;
} finally {
  await forget(`*${PREFIX}*`);
  await store.close();
  await rows.close();
  rmSync(folder, { recursive: true, force: true });
}
