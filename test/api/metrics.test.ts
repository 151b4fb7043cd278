/** What a monitor reads at any API process: that process, the queue, and every worker of the deployment. */
import { beforeAll, expect, test } from 'vitest';
import { lookUntil } from '../support/looks.ts';
import { metricsOf } from '../support/metrics.ts';
import { gate, refuses, says } from '../support/upstream.ts';
import { Wire } from '../support/wire.ts';
import { withService } from '../support/with-service.ts';

let wire: Wire;

const env = { AUTH: 'key', API_KEY: 'the key', WORKER_CONCURRENCY: '7', DRAIN_MS: '0' };

const { upstream, service } = withService({ workers: 0, env });

beforeAll(async () => {
  wire = new Wire(service.baseUrl, { authorization: 'Bearer the key' });
});

/**
 * The figures, once they are as `fits` wants them. A worker says its own every few seconds, at any moment of a
 * run's life, so `fits` must ask for what comes last.
 */
const figuresWhen = (
  fits: (figures: ReadonlyMap<string, number>) => boolean,
): Promise<ReadonlyMap<string, number>> => lookUntil(() => metricsOf(service.url), fits);

test('a deployment says how it is, without a key and without telling hosts', async () => {
  const door = gate();
  upstream.reply(() => [door, ...says('well')]);
  const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm' });
  const body = { assistant_id, stream: true };
  const stream = await wire.stream('POST', `/threads/${await wire.thread('hello')}/runs`, { body });
  expect((await new Wire(service.baseUrl).ask('GET', '/assistants')).status).toBe(401);

  const waiting = await figuresWhen((figures) => figures.get('longrun_queue_waiting') === 1);
  expect(Object.fromEntries(waiting)).toMatchObject({
    longrun_redis_up: 1,
    longrun_workers: 0,
    longrun_streams_open: 1,
    'longrun_requests_total{status="401"}': 1,
    'longrun_commits_total{what="run.queued"}': 1,
  });
  expect(waiting.get('longrun_queue_oldest_waiting_seconds')).toBeGreaterThan(0);
  expect(waiting.get('longrun_threads')).toBe(1);
  expect(waiting.get('longrun_redis_memory_used_bytes')).toBeGreaterThan(1e5);
  expect(waiting.get('longrun_redis_memory_max_bytes')).toBe(0);
  expect(waiting.get('longrun_memory_bytes')).toBeGreaterThan(1e6);
  expect(waiting.get('longrun_event_loop_delay_seconds')).toBeGreaterThan(0);

  await service.startWorker();
  await door.reached;
  const worker = /\/(\w+)$/.exec(
    String((await service.waitForLog(({ process }) => process === 'worker 0'))['worker']),
  )?.[1];
  const of = (name: string, more = ''): string => `longrun_worker_${name}{worker="${worker}"${more}}`;
  const started = of('commits_total', ',what="run.started"');
  const busy = await figuresWhen((figures) => figures.get(started) === 1);
  expect(Object.fromEntries(busy)).toMatchObject({
    longrun_workers: 1,
    [of('busy')]: 1,
    [of('slots')]: 7,
    [of('rebuilds_total')]: 0,
    [of('stalls_total')]: 0,
  });
  door.open();
  await stream.rest();
  upstream.reply(() => refuses(400, 'no'));
  await wire.play(await wire.thread('hello'), { assistant_id });
  const failed = of('commits_total', ',what="run.failed"');
  const done = await figuresWhen((figures) => figures.get(failed) === 1 && figures.get(of('busy')) === 0);
  expect(Object.fromEntries(done)).toMatchObject({
    longrun_queue_waiting: 0,
    longrun_queue_oldest_waiting_seconds: 0,
    longrun_streams_open: 0,
    [of('commits_total', ',what="run.completed"')]: 1,
    [of('run_failures_total', ',code="invalid_prompt",upstream="default"')]: 1,
  });
});
