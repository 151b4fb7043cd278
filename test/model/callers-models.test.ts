/** Callers that bring keys of the model server see what it lists for them, and can make nobody ask it without end. */
import { afterEach, expect, test } from 'vitest';
import { pino } from 'pino';
import { CallersModels } from '../../src/model/callers-models.ts';
import { NO_FACTS, startUpstream, upstreamAt, type TestUpstream } from './upstream.ts';

const upstreams: TestUpstream[] = [];
afterEach(async () => {
  await Promise.all(upstreams.splice(0).map((upstream) => upstream.stop()));
});

const RIGHT = 'sk-the-callers-own-key';
const lines: string[] = [];
const log = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) });

/** A model server that knows one key. @param before what it waits for */
async function server(before: Promise<void> = Promise.resolve()): Promise<TestUpstream> {
  const upstream = await startUpstream(async (response, _count, { headers: { authorization } }) => {
    await before;
    if (authorization === `Bearer ${RIGHT}`) response.end(JSON.stringify({ data: [{ id: 'theirs' }] }));
    else response.writeHead(401).end(JSON.stringify({ error: { message: `no such key: ${authorization}` } }));
  });
  upstreams.push(upstream);
  return upstream;
}

const idsOf = (models: readonly { readonly id: string }[]): readonly string[] => models.map(({ id }) => id);

test('a caller sees what the upstream lists for the key, and the configured models', async () => {
  const upstream = await server();
  const models = new CallersModels({
    facts: NO_FACTS,
    upstreams: [upstreamAt(upstream.url, { models: ['ours'] })],
    log,
  });
  expect(idsOf(await models.list('right', RIGHT))).toEqual(['ours', 'theirs']);
  expect(upstream.asked.map(({ headers }) => headers.authorization)).toEqual([`Bearer ${RIGHT}`]);
});

test('a key is shown to the server alone that its runs go to', async () => {
  const [one, two] = [await server(), await server()];
  const models = new CallersModels({
    facts: NO_FACTS,
    upstreams: [
      upstreamAt(one.url, { name: 'one', models: ['of-one'] }),
      upstreamAt(two.url, { name: 'default' }),
    ],
    log,
  });
  expect(idsOf(await models.list('right', RIGHT))).toEqual(['of-one', 'theirs']);
  expect(one.asked).toEqual([]);
});

test('a refused key sees the configured models, is asked about again soon, and is not logged', async () => {
  const upstream = await server();
  let now = 0;
  const models = new CallersModels({
    facts: NO_FACTS,
    upstreams: [upstreamAt(upstream.url, { models: ['ours'] })],
    log,
    now: () => now,
  });
  expect(idsOf(await models.list('wrong', 'sk-wrong-0123456'))).toEqual(['ours']);
  now = 9_999;
  await models.list('wrong', 'sk-wrong-0123456');
  expect(upstream.asked).toHaveLength(1);
  now = 10_000;
  await models.list('wrong', 'sk-wrong-0123456');
  expect(upstream.asked).toHaveLength(2);
  expect(lines.join('')).not.toContain('sk-');
});

test('one key is asked about once a minute, however many ask', async () => {
  const upstream = await server();
  let now = 0;
  const models = new CallersModels({
    facts: NO_FACTS,
    upstreams: [upstreamAt(upstream.url)],
    log,
    now: () => now,
  });
  await Promise.all(Array.from({ length: 20 }, () => models.list('right', RIGHT)));
  now = 59_999;
  expect(idsOf(await models.list('right', RIGHT))).toEqual(['theirs']);
  expect(upstream.asked).toHaveLength(1);
  now = 60_000;
  await models.list('right', RIGHT);
  expect(upstream.asked).toHaveLength(2);
});

test('random keys cost eight requests at a time, 120 a minute, and the memory of 100', async () => {
  const held = Promise.withResolvers<void>();
  const upstream = await server(held.promise);
  let now = 0;
  const models = new CallersModels({
    facts: NO_FACTS,
    upstreams: [upstreamAt(upstream.url)],
    log,
    now: () => now,
  });
  const asking = Array.from({ length: 50 }, (_, index) => models.list(`a${index}`, `sk-${index}`));
  // Those beyond the eight are answered at once.
  await Promise.all(asking.slice(8));
  held.resolve();
  await Promise.all(asking);
  expect(upstream.asked).toHaveLength(8);
  for (let index = 0; index < 300; index += 1) await models.list(`b${index}`, `sk-${index}`);
  expect(upstream.asked).toHaveLength(120);
  expect(models.size).toBe(100);
  now = 60_000;
  expect(idsOf(await models.list('right', RIGHT))).toEqual(['theirs']);
});
