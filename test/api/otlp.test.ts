/** Traces of runs at a collector: over all processes one tree, and nothing of what anybody said. */
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { FakeCollector, type CollectedSpan } from '../support/collector.ts';
import { lookUntil } from '../support/looks.ts';
import { startService } from '../support/service.ts';
import { calls, FakeUpstream, gate, says, text } from '../support/upstream.ts';
import { outputsOf, Wire, type WireRun } from '../support/wire.ts';
import { withService } from '../support/with-service.ts';

const WORDS = 'Very private words';
const AUTO = { metadata: { auto_tools: 'true' } };

const collector = new FakeCollector();
beforeAll(() => collector.listen());
afterAll(() => collector.stop());

const settings = (): Record<string, string> => ({
  OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
  OTEL_BSP_SCHEDULE_DELAY: '100',
  OTEL_EXPORTER_OTLP_HEADERS: 'x-collector-key=collector-secret-1',
  DRAIN_MS: '0',
  LOCK_MS: '3000',
});

const pathOf = ({ thread_id, id }: WireRun): string => `/threads/${thread_id}/runs/${id}`;

/** The spans of the trace in which a run was executed, once all of these names are among them. */
async function spansOf(run: WireRun, names: readonly string[]): Promise<readonly CollectedSpan[]> {
  const ofRun = async (): Promise<readonly CollectedSpan[]> => {
    const attempt = collector.spans.find(({ attributes }) => attributes['longrun.run.id'] === run.id);
    return collector.spans.filter(({ traceId }) => traceId === attempt?.traceId);
  };
  const hasAll = (spans: readonly CollectedSpan[]): boolean => {
    const left = spans.map(({ name }) => name);
    return names.every((name) => {
      const at = left.indexOf(name);
      if (at !== -1) left.splice(at, 1);
      return at !== -1;
    });
  };
  return lookUntil(ofRun, hasAll);
}

/** Under one root, which is given back. */
function rootOf(spans: readonly CollectedSpan[]): CollectedSpan {
  const ids = new Set(spans.map(({ id }) => id));
  expect(ids.size).toBe(spans.length);
  const roots = spans.filter(({ parentId }) => parentId === null || !ids.has(parentId));
  expect(roots.map(({ name }) => name)).toHaveLength(1);
  const [root] = roots;
  if (root === undefined) throw new Error('there is one');
  return root;
}

const parentOf = (spans: readonly CollectedSpan[], name: string): string | undefined => {
  const span = spans.find((one) => one.name === name);
  return spans.find(({ id }) => id === span?.parentId)?.name;
};

const UNHURT = { status: 'completed', last_error: null };
const CREATE = 'POST /v1/threads/:thread_id/runs';
const RUN = ['add runs.run', 'process runs', 'invoke_agent', 'chat m'];

describe('with a collector', () => {
  const { upstream, service, wire } = withService(() => ({ env: settings() }));
  let assistant_id = '';

  beforeAll(async () => {
    const tool = (name: string) => ({
      type: 'function',
      function: { name, parameters: { type: 'object', properties: {} } },
    });
    const body = { model: 'm', instructions: WORDS, tools: [tool('clock'), tool('weather')] };
    assistant_id = (await wire.ok('POST', '/assistants', body)).id;
  });

  test('a run is one tree over the API and the worker, down to the model and its tools', async () => {
    upstream.reply(({ outputs }) =>
      outputs.length === 0 ? calls([{ name: 'clock', arguments: { say: WORDS } }]) : says(WORDS),
    );
    const run = await wire.play(await wire.thread(WORDS), { assistant_id, ...AUTO });
    const spans = await spansOf(run, [CREATE, ...RUN, 'chat m', 'execute_tool clock']);
    // On a busy machine the queue may give a job twice.
    const named = new Set(spans.map(({ name }) => name));
    expect(named).toEqual(new Set([CREATE, ...RUN, 'execute_tool clock']));
    expect(rootOf(spans)).toMatchObject({ name: CREATE, kind: 2, parentId: null });
    expect(parentOf(spans, 'add runs.run')).toBe(CREATE);
    expect(parentOf(spans, 'process runs')).toBe('add runs.run');
    expect(parentOf(spans, 'invoke_agent')).toBe('process runs');
    expect(parentOf(spans, 'chat m')).toBe('invoke_agent');
    expect(parentOf(spans, 'execute_tool clock')).toBe('invoke_agent');

    const of = (name: string): CollectedSpan | undefined => spans.find((span) => span.name === name);
    expect(of('chat m')).toMatchObject({
      kind: 3,
      attributes: {
        'gen_ai.operation.name': 'chat',
        'gen_ai.request.model': 'm',
        'gen_ai.usage.input_tokens': 10,
        'server.address': '127.0.0.1',
      },
    });
    expect(of(CREATE)?.resource).toMatchObject({ 'service.name': 'longrun-api' });
    expect(of('chat m')?.resource).toMatchObject({ 'service.name': 'longrun-worker' });
    expect(new Set(spans.map(({ resource }) => resource['service.instance.id'])).size).toBe(2);
    // The trace as JSON has the same names for it.
    const { body } = await wire.ask('GET', `${pathOf(run)}/trace`);
    expect(body).toMatchObject({ trace_id: of('chat m')?.traceId });
    expect(JSON.stringify(body)).toContain(of('chat m')?.id);

    for (const sent of collector.bodies) expect(sent.includes(WORDS)).toBe(false);
    expect(collector.headers.at(-1)).toMatchObject({ 'x-collector-key': 'collector-secret-1' });
    expect(JSON.stringify(service.logs)).not.toContain('collector-secret-1');
  });

  test('the trace of the client goes on, and that of a client that is not sampled is not sent', async () => {
    const [traceId, spanId] = ['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331'];
    const threadId = await wire.thread('hello');
    const ask = async (flags: string): Promise<WireRun> => {
      const headers = { traceparent: `00-${traceId}-${spanId}-${flags}` };
      const reply = await wire.ask('POST', `/threads/${threadId}/runs`, { body: { assistant_id }, headers });
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- looked at below
      return wire.rested(reply.body as WireRun);
    };
    const unsampled = await ask('00');
    const run = await ask('01');
    const spans = await spansOf(run, [CREATE, ...RUN]);
    expect(rootOf(spans)).toMatchObject({ traceId, parentId: spanId, name: CREATE });
    expect(JSON.stringify(collector.spans)).not.toContain(unsampled.id);
    expect((await wire.ask('GET', `${pathOf(run)}/trace`)).body).toMatchObject({ trace_id: traceId });
  });

  test('a run that its client has answered goes on in its trace', async () => {
    upstream.reply(({ outputs }) =>
      outputs.length === 0 ? calls([{ name: 'weather', arguments: {} }]) : says('Sunny.'),
    );
    const run = await wire.play(await wire.thread('weather?'), { assistant_id });
    await wire.ok('POST', `${pathOf(run)}/submit_tool_outputs`, { tool_outputs: outputsOf(run, 'sunny') });
    await wire.rested(run);
    const spans = await spansOf(run, [CREATE, ...RUN, ...RUN]);
    expect(rootOf(spans).name).toBe(CREATE);
  });

  test('so does a run whose worker was killed', async () => {
    const door = gate();
    let asked = 0;
    upstream.reply(() => ((asked += 1) === 1 ? [text('Once'), door] : says('Once upon a time')));
    const run = await wire.run(await wire.thread('a story'), { assistant_id });
    await door.reached;
    await service.killWorker(0);
    await service.startWorker();
    await wire.rested(run);
    const spans = await spansOf(run, [CREATE, ...RUN]);
    expect(rootOf(spans).name).toBe(CREATE);
    door.open();
  });
});

describe('a run does not notice', () => {
  let upstream: FakeUpstream;
  beforeAll(async () => {
    upstream = await FakeUpstream.start();
  });
  afterAll(() => upstream.stop());
  beforeEach(() => {
    collector.status = 200;
  });

  /** Plays a run, with a service that starts and stops in order and in time. */
  const played = async (endpoint: string): Promise<WireRun> => {
    const env = { ...settings(), OTEL_EXPORTER_OTLP_ENDPOINT: endpoint };
    const service = await startService({ redisUrl: inject('redisUrl'), upstream, env });
    try {
      const wire = new Wire(service.baseUrl);
      const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm' });
      return await wire.play(await wire.thread('hello'), { assistant_id });
    } finally {
      await service.stop();
    }
  };

  test('a collector that refuses', async () => {
    collector.status = 500;
    const sent = collector.bodies.length;
    expect(await played(collector.url)).toMatchObject(UNHURT);
    expect(collector.bodies.length).toBeGreaterThan(sent);
  });

  test('a collector that is not there', async () => {
    expect(await played('http://127.0.0.1:9')).toMatchObject(UNHURT);
  });
});
