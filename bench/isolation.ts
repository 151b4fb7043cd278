/**
 * What a tool in an endless loop costs the other runs of its worker: `npm run bench:isolation`. Ten runs stream a token
 * every 20 ms through one worker, with and without two looping tools beside them, in turn. Every token says when it left the
 * model server; prints how late the client had it, and how late the median and the latest stream was.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { startPrivateRedis } from '../test/support/redis.ts';
import { startService } from '../test/support/service.ts';
import { calls, FakeUpstream, finish, says, text, type Step } from '../test/support/upstream.ts';
import { Wire } from '../test/support/wire.ts';

const ROUNDS = 5;
const STREAMS = 10;
const LOOPS = 2;
const TOKENS = 100;
const TOKEN_EVERY_MS = 20;
const LOOP_MS = 4_000;
/** What a listener would notice. */
const LIMIT_MS = 100;

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
  if (asked !== 'spin') return paced();
  return outputs.length === 0 ? calls([{ name: 'spin', arguments: {} }]) : says('spun');
});
const redis = await startPrivateRedis();
const service = await startService({ redisUrl: redis.url, upstream, env: { TOOL_FOLDERS: folder } });
try {
  const wire = new Wire(service.baseUrl);
  const { id: assistant_id } = await wire.ok('POST', '/assistants', {
    model: 'm',
    metadata: { auto_tools: 'spin' },
  });
  const round = async (loops: number): Promise<readonly number[]> => {
    const spinning = await Promise.all(
      Array.from({ length: loops }, async () => wire.run(await wire.thread('spin'), { assistant_id })),
    );
    const late = await Promise.all(Array.from({ length: STREAMS }, () => listen(service.baseUrl)));
    for (const run of spinning) await wire.rested(run);
    return late.flat();
  };
  await round(LOOPS);
  const arms: { alone: number[]; beside: number[] } = { alone: [], beside: [] };
  for (let index = 0; index < ROUNDS; index++) {
    arms.alone.push(...(await round(0)));
    arms.beside.push(...(await round(LOOPS)));
  }
  const beside = summary(arms.beside);
  console.table({ 'no loop': summary(arms.alone), [`${LOOPS} tools in a loop`]: beside });
  if ((beside['p99 ms'] ?? Infinity) > LIMIT_MS) {
    console.error(`The p99 beside loops is above ${LIMIT_MS} ms.`);
    process.exitCode = 1;
  }
} finally {
  await service.stop();
  await upstream.stop();
  await redis.stop();
  rmSync(folder, { recursive: true });
}
