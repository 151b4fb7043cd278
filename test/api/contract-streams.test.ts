/**
 * What a run's stream says, word by word: how deltas are built, in which order frames come where other tests look only at the
 * names of whole stories, and what asks for a stream in the first place.
 */
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { calls, finish, gate, refuses, says, text } from '../support/upstream.ts';
import { withSharedService } from '../support/shared-service.ts';
import { namesOf, outputsOf, runIn, type Frame, type WireRun } from '../support/wire.ts';

const { upstream, wire } = withSharedService({ UPSTREAM_RETRIES: '0' });

const TOOLS = [{ type: 'function', function: { name: 'f' } }];
/** Every event there ever was on this wire that this service can have reason to send. */
const NAMES = new Set([
  'thread.created',
  ...'created queued in_progress requires_action completed incomplete failed cancelling cancelled expired'
    .split(' ')
    .map((verb) => `thread.run.${verb}`),
  ...'created in_progress delta completed failed cancelled expired'
    .split(' ')
    .map((verb) => `thread.run.step.${verb}`),
  ...'created in_progress delta completed incomplete'.split(' ').map((verb) => `thread.message.${verb}`),
  'error',
  'done',
]);

async function assistantOf(fields: object = {}): Promise<string> {
  return (await wire.ok('POST', '/assistants', { model: 'm', ...fields })).id;
}

const pathOf = ({ thread_id, id }: WireRun): string => `/threads/${thread_id}/runs/${id}`;

/** All frames of a new run over a new thread. */
async function framesOf(fields: object = {}): Promise<readonly Frame[]> {
  const body = { assistant_id: await assistantOf(fields), stream: true };
  return (await wire.stream('POST', `/threads/${await wire.thread('hello')}/runs`, { body })).rest();
}

/** All frames from the submission of outputs on. */
async function framesAfter(run: WireRun, output: string): Promise<readonly Frame[]> {
  const body = { tool_outputs: outputsOf(run, output), stream: true };
  return (await wire.stream('POST', `${pathOf(run)}/submit_tool_outputs`, { body })).rest();
}

const named = (frames: readonly Frame[], name: string): readonly unknown[] =>
  frames.filter((frame) => frame.name === name).map(({ data }) => data);

const withId = z.looseObject({ id: z.string() });
const idIn = (data: unknown): string => withId.parse(data).id;

describe('the deltas of a message', () => {
  /** Shows A-DELTA-01, A-DELTA-02, A-DELTA-06, A-INV-08. */
  test('hold one piece of text each, of which the first brings an empty list of annotations', async () => {
    const door = gate();
    upstream.reply(() => [text('Hel'), door, text('lo'), finish('stop')]);
    const body = { assistant_id: await assistantOf(), stream: true };
    const stream = await wire.stream('POST', `/threads/${await wire.thread('hello')}/runs`, { body });
    const begun = await stream.until('thread.message.delta');
    door.open();
    const frames = [...begun, ...(await stream.rest())];
    const [message] = named(frames, 'thread.message.created');
    expect(message).toMatchObject({ role: 'assistant', status: 'in_progress', content: [] });
    expect(named(frames, 'thread.message.in_progress')).toEqual([message]);
    const delta = (piece: object): object => ({
      id: idIn(message),
      object: 'thread.message.delta',
      delta: { content: [{ index: 0, type: 'text', text: piece }] },
    });
    expect(named(frames, 'thread.message.delta')).toEqual([
      delta({ value: 'Hel', annotations: [] }),
      delta({ value: 'lo' }),
    ]);
  });
});

describe('the deltas of calls', () => {
  const entrySchema = z.object({
    id: z.string(),
    object: z.literal('thread.run.step.delta'),
    delta: z.strictObject({
      step_details: z.strictObject({
        type: z.literal('tool_calls'),
        tool_calls: z.tuple([
          z.strictObject({
            index: z.int(),
            id: z.string().optional(),
            type: z.literal('function'),
            function: z.strictObject({
              name: z.string().optional(),
              arguments: z.string(),
              output: z.null().optional(),
            }),
          }),
        ]),
      }),
    }),
  });
  type Entry = z.infer<typeof entrySchema>['delta']['step_details']['tool_calls'][0];
  const entriesOf = (frames: readonly Frame[]): readonly Entry[] =>
    named(frames, 'thread.run.step.delta').map(
      (data) => entrySchema.parse(data).delta.step_details.tool_calls[0],
    );

  /** Says of each call what it is in its first entry, and nothing but its arguments after that. */
  function expectTold(frames: readonly Frame[], told: readonly string[]): void {
    const ids =
      runIn(frames.at(-2)).required_action?.submit_tool_outputs.tool_calls.map(({ id }) => id) ?? [];
    const entries = entriesOf(frames);
    expect(entries.map(({ index }) => index)).toEqual(
      entries.map(({ index }) => index).toSorted((one, other) => one - other),
    );
    expect(ids).toHaveLength(told.length);
    for (const [index, json] of told.entries()) {
      const [first, ...more] = entries.filter((entry) => entry.index === index);
      const beginning = { name: 'f', arguments: '', output: null };
      expect(first).toEqual({ index, id: ids[index], type: 'function', function: beginning });
      expect(more.every((entry) => entry.id === undefined)).toBe(true);
      expect(more.map((entry) => Object.keys(entry.function))).toEqual(more.map(() => ['arguments']));
      expect(more.map((entry) => entry.function.arguments).join('')).toBe(json);
    }
  }

  /** Shows A-DELTA-03, A-DELTA-04, A-DELTA-05, A-DELTA-06, A-DELTA-07, A-DELTA-09, A-DELTA-10, A-ORDER-05, A-OUT-11. */
  test('name a call once, then add to its arguments, call after call; each step counts from 0', async () => {
    const cities = ['Taipei', 'Paris'].map((city) => ({ name: 'f', arguments: { city } }));
    upstream.reply(({ outputs }) => calls(outputs.length === 0 ? cities : cities.slice(1)));
    const asked = await framesOf({ tools: TOOLS });
    expectTold(asked, ['{"city":"Taipei"}', '{"city":"Paris"}']);
    const askedAgain = await framesAfter(runIn(asked.at(-2)), 'sunny');
    expectTold(askedAgain, ['{"city":"Paris"}']);
    const stepOf = (frames: readonly Frame[]): string => idIn(named(frames, 'thread.run.step.created')[0]);
    expect(stepOf(askedAgain)).not.toBe(stepOf(asked));
    for (const frames of [asked, askedAgain]) {
      const ids = named(frames, 'thread.run.step.delta').map(idIn);
      expect(new Set(ids)).toEqual(new Set([stepOf(frames)]));
    }
  });
});

describe('a stream up to a call, and on from its output', () => {
  /** Shows A-ORDER-04, A-ORDER-06, A-INV-09, A-OUT-14. */
  test('leaves the step open where it ends, and begins with its end where it goes on', async () => {
    upstream.reply(({ outputs }) =>
      outputs.length > 0 ? says('done') : calls([{ name: 'f', arguments: {} }]),
    );
    const asked = await framesOf({ tools: TOOLS });
    const [created] = named(asked, 'thread.run.step.created');
    expect(created).toMatchObject({
      type: 'tool_calls',
      status: 'in_progress',
      step_details: { type: 'tool_calls', tool_calls: [] },
    });
    expect(named(asked, 'thread.run.step.in_progress')).toEqual([created]);
    expect(namesOf(asked)).not.toContain('thread.run.step.completed');
    const waiting = runIn(asked.at(-2));
    expect(waiting).toMatchObject({ status: 'requires_action', usage: null });

    const told = await framesAfter(waiting, 'sunny');
    expect(namesOf(told).slice(0, 3)).toEqual([
      'thread.run.step.completed',
      'thread.run.queued',
      'thread.run.in_progress',
    ]);
    expect(namesOf(told)).not.toContain('thread.run.created');
    const [call] = waiting.required_action?.submit_tool_outputs.tool_calls ?? [];
    const answered = { ...call, function: { ...call?.function, output: 'sunny' } };
    expect(told[0]?.data).toMatchObject({
      id: idIn(created),
      status: 'completed',
      step_details: { type: 'tool_calls', tool_calls: [answered] },
    });
    expect(told[1]?.data).toEqual({ ...waiting, status: 'queued', required_action: null });
  });

  /** Shows A-ORDER-07, A-INV-02, A-INV-03. */
  test('closes what was said before the call, message and step, before it opens the step of the call', async () => {
    upstream.reply(() => [text('Let me see.'), ...calls([{ name: 'f', arguments: {} }])]);
    const names = namesOf(await framesOf({ tools: TOOLS }));
    // The arguments may come in any number of pieces.
    expect(names.filter((name, index) => name !== names[index - 1])).toEqual([
      'thread.run.created',
      'thread.run.queued',
      'thread.run.in_progress',
      'thread.run.step.created',
      'thread.run.step.in_progress',
      'thread.message.created',
      'thread.message.in_progress',
      'thread.message.delta',
      'thread.message.completed',
      'thread.run.step.completed',
      'thread.run.step.created',
      'thread.run.step.in_progress',
      'thread.run.step.delta',
      'thread.run.requires_action',
      'done',
    ]);
  });
});

/** Shows A-FRAME-10. */
test('whatever happens to a run, its stream has no event of a name that clients do not know', async () => {
  upstream.reply(({ outputs }) =>
    outputs.length > 0 ? says('done') : calls([{ name: 'f', arguments: {} }]),
  );
  const asked = await framesOf({ tools: TOOLS });
  const told = await framesAfter(runIn(asked.at(-2)), 'sunny');
  upstream.reply(() => [text('Once'), { type: 'break' }]);
  const failed = await framesOf();
  upstream.reply(() => [text('Once'), finish('length')]);
  const incomplete = await framesOf();
  upstream.reply(() => [text('Once'), { type: 'stall' }]);
  const body = {
    assistant_id: await assistantOf(),
    stream: true,
    thread: { messages: [{ role: 'user', content: 'x' }] },
  };
  const stream = await wire.stream('POST', '/threads/runs', { body });
  const begun = await stream.until('thread.message.delta');
  await wire.ok('POST', `${pathOf(runIn(begun[1]))}/cancel`);
  const cancelled = [...begun, ...(await stream.rest())];
  const names = new Set(namesOf([...asked, ...told, ...failed, ...incomplete, ...cancelled]));
  expect(names.size).toBeGreaterThan(18);
  expect([...names].filter((name) => !NAMES.has(name))).toEqual([]);
});

/** Shows A-STEP-15, A-LIFE-11. */
test('a step that fails says so with one of the two codes that steps have, whatever its run says', async () => {
  const flagged = { error: { message: 'The prompt was flagged.', code: 'content_policy_violation' } };
  upstream.reply(() => [text('Once'), { type: 'line', line: `data: ${JSON.stringify(flagged)}` }]);
  const frames = await framesOf();
  const last_error = (code: string): object => ({
    last_error: { code, message: expect.stringContaining('flagged') as unknown },
  });
  expect(named(frames, 'thread.run.failed')).toMatchObject([last_error('invalid_prompt')]);
  expect(named(frames, 'thread.run.step.failed')).toMatchObject([last_error('server_error')]);
});

/** Shows A-RETRY-05, A-LIFE-09. */
test('a model that is asked too often is no reason to refuse a request: the run fails', async () => {
  upstream.reply(() => refuses(429, 'Rate limit reached for m'));
  const run = await wire.run(await wire.thread('hello'), { assistant_id: await assistantOf() });
  expect(run.status).toBe('queued');
  const last_error = { code: 'rate_limit_exceeded', message: 'Rate limit reached for m' };
  expect(await wire.rested(run)).toMatchObject({ status: 'failed', last_error });
});

/** Shows A-FRAME-15. */
test('a stream says to proxies that it is not to be held back', async () => {
  const body = { assistant_id: await assistantOf(), stream: true };
  const stream = await wire.stream('POST', `/threads/${await wire.thread('hello')}/runs`, { body });
  expect(stream.headers.get('x-accel-buffering')).toBe('no');
  await stream.rest();
});

describe('whether the answer is a stream', () => {
  const STREAM = 'text/event-stream; charset=utf-8';
  const JSON_TYPE = 'application/json; charset=utf-8';

  /** Shows A-FRAME-01. */
  test.each<[object, string, string]>([
    [{ stream: true }, 'application/json', STREAM],
    [{ stream: true }, 'application/json, text/event-stream', STREAM],
    [{ stream: false }, 'text/event-stream', JSON_TYPE],
    [{ stream: null }, 'application/json, text/event-stream', JSON_TYPE],
    [{}, 'text/event-stream', JSON_TYPE],
  ])('says the body %j, not the header Accept: %s', async (more, accept, type) => {
    const headers = { accept };
    upstream.reply(({ outputs }) =>
      outputs.length > 0 ? says('done') : calls([{ name: 'f', arguments: {} }]),
    );
    const body = { assistant_id: await assistantOf({ tools: TOOLS }), ...more };
    const thread = await wire.thread('hello');
    const replies = [
      await wire.ask('POST', `/threads/${thread}/runs`, { body, headers }),
      await wire.ask('POST', '/threads/runs', {
        body: { ...body, thread: { messages: [{ role: 'user', content: 'hello' }] } },
        headers,
      }),
    ];
    const [run] = await wire.list(`/threads/${thread}/runs`);
    const waiting = await wire.rested({ thread_id: thread, id: run?.id ?? '' });
    const path = `${pathOf(waiting)}/submit_tool_outputs`;
    const submission = { tool_outputs: outputsOf(waiting, 'sunny'), ...more };
    replies.push(await wire.ask('POST', path, { body: submission, headers }));
    expect(replies.map(({ headers: own }) => own.get('content-type'))).toEqual([type, type, type]);
  });
});
