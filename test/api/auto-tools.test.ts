/**
 * `metadata.auto_tools`: the worker runs the server's own tools in the middle of a run, and every SDK is shown proper steps.
 * Tools of the client still pass out, also in the same turn.
 */
import { beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { SDKS } from '../support/sdks.ts';
import { calls, says } from '../support/upstream.ts';
import { problemsOf } from '../support/order.ts';
import { namesOf, outputsOf } from '../support/wire.ts';
import { withSharedService } from '../support/shared-service.ts';

// Tools' processes come up in a fifth of a second, on a loaded machine in half a minute.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const tool = (name: string) => ({
  type: 'function' as const,
  function: { name, parameters: { type: 'object', properties: {} } },
});
const CLOCK = { name: 'clock', arguments: {} };
const WEATHER = { name: 'weather', arguments: { city: 'Tainan' } };
const AUTO = { metadata: { auto_tools: 'true' } };

let assistant_id = '';

const { upstream, service, wire } = withSharedService();

beforeAll(async () => {
  const body = { model: 'm', tools: [tool('clock'), tool('weather')] };
  assistant_id = (await wire.ok('POST', '/assistants', body)).id;
});

beforeEach(() =>
  upstream.reply(({ outputs }) => (outputs.length === 0 ? calls([CLOCK]) : says('It is late.'))),
);

describe.each(SDKS)('$name', ({ connect }) => {
  test('is shown the finished steps of tools that the worker ran', async () => {
    const client = connect(service.baseUrl, 'any');
    const thread = await client.createThread([{ role: 'user', content: 'What time is it?' }]);
    const stream = client.stream(thread.id, { assistant_id, ...AUTO });
    expect(await stream.finalRun()).toMatchObject({ status: 'completed', required_action: null });
    const steps = await stream.finalRunSteps();
    expect(steps.map(({ type, status }) => [type, status])).toEqual([
      ['tool_calls', 'completed'],
      ['message_creation', 'completed'],
    ]);
    expect(JSON.stringify(steps[0]?.step_details)).toMatch(/"output":"\{.+\}"/);
    expect(await client.createAndPoll(thread.id, { assistant_id, ...AUTO })).toMatchObject({
      status: 'completed',
    });
  });
});

describe('a turn', () => {
  test('of both kinds of tools passes out the client’s calls only, and shows both in one step', async () => {
    upstream.reply(({ outputs }) =>
      outputs.length === 0 ? calls([CLOCK, WEATHER]) : says('Late and sunny.'),
    );
    const run = await wire.play(await wire.thread('time and weather?'), { assistant_id, ...AUTO });
    expect(run.status).toBe('requires_action');
    expect(outputsOf(run, '')).toHaveLength(1);
    expect(JSON.stringify(run.required_action)).toContain('weather');

    const path = `/threads/${run.thread_id}/runs/${run.id}`;
    const body = { tool_outputs: outputsOf(run, 'sunny'), stream: true };
    const frames = await (await wire.stream('POST', `${path}/submit_tool_outputs`, { body })).rest();
    expect(problemsOf(frames)).toEqual([]);
    expect(namesOf(frames).at(0)).toBe('thread.run.step.completed');
    expect(namesOf(frames).at(-2)).toBe('thread.run.completed');
    const steps = JSON.stringify(await wire.list(`${path}/steps`));
    expect(steps).toContain('"output":"sunny"');
    expect(steps).not.toContain('"output":null');
    const told = JSON.stringify(upstream.requests.at(-1)?.body.messages);
    expect(told).toContain('"content":"sunny"');
  });

  test.each([
    ['names only these', 'clock', 'completed'],
    ['names others', 'SEARCH', 'requires_action'],
  ])('whose run %s', async (_, auto_tools, status) => {
    const run = await wire.play(await wire.thread('time?'), { assistant_id, metadata: { auto_tools } });
    expect(run.status).toBe(status);
  });

  test('without the client’s say-so leaves every call to the client', async () => {
    expect(await wire.play(await wire.thread('time?'), { assistant_id })).toMatchObject({
      status: 'requires_action',
    });
  });

  test('that calls again and again is told to answer in the end', async () => {
    upstream.reply(({ body }) => (body.tool_choice === 'none' ? says('Enough.') : calls([CLOCK])));
    const run = await wire.play(await wire.thread('time?'), { assistant_id, ...AUTO });
    expect(run.status).toBe('completed');
  });
});

test('SEARCH, declared as assistants in the field do, is answered by the worker, within its bounds', async () => {
  const query = { q: 'taipei 101 height metres tower', mkt: 'en-US' };
  upstream.reply(({ outputs }) =>
    outputs.length === 0 ? calls([{ name: 'SEARCH', arguments: { query, topk: '1' } }]) : says('508 metres.'),
  );
  const { id } = await wire.ok('POST', '/assistants', { model: 'm', tools: [tool('SEARCH')], ...AUTO });
  const run = await wire.play(await wire.thread('How high is Taipei 101?'), { assistant_id: id });
  expect(run.status).toBe('completed');
  const output = upstream.requests.at(-1)?.outputs[0] ?? '';
  expect(JSON.parse(output)).toMatchObject({
    provider: 'offline',
    results: [{ url: 'https://places.example.org/taipei-101' }],
  });
  expect(Buffer.byteLength(output)).toBeLessThanOrEqual(8_000);
});

describe('a tool of the server that is declared by its name', () => {
  const bare = (name: string) => ({ type: 'function' as const, function: { name } });
  /** The function as the model was told it last. */
  const told = (name: string): unknown =>
    upstream.requests.at(-1)?.body.tools?.find((given) => JSON.stringify(given).includes(`"name":"${name}"`));
  const asServed = {
    description: expect.stringContaining('time zone') as unknown,
    parameters: { properties: { timezone: { type: 'string' } } },
  };

  beforeEach(() => upstream.reply(() => says('It is late.')));

  test('is told to the model with the schema of the server, where the worker answers it', async () => {
    const { id } = await wire.ok('POST', '/assistants', { model: 'm', tools: [bare('clock')], ...AUTO });
    await wire.play(await wire.thread('time?'), { assistant_id: id });
    expect(told('clock')).toMatchObject({ function: asServed });
  });

  test('is so in a chat, too, which need not ask for it', async () => {
    await wire.ok('POST', '/assistants', { model: 'm', name: 'teller', tools: [bare('clock')] });
    const body = { model: 'teller', messages: [{ role: 'user', content: 'time?' }] };
    await wire.ok('POST', '/chat/completions', body);
    expect(told('clock')).toMatchObject({ function: asServed });
  });

  test('keeps the description and the schema that the caller gave it', async () => {
    const parameters = { type: 'object', properties: { city: { type: 'string' } } };
    const own = { name: 'clock', description: 'Tells the time of a city.' };
    const tools = [{ type: 'function', function: { ...own, parameters } }];
    await wire.play(await wire.thread('time?'), { assistant_id, tools, ...AUTO });
    expect(told('clock')).toMatchObject({ function: { ...own, parameters } });

    await wire.play(await wire.thread('time?'), {
      assistant_id,
      tools: [{ type: 'function', function: own }],
      ...AUTO,
    });
    expect(told('clock')).toMatchObject({ function: { ...own, parameters: asServed.parameters } });
  });

  test.each([
    ['the client answers it', 'clock', {}],
    ['the device answers it', 'take_a_photo', AUTO],
    ['nobody here knows it', 'weather', AUTO],
  ])('has no schema where %s', async (_, name, settings) => {
    await wire.play(await wire.thread('time?'), { assistant_id, tools: [bare(name)], ...settings });
    expect(told(name)).toEqual({
      type: 'function',
      function: { name, parameters: { type: 'object', properties: {} } },
    });
  });
});
