/** What a deployment measures of its work, as a monitor reads it at any API process. */
import { beforeAll, describe, expect, test } from 'vitest';
import { API_MEASURES, WORKER_MEASURES, type Measure } from '../../src/measures.ts';
import { lookUntil } from '../support/looks.ts';
import { metricsOf } from '../support/metrics.ts';
import { calls, gate, refuses, says, TURN_USAGE } from '../support/upstream.ts';
import { Wire } from '../support/wire.ts';
import { withService } from '../support/with-service.ts';

type Figures = ReadonlyMap<string, number>;

/** The sum of all samples of a name whose labels include `labels`. */
function sumOf(figures: Figures, name: string, labels = ''): number {
  let sum = 0;
  for (const [sample, value] of figures)
    if (sample.replace(/\{.*/, '') === `longrun_${name}` && sample.includes(labels)) sum += value;
  return sum;
}

const MADE_UP = 'made-up-model-7261';
const WORDS = 'Very private words';

describe('two workers', () => {
  const env = { WORKER_CONCURRENCY: '1', DRAIN_MS: '0' };
  const { upstream, service, wire } = withService({ workers: 0, env });
  const look = (): Promise<Figures> => metricsOf(service.url);
  const when = (fits: (figures: Figures) => boolean): Promise<Figures> => lookUntil(look, fits);

  test('are summed, and what one has measured stays when it has gone', async () => {
    const [first, second] = [gate(), gate()];
    const doors = [first, second];
    upstream.reply(() => [doors.shift() ?? gate(), ...says('done')]);
    const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm' });
    const runs = await Promise.all(
      [1, 2].map(async () => wire.run(await wire.thread(WORDS), { assistant_id })),
    );

    // Nobody takes them, so both wait for at least as long as the older one is seen to wait.
    const waiting = await when((figures) => sumOf(figures, 'queue_waiting') === 2);
    const oldestS = sumOf(waiting, 'queue_oldest_waiting_seconds');
    expect(sumOf(waiting, 'run_queue_seconds_count')).toBe(0);

    const one = await service.startWorker();
    await service.startWorker();
    // Each has room for one run.
    await Promise.all([first.reached, second.reached]);
    first.open();
    second.open();
    await Promise.all(runs.map((run) => wire.rested(run)));

    const done = await when((figures) => sumOf(figures, 'run_seconds_count') === 2);
    expect(sumOf(done, 'workers')).toBe(2);
    expect(sumOf(done, 'run_seconds_count', 'outcome="completed"')).toBe(2);
    expect(sumOf(done, 'run_queue_seconds_count')).toBe(2);
    expect(sumOf(done, 'run_queue_seconds_sum')).toBeGreaterThan(oldestS);
    expect(sumOf(done, 'model_request_seconds_count', 'outcome="answered"')).toBe(2);
    expect(sumOf(done, 'model_first_token_seconds_count', 'upstream="default"')).toBe(2);
    expect(sumOf(done, 'tokens_total', 'kind="input"')).toBe(2 * TURN_USAGE.prompt_tokens);
    expect(sumOf(done, 'tokens_total', 'kind="output"')).toBe(2 * TURN_USAGE.completion_tokens);

    await service.killWorker(one, 'SIGTERM');
    const left = await when((figures) => sumOf(figures, 'workers') === 1);
    expect(sumOf(left, 'run_seconds_count')).toBe(2);
    expect(sumOf(left, 'run_queue_seconds_count')).toBe(2);

    // It counts from its own beginning on, as monitors expect.
    const later = await metricsOf(await service.startApi());
    expect(sumOf(later, 'workers')).toBe(1);
    expect(sumOf(later, 'run_seconds_count')).toBe(0);
  });
});

describe('a worker', () => {
  const { upstream, service } = withService();
  const when = (fits: (figures: Figures) => boolean): Promise<Figures> =>
    lookUntil(() => metricsOf(service.url), fits);
  let wire: Wire;
  beforeAll(() => {
    wire = new Wire(service.baseUrl);
  });

  test('measures what fails, what is tried again, and its tools, without a word of its users', async () => {
    const scripts = [
      refuses(503, WORDS),
      calls([{ name: 'clock', arguments: {} }]),
      says('It is late.'),
      refuses(400, WORDS),
    ];
    upstream.reply(() => scripts.shift());
    const metadata = { auto_tools: 'clock' };
    const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: MADE_UP, metadata });
    expect(await wire.play(await wire.thread(WORDS), { assistant_id })).toMatchObject({
      status: 'completed',
    });
    expect(await wire.play(await wire.thread(WORDS), { assistant_id })).toMatchObject({ status: 'failed' });

    const figures = await when((now) => sumOf(now, 'run_seconds_count', 'outcome="failed"') === 1);
    expect(Object.fromEntries(figures)).toMatchObject({
      'longrun_upstream_errors_total{upstream="default",kind="server_error"}': 1,
      'longrun_upstream_errors_total{upstream="default",kind="refused"}': 1,
      'longrun_upstream_retries_total{upstream="default"}': 1,
      'longrun_model_request_seconds_count{upstream="default",outcome="failed"}': 2,
      'longrun_model_request_seconds_count{upstream="default",outcome="answered"}': 2,
      'longrun_tool_call_seconds_count{kind="function"}': 1,
      'longrun_run_seconds_count{outcome="completed"}': 1,
      'longrun_tokens_total{upstream="default",model="other",kind="input"}': 2 * TURN_USAGE.prompt_tokens,
    });
    expect(sumOf(figures, 'commit_seconds_count', 'what="fragments"')).toBeGreaterThan(0);
    expect(sumOf(figures, 'commit_seconds_count', 'what="events"')).toBeGreaterThan(0);
  });

  test('is known by bounded labels only', async () => {
    const text = await (await fetch(`${service.url}/metrics`)).text();
    const values = [...text.matchAll(/="([^"]*)"/g)].map(([, value]) => value);
    for (const secret of [MADE_UP, WORDS, 'clock', 'thread_', 'asst_'])
      expect(values.filter((value) => value?.includes(secret))).toEqual([]);
    const allowed: Readonly<Record<string, Measure>> = { ...WORKER_MEASURES, ...API_MEASURES };
    const names = Object.keys(allowed).map((name) => `longrun_${name}`);
    for (const name of names) expect(text).toContain(`\n# TYPE ${name} `);
  });

  test('every protocol says what the time before its first word was spent on', async () => {
    upstream.reply(() => says('Hello'));
    const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm' });
    const stagesOf = (figures: Figures): readonly number[] =>
      ['total', 'queue', 'tools', 'upstream'].map((stage) =>
        sumOf(figures, 'first_word_seconds_count', `stage="${stage}"`),
      );
    const before = stagesOf(await metricsOf(service.url))[0] ?? 0;
    const messages = [{ role: 'user', content: 'Hi' }];
    for (const [path, body] of [
      ['/chat/completions', { model: 'm', messages }],
      ['/chat/completions', { model: 'm', messages, stream: true }],
      ['/responses', { model: 'm', input: 'Hi', stream: true }],
      [`/threads/${await wire.thread('Hi')}/runs`, { assistant_id, stream: true }],
    ] as const) {
      const url = service.baseUrl + path;
      expect(await (await fetch(url, { method: 'POST', body: JSON.stringify(body) })).text()).toContain(
        'Hello',
      );
    }
    const after = await metricsOf(service.url);
    expect(stagesOf(after)).toEqual(Array.from({ length: 4 }, () => before + 4));
    const seconds = (stage: string): number => sumOf(after, 'first_word_seconds_sum', `stage="${stage}"`);
    expect(seconds('queue')).toBeGreaterThan(0);
    expect(seconds('queue') + seconds('tools') + seconds('upstream')).toBeCloseTo(seconds('total'), 9);
  });

  test('a run that is watched from its creation tells the wait for its first word once', async () => {
    const door = gate();
    upstream.reply(() => [door, ...says('Hello', ' you')]);
    const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm' });
    const waits = async (): Promise<number> =>
      sumOf(await metricsOf(service.url), 'first_word_seconds_count', 'stage="total"');
    const before = await waits();
    const thread = await wire.thread('Hi');
    const { id } = await wire.ok('POST', `/threads/${thread}/runs`, { assistant_id });
    const url = `${service.baseUrl}/threads/${thread}/runs/${id}/events`;
    const watched = await fetch(url);
    door.open();
    expect(await watched.text()).toContain('Hello');
    expect(await waits()).toBe(before + 1);
    // Read again, it has nothing to tell.
    expect(await (await fetch(url)).text()).toContain('Hello');
    expect(await waits()).toBe(before + 1);
  });

  test('requests are timed by the part of the API and the class of their status', async () => {
    await wire.ask('GET', '/threads/thread_nobody_has_this');
    await wire.ask('GET', '/no/such/path');
    const labels = [
      'area="assistants",status="2xx"',
      'area="assistants",status="4xx"',
      'area="chat",status="2xx"',
      'area="responses",status="2xx"',
      'area="none",status="4xx"',
      'area="ops",status="2xx"',
    ];
    expect(
      sumOf(await when((now) => sumOf(now, 'event_delay_seconds_count') > 0), 'event_delay_seconds_sum'),
    ).toBeGreaterThan(0);
    // A request is counted when its connection is through with it, which may be after its answer was read.
    const figures = await when((now) =>
      labels.every((label) => (now.get(`longrun_request_seconds_count{${label}}`) ?? 0) > 0),
    );
    expect(Math.abs(figures.get('longrun_clock_skew_seconds') ?? Infinity)).toBeLessThan(60);
    expect(sumOf(figures, 'worker_clock_skew_seconds')).toBeLessThan(60);
  });
});
