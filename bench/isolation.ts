/**
 * What hostile tools, documents and code cost the other runs of their worker: `npm run bench:isolation`. Ten runs stream a token
 * every 20 ms through one worker, alone and beside each of these, in turn. Every token says when it left the model server;
 * prints how late the client had it, and how late the median and the latest stream was. `--rounds 3` says how often each is measured.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { hasBubblewrap } from '../test/sandbox/sandbox.ts';
import { options } from '../test/sandbox/options.ts';
import { startPrivateRedis } from '../test/support/redis.ts';
import { startService } from '../test/support/service.ts';
import { calls, FakeUpstream, finish, says, text, type Step } from '../test/support/upstream.ts';
import { Wire, type WireRun } from '../test/support/wire.ts';
import { HOSTILE_CODE, hostileDocuments } from './bombs.ts';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '3' } } });
const ROUNDS = Number(values.rounds);
const STREAMS = 10;
const LOOPS = 2;
const TOKENS = 100;
const TOKEN_EVERY_MS = 20;
const LOOP_MS = 4_000;
/** What a listener would notice. */
const LIMIT_MS = 100;

/** What runs beside the streams has begun; resolves when it is over. */
type Beside = () => Promise<void>;

const fileSchema = z.looseObject({ id: z.string() });
const storeSchema = z.looseObject({ status: z.string() });

const nowMs = (): number => performance.timeOrigin + performance.now();

/** Tokens that say when they were sent: the script's steps are read as they are played. */
function* paced(): Generator<Step> {
  for (let index = 0; index < TOKENS; index++) {
    yield { type: 'delay', delayMs: TOKEN_EVERY_MS };
    yield text(`<${nowMs()}>`);
  }
  yield finish('stop');
}

/** How late each token of one run came, in milliseconds. */
async function listen(base: string): Promise<readonly number[]> {
  const body = JSON.stringify({ model: 'm', stream: true, messages: [{ role: 'user', content: 'count' }] });
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(`${base}/chat/completions`, { method: 'POST', headers, body });
  if (!response.ok || response.body === null) throw new Error(`the service answered ${response.status}`);
  const lateMs: number[] = [];
  for await (const packet of response.body.pipeThrough(new TextDecoderStream())) {
    const atMs = nowMs();
    for (const [, sentMs] of packet.matchAll(/<([\d.]+)>/g)) lateMs.push(atMs - Number(sentMs));
  }
  if (lateMs.length !== TOKENS) throw new Error(`${lateMs.length} of ${TOKENS} tokens came through`);
  return lateMs;
}

function summary(values: readonly number[]): Record<string, number> {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number =>
    Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0) * 10) / 10;
  return { 'median ms': at(0.5), 'p99 ms': at(0.99), 'latest ms': at(1) };
}

const folder = mkdtempSync(join(tmpdir(), 'longrun-bench-'));
writeFileSync(
  join(folder, 'spin.ts'),
  `import { z } from 'zod';
   export default { name: 'spin', description: 'x', parameters: z.object({}), timeoutMs: ${LOOP_MS}, run: () => { for (;;); } };`,
);
const upstream = await FakeUpstream.start();
upstream.reply(({ text: asked, outputs }) => {
  const code = HOSTILE_CODE[asked];
  if (asked !== 'spin' && code === undefined) return paced();
  if (outputs.length > 0) return says('done');
  return calls([
    code === undefined ? { name: 'spin', arguments: {} } : { name: 'code_interpreter', arguments: { code } },
  ]);
});
const canRun = await hasBubblewrap();
const redis = await startPrivateRedis();
const service = await startService({
  redisUrl: redis.url,
  upstream,
  env: {
    TOOL_FOLDERS: folder,
    LIBRARY_URL: join(folder, 'library.sqlite'),
    CODE_FOLDER: resolve(options().codeFolder),
  },
});
try {
  const wire = new Wire(service.baseUrl);
  const { id: spinner } = await wire.ok('POST', '/assistants', {
    model: 'm',
    metadata: { auto_tools: 'spin' },
  });
  const tools = [{ type: 'code_interpreter' }];
  const { id: coder } = await wire.ok('POST', '/assistants', { model: 'm', tools });
  const documents = hostileDocuments();

  const runs = async (assistant_id: string, text: string): Promise<Beside> => {
    const all = await Promise.all(
      Array.from({ length: LOOPS }, async () => wire.run(await wire.thread(text), { assistant_id })),
    );
    return async () => ended(all);
  };
  const ended = async (all: readonly WireRun[]): Promise<void> => {
    for (const run of all) await wire.rested(run);
  };
  /** Has a document read, again and again: each is given up within seconds. */
  const reading = async (name: string, bytes: Buffer): Promise<Beside> => {
    const { id } = await wire.ok('POST', '/vector_stores', {});
    for (let copy = 0; copy < LOOPS; copy += 1) {
      const form = new FormData();
      form.set('purpose', 'assistants');
      form.set('file', new Blob([new Uint8Array(bytes)]), name);
      const reply = await wire.ask('POST', '/files', { body: form });
      const { id: file_id } = fileSchema.parse(reply.body);
      await wire.ok('POST', `/vector_stores/${id}/files`, { file_id });
    }
    return async () => {
      for (let status = 'in_progress'; status === 'in_progress';) {
        await delay(100);
        ({ status } = storeSchema.parse(await wire.ok('GET', `/vector_stores/${id}`)));
      }
    };
  };
  const arms: Readonly<Record<string, () => Promise<Beside>>> = {
    alone: async () => async () => {},
    [`${LOOPS} tools in a loop`]: async () => runs(spinner, 'spin'),
    ...Object.fromEntries(
      Object.entries(documents).map(([name, bytes]) => [
        `${LOOPS} × ${name}`,
        async () => reading(name, bytes),
      ]),
    ),
    ...Object.fromEntries(
      Object.keys(canRun ? HOSTILE_CODE : {}).map((name) => [
        `${LOOPS} × code: ${name}`,
        async () => runs(coder, name),
      ]),
    ),
  };
  const late = new Map<string, number[]>();
  // The first round brings code into memory, and counts for nothing.
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const [name, begin] of Object.entries(arms)) {
      const end = await begin();
      const heard = await Promise.all(Array.from({ length: STREAMS }, () => listen(service.baseUrl)));
      await end();
      if (round > 0) late.set(name, [...(late.get(name) ?? []), ...heard.flat()]);
    }
  }
  const table = Object.fromEntries([...late].map(([name, values]) => [name, summary(values)]));
  console.table(table);
  const isVoid = (table['alone']?.['p99 ms'] ?? Infinity) > LIMIT_MS;
  if (isVoid)
    console.error('The streams are late when they are alone: the machine is busy, and the figures are void.');
  for (const [name, figures] of Object.entries(isVoid ? {} : table)) {
    if ((figures['p99 ms'] ?? Infinity) <= LIMIT_MS) continue;
    console.error(`The p99 of ${name} is above ${LIMIT_MS} ms.`);
    process.exitCode = 1;
  }
} finally {
  await service.stop();
  await upstream.stop();
  await redis.stop();
  rmSync(folder, { recursive: true });
}
