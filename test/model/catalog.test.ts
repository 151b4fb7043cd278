import { afterEach, expect, test } from 'vitest';
import { pino } from 'pino';
import { ModelCatalog } from '../../src/model/catalog.ts';
import { NO_FACTS, startUpstream, upstreamAt, type TestUpstream } from './upstream.ts';

const upstreams: TestUpstream[] = [];
afterEach(async () => {
  await Promise.all(upstreams.splice(0).map((upstream) => upstream.stop()));
});

/** An upstream that lists these. */
async function listing(...data: unknown[]): Promise<TestUpstream> {
  const upstream = await startUpstream(
    (response) => void response.end(JSON.stringify({ object: 'list', data })),
  );
  upstreams.push(upstream);
  return upstream;
}

/** A log that remembers the lines it was given. */
function listeningLog() {
  const lines: string[] = [];
  return { lines, log: pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) }) };
}

test('the list holds aliases, configured models and what each upstream says, once', async () => {
  const one = await listing(
    { id: 'a', object: 'model', created: 7, owned_by: 'meta' },
    { id: 'b' },
    { no: 'id' },
    null,
  );
  const two = await listing({ id: 'b', created: 9, owned_by: 'other' }, { id: 'c', created: -1 });
  const catalog = new ModelCatalog({
    facts: NO_FACTS,
    upstreams: [
      upstreamAt(one.url, { name: 'one', aliases: { '<alias>': 'a' }, models: ['a', 'hidden'] }),
      upstreamAt(two.url, { name: 'two' }),
    ],
    log: listeningLog().log,
  });
  const unknown = { server: null, context_tokens: null, tools: null, images: null, omitted: [] };
  const ofOne = { object: 'model', longrun: { upstream: 'one', ...unknown } };
  expect(await catalog.list()).toEqual([
    { ...ofOne, id: '<alias>', created: 0, owned_by: 'one' },
    { ...ofOne, id: 'a', created: 7, owned_by: 'meta' },
    { ...ofOne, id: 'hidden', created: 0, owned_by: 'one' },
    { ...ofOne, id: 'b', created: 0, owned_by: 'one' },
    { id: 'c', object: 'model', created: 0, owned_by: 'two', longrun: { upstream: 'two', ...unknown } },
  ]);
  expect(one.asked[0]?.path).toBe('/v1/models');
  expect(one.asked[0]?.headers.authorization).toBe('Bearer sk-own-key-123456');
});

test('upstreams are asked once a minute, however many ask for the list', async () => {
  const upstream = await listing({ id: 'a' });
  let now = 0;
  const { log } = listeningLog();
  const catalog = new ModelCatalog({
    facts: NO_FACTS,
    upstreams: [upstreamAt(upstream.url)],
    log,
    now: () => now,
  });
  await Promise.all([catalog.list(), catalog.list()]);
  now = 59_999;
  await catalog.list();
  expect(upstream.asked).toHaveLength(1);
  now = 60_000;
  await catalog.list();
  expect(upstream.asked).toHaveLength(2);
});

test('an upstream that cannot say costs its own models only, and one line of log', async () => {
  const good = await listing({ id: 'a' });
  const gone = await listing();
  await gone.stop();
  upstreams.pop();
  const html = await startUpstream((response) => void response.end('<html>'));
  const refusing = await startUpstream(
    (response) => void response.writeHead(401).end('{"error":{"message":"sk-x"}}'),
  );
  const silent = await startUpstream(() => {});
  upstreams.push(html, refusing, silent);
  const { lines, log } = listeningLog();
  const bad = { gone, html, refusing, silent };
  const catalog = new ModelCatalog({
    facts: NO_FACTS,
    upstreams: [
      ...Object.entries(bad).map(([name, { url }]) => upstreamAt(url, { name, models: [`of-${name}`] })),
      upstreamAt(good.url, { name: 'good' }),
    ],
    log,
  });
  const models = await catalog.list();
  expect(models.map(({ id }) => id)).toEqual(['of-gone', 'of-html', 'of-refusing', 'of-silent', 'a']);
  await catalog.list();
  expect(lines).toHaveLength(4);
  for (const name of Object.keys(bad)) expect(lines.join('')).toContain(`"upstream":"${name}"`);
  expect(lines.join('')).not.toContain('sk-');
});
