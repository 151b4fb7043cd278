/** What is measured of requests to model servers. */
import { afterEach, expect, test } from 'vitest';
import { Measures, WORKER_MEASURES } from '../../src/measures.ts';
import {
  ask,
  begin,
  chunk,
  DONE,
  failureOf,
  HELLO,
  modelAt,
  partsOf,
  startUpstream,
  STOP,
  type TestUpstream,
} from './upstream.ts';

let upstream: TestUpstream;
afterEach(() => upstream.stop());

/** How often each was noted, by its labels. */
function noted(measures: Measures<keyof typeof WORKER_MEASURES>): Record<string, Record<string, number>> {
  const countOf = ([first = 0, ...counts]: readonly number[]): number =>
    counts.length === 0 ? first : counts.reduce((sum, count) => sum + count, 0);
  return Object.fromEntries(
    Object.entries(measures.measured).map(([name, cells]) => [
      name,
      Object.fromEntries(
        Object.entries(cells).map(([key, cell]) => [key.replaceAll('\n', ' '), countOf(cell)]),
      ),
    ]),
  );
}

const USAGE = {
  usage: {
    prompt_tokens: 20,
    completion_tokens: 9,
    total_tokens: 29,
    prompt_tokens_details: { cached_tokens: 16 },
    completion_tokens_details: { reasoning_tokens: 4 },
  },
};
const COUNTED = chunk({ content: 'Hi' }) + STOP + chunk({}, {}, { choices: [], ...USAGE }) + DONE;

test('an answer: how long it took, and its tokens', async () => {
  upstream = await startUpstream((response) => {
    begin(response);
    response.end(COUNTED);
  });
  const measures = new Measures(WORKER_MEASURES);
  await partsOf(modelAt(upstream.url, { measures, upstream: { models: ['gpt-test'] } }));
  expect(noted(measures)).toEqual({
    model_request_seconds: { 'test answered': 1 },
    model_first_token_seconds: { test: 1 },
    tokens_total: {
      'test gpt-test input': 20,
      'test gpt-test cached': 16,
      'test gpt-test output': 9,
      'test gpt-test reasoning': 4,
    },
  });
});

test('an answer: what it cost, where its model has prices', async () => {
  upstream = await startUpstream((response) => {
    begin(response);
    response.end(COUNTED);
  });
  const measures = new Measures(WORKER_MEASURES);
  const prices = { input: 100, cachedInput: 10, output: 1_000 };
  await partsOf(modelAt(upstream.url, { measures, upstream: { models: ['gpt-test'], prices } }));
  const [cost] = measures.measured['cost_total']?.['test\ngpt-test'] ?? [];
  expect(cost).toBeCloseTo((4 * 100 + 16 * 10 + 9 * 1_000) / 1e6, 9);
});

test('a model that the configuration does not name is no label', async () => {
  upstream = await startUpstream((response) => {
    begin(response);
    response.end(COUNTED);
  });
  const measures = new Measures(WORKER_MEASURES);
  const model = modelAt(upstream.url, { measures, upstream: { aliases: { nice: 'real' } } });
  await partsOf(model, ask({ model: 'made-up' }));
  await partsOf(model, ask({ model: 'nice' }));
  expect(noted(measures)['tokens_total']).toMatchObject({ 'test other input': 20, 'test real input': 20 });
  expect(JSON.stringify(measures.measured)).not.toContain('made-up');
});

test('each try is a request, and each but the first a retry', async () => {
  let tries = 0;
  upstream = await startUpstream((response) => {
    tries += 1;
    if (tries === 1) response.writeHead(500).end('{}');
    else if (tries === 2) response.writeHead(429).end('{}');
    else {
      begin(response);
      response.end(HELLO);
    }
  });
  const measures = new Measures(WORKER_MEASURES);
  await partsOf(modelAt(upstream.url, { measures, retries: 2 }));
  expect(noted(measures)).toEqual({
    model_request_seconds: { 'test failed': 2, 'test answered': 1 },
    model_first_token_seconds: { test: 1 },
    upstream_errors_total: { 'test server_error': 1, 'test rate_limit': 1 },
    upstream_retries_total: { test: 2 },
  });
});

test.each([
  ['broken_off', chunk({ content: 'Hel' })],
  ['bad_answer', '<html>'],
])('what goes wrong with an answer is counted by its kind: %s', async (kind, body) => {
  upstream = await startUpstream((response) => {
    begin(response);
    response.end(body);
  });
  const measures = new Measures(WORKER_MEASURES);
  await failureOf(modelAt(upstream.url, { measures }));
  expect(noted(measures)['upstream_errors_total']).toEqual({ [`test ${kind}`]: 1 });
});

test.each([
  [401, {}, 'auth'],
  [404, {}, 'not_found'],
  [400, {}, 'refused'],
  [
    400,
    { error: { code: 'context_length_exceeded', message: 'maximum context length is 10 tokens' } },
    'too_long',
  ],
  [400, { error: { code: 'tool_use_failed', message: 'no' } }, 'server_error'],
  [503, {}, 'server_error'],
])('a refusal with %i %j is %s', async (status, body, kind) => {
  upstream = await startUpstream((response) => void response.writeHead(status).end(JSON.stringify(body)));
  const measures = new Measures(WORKER_MEASURES);
  await failureOf(modelAt(upstream.url, { measures }));
  expect(noted(measures)['upstream_errors_total']).toEqual({ [`test ${kind}`]: 1 });
});

test('a request whose caller has gone is cancelled, not failed', async () => {
  const gone = new AbortController();
  upstream = await startUpstream((response) => {
    begin(response);
    response.write(chunk({ content: 'Hel' }));
  });
  const measures = new Measures(WORKER_MEASURES);
  const model = modelAt(upstream.url, { measures });
  await expect(
    (async () => {
      for await (const _ of model.stream(ask(), gone.signal)) gone.abort(new Error('gone'));
    })(),
  ).rejects.toThrow('gone');
  expect(noted(measures)).toMatchObject({ model_request_seconds: { 'test cancelled': 1 } });
  expect(measures.measured).not.toHaveProperty('upstream_errors_total');
});
