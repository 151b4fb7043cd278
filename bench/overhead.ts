/**
 * What the service adds to a model's first word, and what a token costs: `npm run bench`. Requests go directly to a fake
 * model server and through the service in turn, in the same rounds, so that a noisy machine hits both alike. Prints
 * medians with their quartiles, and refuses to when the direct arm itself is unsteady.
 */
import { performance } from 'node:perf_hooks';
import { createServer, type ServerResponse } from 'node:http';
import { startPrivateRedis } from '../test/support/redis.ts';
import { startService } from '../test/support/service.ts';

const ROUNDS = 200;
const WARM_UP = 30;
const TOKENS = 20;
const TOKEN_EVERY_MS = 10;
/** Beyond this spread of the direct arm, the machine measures itself. */
const MAX_DIRECT_SPREAD_MS = 5;

const chunk = (text: string): string =>
  `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta: { content: text }, finish_reason: null }] })}\n\n`;
const END = `data: ${JSON.stringify({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] })}\n\ndata: [DONE]\n\n`;

/** Answers like a fast model: the first token at once, the others at a steady pace. */
const model = createServer((request, response) => {
  request.resume();
  request.on('end', () => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    say(response, TOKENS);
  });
});

function say(response: ServerResponse, left: number): void {
  if (response.destroyed) return;
  if (left === 0) {
    response.end(END);
    return;
  }
  response.write(chunk('word '));
  setTimeout(say, TOKEN_EVERY_MS, response, left - 1);
}

interface Sample {
  readonly firstMs: number;
  readonly tokens: number;
}

/** Asks once and reads to the end; the first word is the first frame with content. */
async function ask(base: string): Promise<Sample> {
  const startMs = performance.now();
  const body = JSON.stringify({ model: 'm', stream: true, messages: [{ role: 'user', content: 'hello' }] });
  const response = await fetch(`${base}/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  });
  if (!response.ok || response.body === null) throw new Error(`${base} answered ${response.status}`);
  let firstMs = 0;
  let text = '';
  for await (const packet of response.body.pipeThrough(new TextDecoderStream())) {
    text += packet;
    if (firstMs === 0 && text.includes('"content":"word')) firstMs = performance.now() - startMs;
  }
  return { firstMs, tokens: text.split('word ').length - 1 };
}

const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;

function summary(values: readonly number[]): Record<string, number> {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number => Math.round(quantile(sorted, share) * 100) / 100;
  return { 'p25 ms': at(0.25), 'median ms': at(0.5), 'p75 ms': at(0.75), 'p99 ms': at(0.99) };
}

await new Promise<void>((resolve) => {
  model.listen(0, '127.0.0.1', resolve);
});
const address = model.address();
if (address === null || typeof address === 'string') throw new Error('the model server has no port');
const direct = `http://127.0.0.1:${address.port}/v1`;
const redis = await startPrivateRedis();
const service = await startService({ redisUrl: redis.url, upstream: { baseUrl: direct } });
try {
  const directMs: number[] = [];
  const throughMs: number[] = [];
  const addedMs: number[] = [];
  for (let round = 0; round < WARM_UP + ROUNDS; round++) {
    const plain = await ask(direct);
    const queued = await ask(service.baseUrl);
    if (queued.tokens !== TOKENS) throw new Error(`${queued.tokens} of ${TOKENS} tokens came through`);
    if (round < WARM_UP) continue;
    directMs.push(plain.firstMs);
    throughMs.push(queued.firstMs);
    addedMs.push(queued.firstMs - plain.firstMs);
  }
  console.table({
    direct: summary(directMs),
    'through Longrun': summary(throughMs),
    added: summary(addedMs),
  });
  const { 'p25 ms': low = 0, 'p75 ms': high = 0 } = summary(directMs);
  if (high - low > MAX_DIRECT_SPREAD_MS)
    console.warn('The direct arm is unsteady: do not quote these figures.');
} finally {
  await service.stop();
  await redis.stop();
  model.closeAllConnections();
  model.close();
}
