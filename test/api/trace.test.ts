/** The trace of a run as JSON: one tree of spans, whatever the run has been through. */
import { beforeAll, describe, expect, inject, test } from 'vitest';
import { Redis } from 'ioredis';
import { z } from 'zod';
import { lookUntil } from '../support/looks.ts';
import { startService } from '../support/service.ts';
import { PASSTHROUGH, withSharedService } from '../support/shared-service.ts';
import { calls, finish, gate, refuses, says, text, TURN_USAGE } from '../support/upstream.ts';
import { outputsOf, Wire, type WireRun } from '../support/wire.ts';
import { withService } from '../support/with-service.ts';

const spanSchema = z.strictObject({
  id: z.string().regex(/^[\da-f]{16}$/),
  parent_id: z
    .string()
    .regex(/^[\da-f]{16}$/)
    .nullable(),
  name: z.string(),
  kind: z.enum(['run', 'queue', 'attempt', 'model', 'tool', 'client']),
  start_ms: z.int(),
  end_ms: z.int().nullable(),
  attributes: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.array(z.string())])),
  status: z.enum(['ok', 'error', 'open']),
  error: z.string().nullable(),
});

const traceSchema = z.strictObject({
  object: z.literal('thread.run.trace'),
  run_id: z.string(),
  thread_id: z.string(),
  trace_id: z.string().regex(/^[\da-f]{32}$/),
  status: z.string(),
  spans: z.array(spanSchema),
  usage: z.looseObject({ total_tokens: z.int() }),
  truncated: z.boolean(),
  cost: z.null(),
  currency: z.null(),
});

type Trace = z.infer<typeof traceSchema>;
type Span = Trace['spans'][number];

const { upstream, service, wire } = withService({ env: { UPSTREAM_RETRIES: '1' } });
let assistant_id = '';

beforeAll(async () => {
  const tool = (name: string) => ({
    type: 'function',
    function: { name, parameters: { type: 'object', properties: {} } },
  });
  const body = { model: 'm', tools: [tool('clock'), tool('weather')] };
  assistant_id = (await wire.ok('POST', '/assistants', body)).id;
});

const pathOf = ({ thread_id, id }: WireRun): string => `/threads/${thread_id}/runs/${id}`;

/** The trace, which is a tree under one root, in order, and inside of its time. */
async function traceOf(run: WireRun, at: Wire = wire): Promise<Trace> {
  const trace = traceSchema.parse((await at.ask('GET', `${pathOf(run)}/trace`)).body);
  const [root, ...others] = trace.spans;
  const ids = new Set(trace.spans.map(({ id }) => id));
  expect(ids.size).toBe(trace.spans.length);
  expect(root).toMatchObject({ kind: 'run', parent_id: null });
  for (const span of others) expect(ids).toContain(span.parent_id);
  const starts = trace.spans.map(({ start_ms }) => start_ms);
  expect(starts).toEqual(starts.toSorted((one, other) => one - other));
  for (const { start_ms, end_ms, status } of trace.spans) {
    expect(status === 'open').toBe(end_ms === null);
    expect(end_ms ?? Infinity).toBeGreaterThanOrEqual(start_ms);
    expect(end_ms ?? start_ms).toBeLessThanOrEqual(root?.end_ms ?? Infinity);
  }
  return trace;
}

/** The trace as soon as it has what is noted a moment after the run has come to rest. */
const settled = (run: WireRun, fits: (trace: Trace) => boolean, at: Wire = wire): Promise<Trace> =>
  lookUntil(() => traceOf(run, at), fits);

const ofKind = (trace: Trace, kind: Span['kind']): readonly Span[] =>
  trace.spans.filter((span) => span.kind === kind);

const kindsIn = (trace: Trace): readonly string[] => trace.spans.map(({ kind }) => kind);

/** How the last attempt has ended, once its worker has noted that. */
const outcomeOf = (trace: Trace): unknown => ofKind(trace, 'attempt').at(-1)?.attributes['longrun.outcome'];

const WORDS = 'Very private words';

test('a plain run: it waits, a worker executes it, and asks the model once', async () => {
  upstream.reply(() => says(WORDS));
  const run = await wire.play(await wire.thread(WORDS), { assistant_id });
  const trace = await settled(run, (seen) => outcomeOf(seen) === 'completed');

  expect(trace).toMatchObject({
    run_id: run.id,
    thread_id: run.thread_id,
    status: 'completed',
    truncated: false,
  });
  expect(trace.usage.total_tokens).toBe(TURN_USAGE.total_tokens);
  expect(kindsIn(trace).toSorted()).toEqual(['attempt', 'model', 'queue', 'run']);
  expect(trace.spans.every(({ status }) => status === 'ok')).toBe(true);
  const [attempt] = ofKind(trace, 'attempt');
  expect(attempt?.attributes['longrun.worker']).toMatch(/\//);
  const [model] = ofKind(trace, 'model');
  expect(model).toMatchObject({ name: 'chat m', parent_id: attempt?.id, error: null });
  expect(model?.attributes).toMatchObject({
    'gen_ai.operation.name': 'chat',
    'gen_ai.request.model': 'm',
    'gen_ai.response.finish_reasons': ['stop'],
    'gen_ai.usage.input_tokens': TURN_USAGE.prompt_tokens,
    'gen_ai.usage.output_tokens': TURN_USAGE.completion_tokens,
    'longrun.upstream': 'default',
  });
  const first = z.int().parse(model?.attributes['longrun.first_token_ms']);
  expect(first).toBeGreaterThanOrEqual(model?.start_ms ?? Infinity);
  expect(first).toBeLessThanOrEqual(model?.end_ms ?? -Infinity);
  expect(JSON.stringify(trace)).not.toContain(WORDS);
  // Asked again, it is the same.
  expect(await traceOf(run)).toEqual(trace);
});

test('calls of the server’s tools are spans of the attempt, between the model’s', async () => {
  upstream.reply(({ outputs }) =>
    outputs.length === 0
      ? calls([
          { name: 'clock', arguments: {} },
          { name: 'clock', arguments: 'not JSON' },
        ])
      : says('It is late.'),
  );
  const body = { assistant_id, metadata: { auto_tools: 'true' } };
  const run = await wire.play(await wire.thread('What time is it?'), body);
  const trace = await settled(run, (seen) => outcomeOf(seen) === 'completed');

  const [attempt] = ofKind(trace, 'attempt');
  const tools = ofKind(trace, 'tool');
  expect(tools).toHaveLength(2);
  for (const tool of tools) {
    expect(tool).toMatchObject({ name: 'execute_tool clock', parent_id: attempt?.id });
    expect(tool.attributes).toMatchObject({ 'gen_ai.tool.name': 'clock', 'longrun.tool.kind': 'function' });
  }
  expect(tools.map(({ status }) => status).toSorted()).toEqual(['error', 'ok']);
  const [before, after] = ofKind(trace, 'model');
  expect(before?.attributes['gen_ai.response.finish_reasons']).toEqual(['stop']);
  expect(tools[0]?.start_ms).toBeGreaterThanOrEqual(before?.end_ms ?? Infinity);
  expect(after?.start_ms).toBeGreaterThanOrEqual(Math.max(...tools.map(({ end_ms }) => end_ms ?? Infinity)));
});

test('a run that waits for its client shows for how long', async () => {
  upstream.reply(({ outputs }) =>
    outputs.length === 0 ? calls([{ name: 'weather', arguments: {} }]) : says('Sunny.'),
  );
  const run = await wire.play(await wire.thread('weather?'), { assistant_id });
  expect(run.status).toBe('requires_action');
  const waiting = await settled(run, (seen) => outcomeOf(seen) === 'blocked');
  expect(waiting.spans[0]).toMatchObject({ status: 'open', end_ms: null });
  expect(ofKind(waiting, 'client')).toMatchObject([{ status: 'open' }]);

  await wire.ok('POST', `${pathOf(run)}/submit_tool_outputs`, { tool_outputs: outputsOf(run, 'sunny') });
  await wire.rested(run);
  const trace = await settled(run, (seen) => outcomeOf(seen) === 'completed');
  const [client] = ofKind(trace, 'client');
  const [first, second] = ofKind(trace, 'attempt');
  expect(ofKind(trace, 'client')).toHaveLength(1);
  expect(client).toMatchObject({ start_ms: first?.end_ms, status: 'ok', parent_id: trace.spans[0]?.id });
  expect(second?.start_ms).toBeGreaterThanOrEqual(client?.end_ms ?? Infinity);
  expect(ofKind(trace, 'model').map(({ parent_id }) => parent_id)).toEqual([first?.id, second?.id]);
});

test('each try of a model server is a span', async () => {
  upstream.reply(() => refuses(500, WORDS));
  const run = await wire.play(await wire.thread('hello'), { assistant_id });
  expect(run.status).toBe('failed');
  const trace = await settled(run, (seen) => outcomeOf(seen) === 'failed');
  expect(trace.spans[0]).toMatchObject({ status: 'error', error: 'server_error' });
  const tries = ofKind(trace, 'model');
  expect(tries.map(({ status, error }) => [status, error])).toEqual([
    ['error', 'server_error'],
    ['error', 'server_error'],
  ]);
  expect(tries.map(({ attributes }) => attributes['longrun.again'])).toEqual([undefined, true]);
  expect(JSON.stringify(trace)).not.toContain(WORDS);
});

test('a run that goes on shows what it is doing, and one that is cancelled how far it came', async () => {
  const door = gate();
  upstream.reply(() => [text('Well'), door, finish('stop')]);
  const run = await wire.run(await wire.thread('hello'), { assistant_id });
  await door.reached;
  const going = await settled(run, (seen) => ofKind(seen, 'model').length === 1);
  expect(going.status).toBe('in_progress');
  expect(ofKind(going, 'attempt')).toMatchObject([{ status: 'open' }]);
  expect(ofKind(going, 'model')).toMatchObject([{ status: 'open', end_ms: null }]);

  await wire.ok('POST', `${pathOf(run)}/cancel`);
  await wire.rested(run);
  const trace = await settled(run, (seen) => outcomeOf(seen) === 'cancelled');
  expect(trace.spans.every(({ status }) => status === 'ok')).toBe(true);
  expect(ofKind(trace, 'model')).toMatchObject([{ attributes: { 'longrun.outcome': 'cancelled' } }]);
  door.open();
});

test('no other project has it, and it goes with its thread', async () => {
  const run = await wire.play(await wire.thread('hello'), { assistant_id });
  await settled(run, (seen) => outcomeOf(seen) === 'completed');
  for (const id of ['run_unknown', 'thread_unknown']) {
    const there = { ...run, [id.startsWith('run') ? 'id' : 'thread_id']: id };
    expect((await wire.ask('GET', `${pathOf(there)}/trace`)).status).toBe(404);
  }
  const redis = new Redis(inject('redisUrl'));
  try {
    const key = `${service.redisPrefix}:default:{${run.thread_id}}:trace:${run.id}`;
    expect(await redis.exists(key)).toBe(1);
    const ttlMs = await redis.pttl(key);
    expect(ttlMs).toBeGreaterThan(6 * 24 * 3_600_000);
    expect(await redis.memory('USAGE', key)).toBeLessThanOrEqual(600);
    await wire.ok('DELETE', `/threads/${run.thread_id}`);
    expect(await redis.exists(key)).toBe(0);
    expect((await wire.ask('GET', `${pathOf(run)}/trace`)).status).toBe(404);
  } finally {
    redis.disconnect();
  }
});

test('without notes, what the run and its steps tell is shown', async () => {
  upstream.reply(({ outputs }) =>
    outputs.length === 0 ? calls([{ name: 'clock', arguments: {} }]) : says('It is late.'),
  );
  const body = { assistant_id, metadata: { auto_tools: 'true' } };
  const run = await wire.play(await wire.thread('What time is it?'), body);
  await settled(run, (seen) => outcomeOf(seen) === 'completed');
  const redis = new Redis(inject('redisUrl'));
  await redis.del(`${service.redisPrefix}:default:{${run.thread_id}}:trace:${run.id}`);
  redis.disconnect();
  const trace = await traceOf(run);
  expect(kindsIn(trace).toSorted()).toEqual(['attempt', 'model', 'queue', 'run', 'tool']);
  expect(ofKind(trace, 'tool')[0]).toMatchObject({
    name: 'execute_tool clock',
    attributes: { 'longrun.coarse': true },
  });
});

describe('with keys of callers', () => {
  const { service: shared } = withSharedService(PASSTHROUGH);

  test('another caller finds nothing', async () => {
    const [owner, other] = ['one', 'other'].map(
      (key) => new Wire(shared.baseUrl, { authorization: `Bearer ${key}` }),
    );
    if (owner === undefined || other === undefined) throw new Error('there are two');
    const made = await owner.ok('POST', '/assistants', { model: 'm' });
    const run = await owner.play(await owner.thread('hello'), { assistant_id: made.id });
    await settled(run, (seen) => outcomeOf(seen) === 'completed', owner);
    expect((await other.ask('GET', `${pathOf(run)}/trace`)).status).toBe(404);
  });
});

test('a killed worker’s attempt is shown, and the next one’s', async () => {
  const env = { LOCK_MS: '3000', DRAIN_MS: '0' };
  const own = await startService({ redisUrl: inject('redisUrl'), upstream, workers: 1, env });
  try {
    const at = new Wire(own.baseUrl);
    let asked = 0;
    const door = gate();
    upstream.reply(() => ((asked += 1) === 1 ? [text('Once'), door] : says('Once upon a time')));
    const made = await at.ok('POST', '/assistants', { model: 'm' });
    const run = await at.run(await at.thread('a story'), { assistant_id: made.id });
    await door.reached;
    // Its worker has noted it.
    const isNoted = ({ attributes }: Span): boolean => 'longrun.upstream' in attributes;
    await settled(run, (seen) => ofKind(seen, 'model').some(isNoted), at);
    await own.killWorker(0);
    await own.startWorker();
    await at.rested(run);
    const trace = await settled(run, (seen) => outcomeOf(seen) === 'completed', at);
    const [lost, second] = ofKind(trace, 'attempt');
    expect(lost).toMatchObject({ status: 'error', error: 'lost', end_ms: second?.start_ms });
    expect(second?.attributes['longrun.worker']).not.toBe(lost?.attributes['longrun.worker']);
    expect(ofKind(trace, 'model')).toMatchObject([
      { parent_id: lost?.id, status: 'error', error: 'lost' },
      { parent_id: second?.id, status: 'ok' },
    ]);
    door.open();
  } finally {
    await own.stop();
  }
});
