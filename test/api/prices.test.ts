/** Prices in the configuration: what runs cost, in the usage of a day, in metrics and in the stream of operators. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { z } from 'zod';
import { lookUntil } from '../support/looks.ts';
import { metricsOf } from '../support/metrics.ts';
import { says, TURN_USAGE } from '../support/upstream.ts';
import { withService } from '../support/with-service.ts';

const folder = mkdtempSync(join(tmpdir(), 'longrun-prices-'));
afterAll(() => rmSync(folder, { recursive: true }));

const { upstream, service, wire } = withService(() => {
  const LONGRUN_CONFIG = join(folder, 'config.json');
  const server = {
    name: 'default',
    baseUrl: upstream.baseUrl,
    models: [{ name: 'dear', prices: { input: 1_000, output: 10_000 } }, 'cheap'],
    aliases: { precious: 'dear' },
    prices: { input: 1, output: 2 },
  };
  writeFileSync(LONGRUN_CONFIG, JSON.stringify({ upstreams: [server], currency: 'EUR' }));
  return { env: { LONGRUN_CONFIG } };
});

const DEAR = (1_000 * TURN_USAGE.prompt_tokens + 10_000 * TURN_USAGE.completion_tokens) / 1e6;
const CHEAP = (TURN_USAGE.prompt_tokens + 2 * TURN_USAGE.completion_tokens) / 1e6;
const usageSchema = z.object({
  data: z.array(
    z.looseObject({
      cost: z.number(),
      currency: z.literal('EUR'),
      runs: z.looseObject({ completed: z.number() }),
    }),
  ),
});
const runsSchema = z.object({ data: z.array(z.looseObject({ id: z.string(), thread_id: z.string() })) });
const runSchema = z.looseObject({ id: z.string(), status: z.string(), cost: z.number().nullable() });

test('each run costs what its model does', async () => {
  upstream.reply(() => says('well'));
  const stream = await wire.stream('GET', '/admin/events?history_s=0');
  await stream.until('hello');
  const costs = new Map<string, number | null>();
  for (const model of ['precious', 'cheap']) {
    const { id: assistant_id } = await wire.ok('POST', '/assistants', { model });
    await wire.play(await wire.thread('hello'), { assistant_id });
    for (;;) {
      const run = runSchema.parse((await stream.until('run')).at(-1)?.data);
      costs.set(`${model} ${run.status}`, run.cost);
      if (run.status === 'completed') break;
    }
  }
  stream.close();
  const { data } = runsSchema.parse((await wire.ask('GET', '/runs')).body);
  const traces = await Promise.all(
    data.map(async ({ id, thread_id }) => wire.ask('GET', `/threads/${thread_id}/runs/${id}/trace`)),
  );
  expect(traces.map(({ body }) => body)).toMatchObject([
    { cost: CHEAP, currency: 'EUR' },
    { cost: DEAR, currency: 'EUR' },
  ]);
  const expected: Readonly<Record<string, number | null>> = {
    'precious queued': null,
    'precious in_progress': null,
    'precious completed': DEAR,
    'cheap queued': null,
    'cheap in_progress': null,
    'cheap completed': CHEAP,
  };
  // News that later ones have overtaken are left out.
  for (const [news, cost] of costs) expect([news, cost]).toEqual([news, expected[news]]);
  const days = await lookUntil(
    async () => usageSchema.parse((await wire.ask('GET', '/usage')).body).data,
    (found) => found.reduce((sum, { runs }) => sum + runs.completed, 0) === 2,
  );
  expect(days.reduce((sum, { cost }) => sum + cost, 0)).toBeCloseTo(DEAR + CHEAP, 6);
  const name = (model: string): string => `longrun_cost_total{upstream="default",model="${model}"}`;
  const figures = await lookUntil(
    async () => metricsOf(service.url),
    (found) => found.has(name('cheap')),
  );
  expect(figures.get(name('dear'))).toBeCloseTo(DEAR, 6);
  expect(figures.get(name('cheap'))).toBeCloseTo(CHEAP, 6);
});
