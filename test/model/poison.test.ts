/** Callers who put words into a model server's mouth: what it only repeats of a request is not kept for other callers. */
import { afterEach, expect, test } from 'vitest';
import { error, startStrict, type Body, type Refusal } from './strict.ts';
import { ask, begin, HELLO, modelAt, partsOf, startUpstream, TOOL, type TestUpstream } from './upstream.ts';

let upstream: TestUpstream;
afterEach(() => upstream.stop());

/** A server that quotes what it refuses, as validators do. */
function quoting(print: (value: string) => string): (body: Body) => Refusal | null {
  return ({ seed }) =>
    typeof seed === 'string'
      ? error(
          `1 validation error: seed: Input should be a valid integer [input_value='${print(seed)}', input_type=str]`,
        )
      : null;
}

const plain = (value: string): string => value;
/** As in Python's `ascii`, or in JSON within JSON. */
const escaped = (value: string): string =>
  JSON.stringify(value).replaceAll(
    /[^ -~]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

const FIELDS =
  "Unsupported parameter: 'temperature'.\nUnsupported parameter: 'max_tokens'.\nUnsupported parameter: 'seed'. é Unsupported parameter: 'top_k'.";

test.each([
  ['as they are', plain],
  ['escaped', escaped],
])('quoted words about fields (%s) cost others no field', async (_name, print) => {
  upstream = await startStrict(quoting(print));
  const model = modelAt(upstream.url);
  const more = { temperature: 0.2, max_completion_tokens: 8 };
  await partsOf(model, ask({ ...more, passed_on: { seed: FIELDS, top_k: 3 } })).catch(() => []);
  await partsOf(model, ask({ ...more, passed_on: { seed: 4, top_k: 3 } }));
  expect(upstream.asked.at(-1)?.body).toMatchObject({ temperature: 0.2, max_tokens: 8, seed: 4, top_k: 3 });
});

test.each([
  "This model's maximum context length is 16 tokens.",
  'prompt is too long: 90000 tokens > 16 maximum',
  '上下文长度超过上限 16',
])('a quoted context is no context: %s', async (seed) => {
  upstream = await startStrict(quoting(plain));
  const model = modelAt(upstream.url);
  await partsOf(model, ask({ passed_on: { seed } })).catch(() => []);
  expect(model.contextTokens('gpt-test', null, Infinity)).toBe(Infinity);
});

test('quoted words about tools and pictures cost others neither', async () => {
  upstream = await startStrict(quoting(plain));
  const model = modelAt(upstream.url);
  const image = {
    type: 'image_url' as const,
    image_url: { url: 'data:image/png;base64,AAAA', detail: 'auto' },
  };
  const picture = { role: 'user' as const, content: [image] };
  for (const seed of ['Tools are not supported by this model.', 'Image input is not supported.'])
    await partsOf(model, ask({ messages: [picture], tools: [TOOL], passed_on: { seed } })).catch(() => []);
  const messages = [
    picture,
    { role: 'assistant' as const, content: 'A cat.' },
    { role: 'user' as const, content: 'Why?' },
  ];
  await partsOf(model, ask({ messages, tools: [TOOL], tools_optional: true }));
  const body = upstream.asked.at(-1)?.body;
  expect(body).toHaveProperty('tools');
  expect(JSON.stringify(body)).toContain('base64,AAAA');
});

test('a server is still believed beside what it quotes', async () => {
  upstream = await startStrict((body) =>
    'top_k' in body ? error(`Unsupported parameter: 'top_k' in ${JSON.stringify(body)}`) : null,
  );
  const model = modelAt(upstream.url);
  const content = "It says: Unsupported parameter: 'temperature'. Why?";
  const request = ask({ messages: [{ role: 'user', content }], temperature: 0.2, passed_on: { top_k: 3 } });
  await partsOf(model, request);
  await partsOf(model, request);
  expect(upstream.asked).toHaveLength(3);
  expect(upstream.asked.at(-1)?.body).toHaveProperty('temperature');
});

/** As a server with accounts: each key has its own models and limits. */
test("what one caller's key is refused says nothing about other keys", async () => {
  upstream = await startUpstream((response, _count, { headers }) => {
    const { body = {} } = upstream.asked.at(-1) ?? {};
    const isPoor = headers.authorization === 'Bearer poor-key';
    if (isPoor && 'seed' in body) {
      const text = "Unsupported parameter: 'seed' is not supported on the free plan.";
      return void response.writeHead(400).end(JSON.stringify({ error: { message: text } }));
    }
    if (isPoor && 'top_k' in body) {
      const text = 'Request too large on tokens per minute (TPM): Limit 600, Requested 900 tokens.';
      return void response.writeHead(413).end(JSON.stringify({ error: { message: text } }));
    }
    begin(response);
    response.end(HELLO);
  });
  const told: string[] = [];
  const tellLesson = (name: string): void => void told.push(name);
  const model = modelAt(upstream.url, { upstreamKey: (sealed) => sealed, tellLesson });
  const askAs = async (sealed: string, more: Readonly<Record<string, unknown>>): Promise<unknown> =>
    partsOf(model, ask({ sealed, passed_on: more })).catch(() => null);
  await askAs('poor-key', { seed: 1 });
  await askAs('poor-key', { top_k: 1 });
  expect(model.contextTokens('gpt-test', null, Infinity, 'poor-key')).toBeLessThanOrEqual(600);
  for (const other of ['rich-key', null])
    expect(model.contextTokens('gpt-test', null, Infinity, other)).toBe(Infinity);
  await askAs('rich-key', { seed: 1 });
  expect(upstream.asked.at(-1)?.body).toHaveProperty('seed');
  await askAs('poor-key', { seed: 1 });
  expect(upstream.asked.at(-1)?.body).not.toHaveProperty('seed');
  expect(upstream.asked).toHaveLength(5);
  expect(told).toEqual([]);
});

test('one odd prompt does not shrink a context to nothing', async () => {
  const text = 'This model has a maximum context length of 8000 tokens; you requested 9000 tokens.';
  upstream = await startStrict(() => error(text));
  const model = modelAt(upstream.url);
  await partsOf(model, ask({ max_completion_tokens: 8_990 })).catch(() => []);
  expect(model.contextTokens('gpt-test', null, Infinity)).toBeGreaterThanOrEqual(4_000);
});
