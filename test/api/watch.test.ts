/**
 * Watching a run by its events: from the beginning, from any cursor, by any number of readers, through every wait for the client, and
 * long after the run has ended.
 */
/* oxlint-disable vitest/expect-expect -- expectRefusal asserts. */
import { beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { lookUntil } from '../support/looks.ts';
import { problemsOf } from '../support/order.ts';
import { expectRefusal } from '../support/refusal.ts';
import { withSharedService } from '../support/shared-service.ts';
import { calls, gate, says, text, type Step } from '../support/upstream.ts';
import { namesOf, runIn, saidIn, type Frame, type WireRun } from '../support/wire.ts';
import { withService } from '../support/with-service.ts';

const READERS = 12;
const TOOL = { type: 'function', function: { name: 'f' } };

let assistant_id: string;

const { upstream, wire } = withService({ env: { CALM_AFTER_SUBMIT_MS: '0' } });

beforeAll(async () => {
  assistant_id = (await wire.ok('POST', '/assistants', { model: 'm', tools: [TOOL] })).id;
});

const pathOf = ({ thread_id, id }: Pick<WireRun, 'thread_id' | 'id'>): string =>
  `/threads/${thread_id}/runs/${id}/events`;

/** The whole of a run that ended. */
async function framesOf(
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<readonly Frame[]> {
  return (await wire.stream('GET', path, { headers })).rest();
}

const idsOf = (frames: readonly Frame[]): number[] =>
  frames.flatMap(({ id }) => (id === null ? [] : [Number(id)]));

/** What a reader that has come as far as `cursor` has yet to hear. */
function behind(frames: readonly Frame[], cursor: number): readonly Frame[] {
  return frames.slice(frames.findIndex(({ id }) => id === String(cursor)) + 1);
}

/** Speaks, calls, is answered, and speaks again; every fragment on its own. */
async function talkative(): Promise<WireRun> {
  upstream.reply(({ outputs }) =>
    outputs.length > 0
      ? says('It', ' is', ' *', outputs.join(), '*')
      : [
          text('Let'),
          text(' me'),
          text(' see'),
          ...calls([{ name: 'f', arguments: { city: 'Taipei', n: 1 } }]),
        ],
  );
  return wire.play(await wire.thread('weather?'), { assistant_id });
}

const thoughtSchema = z.strictObject({
  object: z.literal('thread.run.thought.delta'),
  run_id: z.string().startsWith('run_'),
  delta: z.strictObject({ text: z.string() }),
});
const thoughtIn = (data: unknown): string => thoughtSchema.parse(data).delta.text;

describe('a run that has ended', () => {
  let frames: readonly Frame[];
  let path: string;

  beforeAll(async () => {
    const waiting = await talkative();
    await wire.rested(await wire.submit(waiting, 'sunny'));
    path = pathOf(waiting);
    frames = await framesOf(path);
  });

  /** Shows A-INV-01, A-INV-02, A-INV-03, A-INV-04, A-INV-05. */
  test('is told from its beginning through its wait to its end, in a legal order', () => {
    const names = namesOf(frames);
    expect(names.slice(0, 2)).toEqual(['thread.run.created', 'thread.run.queued']);
    expect(names.slice(-2)).toEqual(['thread.run.completed', 'done']);
    expect(names.filter((name) => name === 'thread.run.requires_action')).toHaveLength(1);
    expect(saidIn(frames)).toBe('Let me seeIt is *sunny*');
    expect(problemsOf(frames.map((frame) => ({ ...frame, id: null })))).toEqual([]);
  });

  test('has ids that grow, on the last frame of every event but the closing one', () => {
    const ids = idsOf(frames);
    expect(ids.length).toBeGreaterThan(10);
    expect(ids).toEqual(ids.map((_, index) => index + 1));
    expect(frames.at(-1)).toEqual({ id: null, name: 'done', data: '[DONE]' });
    // Created and queued are one event: a reader that has only half of it gets both again.
    expect(frames.slice(0, 2).map(({ id }) => id)).toEqual([null, '1']);
  });

  test('goes on exactly behind every cursor, whichever way that is said', async () => {
    for (const cursor of [0, ...idsOf(frames)]) {
      const rest = behind(frames, cursor);
      expect(await framesOf(`${path}?after=${cursor}`)).toEqual(rest);
      expect(await framesOf(path, { 'last-event-id': String(cursor) })).toEqual(rest);
      expect(await framesOf(`${path}?after=${cursor}`, { 'last-event-id': '1' })).toEqual(rest);
    }
  });

  test('has nothing more to tell behind its end', async () => {
    const [done] = frames.slice(-1);
    const last = idsOf(frames).at(-1) ?? 0;
    for (const cursor of [last, last + 1, last + 1_000])
      expect(await framesOf(`${path}?after=${cursor}`)).toEqual([done]);
  });

  test('is told whole to a reader whose last id is none of ours', async () => {
    for (const id of ['', 'x', '1.5']) expect(await framesOf(path, { 'last-event-id': id })).toEqual(frames);
  });

  test('is not told from a cursor that cannot be', async () => {
    const wrong = { '-1': 'integer_below_min_value', x: 'invalid_type', '1.5': 'invalid_type' };
    for (const [cursor, code] of Object.entries(wrong))
      expectRefusal(await wire.ask('GET', `${path}?after=${cursor}`), {
        message: /^Invalid /,
        param: 'after',
        code,
      });
  });

  test('is told the same by the stream of its creation, without ids', async () => {
    upstream.reply(() => says('Once', ' upon', ' a', ' time'));
    const stream = await wire.stream('POST', '/threads/runs', {
      body: { assistant_id, stream: true, thread: { messages: [{ role: 'user', content: 'a story' }] } },
    });
    const [created, ...own] = await stream.rest();
    expect(created?.name).toBe('thread.created');
    expect((await framesOf(pathOf(runIn(own[0])))).map((frame) => ({ ...frame, id: null }))).toEqual(own);
  });
});

describe('a run that goes on', () => {
  test('is followed by any number of readers, through its wait, to its end', async () => {
    const [first, second] = [gate(), gate()];
    upstream.reply(({ outputs }) =>
      outputs.length > 0
        ? [text('It is'), second, ...says(' sunny')]
        : [text('Let me'), first, text(' see'), ...calls([{ name: 'f', arguments: {} }])],
    );
    const run = await wire.run(await wire.thread('weather?'), { assistant_id });
    const open = async () => wire.stream('GET', pathOf(run));
    const early = await Promise.all(Array.from({ length: READERS }, open));
    await first.reached;
    first.open();
    const waiting = await wire.rested(run);
    const later = await Promise.all(Array.from({ length: READERS }, open));
    await wire.submit(waiting, 'sunny');
    await second.reached;
    const last = await open();
    second.open();

    const [whole = [], ...others] = await Promise.all(
      [...early, ...later, last].map((reader) => reader.rest()),
    );
    for (const frames of others) expect(frames).toEqual(whole);
    expect(namesOf(whole).slice(-2)).toEqual(['thread.run.completed', 'done']);
    expect(namesOf(whole)).toContain('thread.run.requires_action');
    expect(await framesOf(pathOf(run))).toEqual(whole);
  });

  test('is picked up where a reader left it', async () => {
    const door = gate();
    upstream.reply(() => [text('Once'), door, ...says(' upon', ' a time')]);
    const run = await wire.run(await wire.thread('a story'), { assistant_id });
    const reader = await wire.stream('GET', pathOf(run));
    const heard = await reader.until('thread.message.delta');
    reader.close();
    const again = await wire.stream('GET', pathOf(run), {
      headers: { 'last-event-id': String(idsOf(heard).at(-1)) },
    });
    door.open();
    const whole = [...heard, ...(await again.rest())];
    expect(whole).toEqual(await framesOf(pathOf(run)));
    expect(saidIn(whole)).toBe('Once upon a time');
  });

  test('that is deleted with its thread ends its readers’ streams with an error', async () => {
    upstream.reply(() => [text('Once'), { type: 'stall' }]);
    const run = await wire.run(await wire.thread('a story'), { assistant_id });
    const readers = await Promise.all([0, 1].map(() => wire.stream('GET', pathOf(run))));
    for (const reader of readers) await reader.until('thread.message.delta');
    await wire.ok('DELETE', `/threads/${run.thread_id}`);
    const message = 'The run was deleted together with its thread.';
    for (const reader of readers)
      expect(await reader.rest()).toEqual([
        {
          id: null,
          name: 'error',
          data: { error: { message, type: 'server_error', param: null, code: null } },
        },
        { id: null, name: 'done', data: '[DONE]' },
      ]);
    expect((await wire.ask('GET', pathOf(run))).status).toBe(404);
  });
});

describe('what a model thinks', () => {
  const THOUGHTS = ['Is it ', 'sunny?', ' It is.'];
  let path: string;

  beforeAll(async () => {
    const thinks = (reasoning_content: string): Step => ({
      type: 'chunk',
      delta: { reasoning_content },
      finish: null,
    });
    upstream.reply(() => [...THOUGHTS.map(thinks), ...says('Sunny', '.')]);
    path = pathOf(await wire.play(await wire.thread('weather?'), { assistant_id }));
  });

  test('is told to a reader that asks for it, before the words it led to, and from any cursor', async () => {
    const frames = await framesOf(`${path}?thoughts=true`);
    const thoughts = frames.filter(({ name }) => name === 'thread.run.thought.delta');
    expect(thoughts.map(({ data }) => thoughtIn(data)).join('')).toBe(THOUGHTS.join(''));
    const names = namesOf(frames);
    expect(names.lastIndexOf('thread.run.thought.delta')).toBeLessThan(
      names.indexOf('thread.message.created'),
    );
    const [first = 0] = idsOf(thoughts);
    expect(await framesOf(`${path}?thoughts=true&after=${first}`)).toEqual(behind(frames, first));
    expect(saidIn(frames)).toBe('Sunny.');
  });

  test('is not told to others', async () => {
    for (const query of ['', '?thoughts=false'])
      expect(namesOf(await framesOf(path + query))).not.toContain('thread.run.thought.delta');
    expectRefusal(await wire.ask('GET', `${path}?thoughts=1`), {
      message: /^Invalid /,
      param: 'thoughts',
      code: 'invalid_value',
    });
  });
});

describe('a run whose log has expired', () => {
  const { upstream: model, wire: own } = withSharedService({ LOG_KEPT_S: '1' });

  test('is told by its end alone', async () => {
    model.reply(() => says('Once', ' upon'));
    const assistant = (await own.ok('POST', '/assistants', { model: 'm' })).id;
    const run = await own.play(await own.thread('a story'), { assistant_id: assistant });
    // Nobody is told when a key expires, so it is asked for until it has.
    const frames = await lookUntil(
      async () => (await own.stream('GET', pathOf(run))).rest(),
      (told) => !namesOf(told).includes('thread.run.created'),
    );
    expect(frames).toEqual([
      { id: null, name: 'thread.run.completed', data: run },
      { id: null, name: 'done', data: '[DONE]' },
    ]);
    for (const after of [0, 3])
      expect(await (await own.stream('GET', `${pathOf(run)}?after=${after}`)).rest()).toEqual(frames);
    expect(await own.list(`/threads/${run.thread_id}/messages`)).toHaveLength(2);
    expect(await own.list(`/threads/${run.thread_id}/runs/${run.id}/steps`)).toHaveLength(1);
  });
});
