/** What a conversation hears of a run's log: its words, its calls, its end, and nothing twice. */
import { describe, expect, test } from 'vitest';
import { TurnReader, type TurnEvent } from '../../src/turns/turn-events.ts';
import type { RunEvent } from '../../src/runs/event.ts';
import type { LoggedEvent } from '../../src/store/follow.ts';
import { cited, ERROR, eventsFor, usage } from '../runs/histories.ts';

const { 'run.queued': queued, 'run.started': started } = eventsFor(null);
const at = 1_001;

const openMessage = (id: string): readonly RunEvent[] => [
  { type: 'step.created', at, step_id: `step_${id}`, message_id: id },
  { type: 'message.created', at, message_id: id },
];
const delta = (text: string): RunEvent => ({ type: 'message.delta', text });
const complete = (tokens: number): readonly RunEvent[] => [
  { type: 'message.completed', at },
  { type: 'step.completed', at, usage: usage(tokens), outputs: null },
  { type: 'run.completed', at },
];
const call = (index: number, name: string): readonly RunEvent[] => [
  { type: 'tool.called', index, call_id: `call_${name}`, name },
  { type: 'tool.delta', index, arguments: '{"a":1}' },
];
const openCalls: RunEvent = { type: 'step.created', at, step_id: 'step_calls', message_id: null };

/** What a reader behind `after` tells of a log. */
async function* says(
  log: AsyncIterable<readonly LoggedEvent[]>,
  after: number,
): AsyncGenerator<TurnEvent, void> {
  const reader = new TurnReader(after);
  for await (const entries of log) {
    yield* reader.read(entries);
    if (reader.isOver) return;
  }
}

/** What is heard of these events behind `after`, however the log is cut into batches. */
async function heard(events: readonly RunEvent[], after = 0): Promise<readonly TurnEvent[]> {
  const entries = events.map((event, index): LoggedEvent => ({ seq: index + 1, event }));
  const all = await Array.fromAsync(says(batches(entries, entries.length), after));
  expect(await Array.fromAsync(says(batches(entries, 1), after))).toEqual(all);
  return all;
}

/** What is heard by who hears the first events before the others happen. */
async function heardInTwo(
  first: readonly RunEvent[],
  rest: readonly RunEvent[],
): Promise<readonly TurnEvent[]> {
  const entries = [...first, ...rest].map((event, index): LoggedEvent => ({ seq: index + 1, event }));
  const log = async function* (): AsyncGenerator<readonly LoggedEvent[], void> {
    yield entries.slice(0, first.length);
    yield entries.slice(first.length);
  };
  return Array.fromAsync(says(log(), 0));
}

async function* batches(
  entries: readonly LoggedEvent[],
  size: number,
): AsyncGenerator<readonly LoggedEvent[], void> {
  for (let index = 0; index < entries.length; index += size) yield entries.slice(index, index + size);
}

describe('a conversation hears', () => {
  test('words as they come, the end, and what it cost', async () => {
    const events = [
      queued,
      started,
      ...openMessage('m'),
      delta('Hel'),
      delta(''),
      delta('lo'),
      ...complete(2),
    ];
    expect(await heard(events)).toEqual([
      { type: 'text', text: 'Hel' },
      { type: 'text', text: 'lo' },
      { type: 'end', reason: 'stop', usage: usage(2) },
    ]);
  });

  test('two answers apart from each other, where the run was steered between them', async () => {
    const closed = complete(1).slice(0, -1);
    const steered: RunEvent = { type: 'run.steered', at, messages: ['msg_a'] };
    const events = [
      queued,
      started,
      ...openMessage('m'),
      delta('One.'),
      ...closed,
      steered,
      ...openMessage('m2'),
      { type: 'message.delta', text: '【1】', annotations: [cited('file_b', 0)] } as const,
      ...complete(1),
    ];
    expect(await heard(events)).toEqual([
      { type: 'text', text: 'One.' },
      { type: 'text', text: '\n\n' },
      { type: 'text', text: '【1】', annotations: [cited('file_b', 6)] },
      { type: 'end', reason: 'stop', usage: usage(2) },
    ]);
    const since = new TurnReader(events.indexOf(steered));
    expect(since.read(events.map((event, index) => ({ seq: index + 1, event })))).toMatchObject([
      { type: 'text', text: '【1】', annotations: [cited('file_b', 0)] },
      { type: 'end', usage: usage(1) },
    ]);
  });

  test('annotations, whose indices count from the beginning of all that it hears', async () => {
    const marked = (text: string, file: string, start: number): RunEvent => ({
      type: 'message.delta',
      text,
      annotations: [cited(file, start)],
    });
    const closed: readonly RunEvent[] = [
      { type: 'message.completed', at },
      { type: 'step.completed', at, usage: null, outputs: null },
    ];
    const first = [...openMessage('m'), delta('See '), marked('【1】', 'file_a', 4), ...closed];
    const events = [
      queued,
      started,
      ...first,
      ...openMessage('m2'),
      marked('【1】', 'file_b', 0),
      ...complete(2),
    ];
    expect(await heard(events)).toEqual([
      { type: 'text', text: 'See ' },
      { type: 'text', text: '【1】', annotations: [cited('file_a', 4)] },
      { type: 'text', text: '【1】', annotations: [cited('file_b', 7)] },
      { type: 'end', reason: 'stop', usage: usage(2) },
    ]);
  });

  test('only what lies behind its cursor', async () => {
    const events = [queued, started, ...openMessage('m'), delta('Hel'), delta('lo'), ...complete(2)];
    expect(await heard(events, 5)).toEqual([
      { type: 'text', text: 'lo' },
      { type: 'end', reason: 'stop', usage: usage(2) },
    ]);
  });

  test('the server’s own calls with their answers, and what all passes cost together', async () => {
    const events = [
      queued,
      started,
      openCalls,
      ...call(0, 'SEARCH'),
      { type: 'tool.answered', index: 0, output: '[]' },
      { type: 'step.completed', at, usage: usage(1), outputs: {} },
      ...openMessage('m'),
      delta('Found.'),
      ...complete(2),
    ] as const;
    const tool = { id: 'call_SEARCH', name: 'SEARCH', arguments: '{"a":1}' };
    expect(await heard(events)).toEqual([
      { type: 'tool.start', ...tool },
      { type: 'tool.end', ...tool, output: '[]' },
      { type: 'text', text: 'Found.' },
      { type: 'end', reason: 'stop', usage: usage(3) },
    ]);
  });

  test('its own calls only, and after their answers not again what they cost', async () => {
    const asked = [
      queued,
      started,
      openCalls,
      ...call(0, 'SEARCH'),
      ...call(1, 'weather'),
      { type: 'tool.answered', index: 0, output: '[]' },
      { type: 'run.blocked', at, usage: usage(1) },
    ] as const;
    const told = [
      { type: 'step.completed', at, usage: usage(1), outputs: { call_weather: 'sunny' } },
      { type: 'run.resumed', at, calm_until_ms: 0 },
      started,
      ...openMessage('m'),
      delta('Sunny.'),
      ...complete(2),
    ] as const;
    expect((await heard([...asked, ...told])).at(-1)).toEqual({
      type: 'calls',
      calls: [{ id: 'call_weather', type: 'function', function: { name: 'weather', arguments: '{"a":1}' } }],
      usage: usage(1),
    });
    expect(await heard([...asked, ...told], asked.length)).toEqual([
      { type: 'text', text: 'Sunny.' },
      { type: 'end', reason: 'stop', usage: usage(2) },
    ]);
  });

  test('why there is no answer', async () => {
    const begun = [queued, started];
    expect(await heard([...begun, { type: 'run.failed', at, error: ERROR }])).toEqual([
      { type: 'failed', error: ERROR },
    ]);
    const cancelled: RunEvent[] = [
      { type: 'run.cancelling', at },
      { type: 'run.cancelled', at },
    ];
    expect(await heard([...begun, ...cancelled])).toMatchObject([
      { type: 'failed', error: { code: 'cancelled' } },
    ]);
    expect(await heard([...begun, { type: 'run.expired', at }])).toMatchObject([
      { type: 'failed', error: { code: 'server_error' } },
    ]);
  });

  test('that an answer is cut short', async () => {
    const cut = (reason: 'max_completion_tokens' | 'content_filter'): RunEvent => ({
      type: 'run.incomplete',
      at,
      reason,
    });
    for (const [reason, told] of [
      ['max_completion_tokens', 'length'],
      ['content_filter', 'content_filter'],
    ] as const)
      expect((await heard([queued, started, cut(reason)])).at(-1)).toMatchObject({
        type: 'end',
        reason: told,
      });
  });
});

describe('thoughts', () => {
  const think = (text: string): RunEvent => ({ type: 'thought.delta', field: 'reasoning', text });
  const released: RunEvent = { type: 'run.released', at, reason: 'lost' };

  test('are heard as they come, and stay with the calls they led to', async () => {
    const asked = [queued, started, think('a'), think('b'), openCalls, ...call(0, 'SEARCH')];
    const answered: readonly RunEvent[] = [
      { type: 'tool.answered', index: 0, output: '[]' },
      { type: 'step.completed', at, usage: usage(1), outputs: {} },
    ];
    const events = [...asked, ...answered, think('c'), released, started, think('d'), ...openMessage('m')];
    const all = await heardInTwo([], [...events, delta('So.'), ...complete(2)]);
    const thoughts = all.filter(({ type }) => type.startsWith('thought'));
    expect(thoughts.map((say) => ('text' in say ? say.text : ''))).toEqual(['a', 'b', 'd']);
  });

  test('of a worker that was lost in its calls or words are taken back with them', async () => {
    const failed: RunEvent = { type: 'step.failed', at, usage: null, error: ERROR };
    const half: RunEvent = { type: 'message.incomplete', at, reason: 'run_failed', dropped: true };
    const rest = [failed, released, started, think('b'), ...openMessage('m2'), delta('So.'), ...complete(2)];
    const begun = [queued, started, think('a')];
    const told = [{ type: 'thought', text: 'b' }, { type: 'text', text: 'So.' }, { type: 'end' }];
    expect(await heardInTwo([...begun, openCalls, ...call(0, 'SEARCH')], rest)).toMatchObject([
      { type: 'thought', text: 'a' },
      { type: 'thought.dropped', text: 'a' },
      ...told,
    ]);
    expect(await heardInTwo([...begun, ...openMessage('m'), delta('Hel')], [half, ...rest])).toMatchObject([
      { type: 'thought', text: 'a' },
      { type: 'text', text: 'Hel' },
      { type: 'dropped', text: 'Hel' },
      { type: 'thought.dropped', text: 'a' },
      ...told,
    ]);
  });

  test.each<[string, readonly RunEvent[]]>([
    ['their worker is lost', [released, started]],
    ['their server is asked again', [{ type: 'thought.dropped' }]],
  ])('are taken back when %s', async (_, lost) => {
    const rest = [...lost, think('b'), ...openMessage('m'), delta('So.'), ...complete(2)];
    const then = [{ type: 'thought', text: 'b' }, { type: 'text', text: 'So.' }, { type: 'end' }];
    expect(await heardInTwo([queued, started, think('a')], rest)).toMatchObject([
      { type: 'thought', text: 'a' },
      { type: 'thought.dropped', text: 'a' },
      ...then,
    ]);
    expect(await heardInTwo([], [queued, started, think('a'), ...rest])).toMatchObject(then);
  });
});

describe('asides', () => {
  const told = (message: object, calls: object = {}): RunEvent => ({
    type: 'asides.told',
    asides: { message: { ...message }, calls: { ...calls } },
  });

  test('come with the calls or the end of the completion they belong to', async () => {
    const first = [
      queued,
      started,
      openCalls,
      ...call(0, 'A'),
      ...call(1, 'B'),
      told({ x: 1 }, { 1: { y: 2 } }),
    ];
    const blocked: RunEvent = { type: 'run.blocked', at, usage: usage(1) };
    expect(await heard([...first, blocked])).toMatchObject([
      { type: 'calls', asides: { message: { x: 1 }, calls: new Map([['call_B', { y: 2 }]]) } },
    ]);
    const answered: RunEvent = {
      type: 'step.completed',
      at,
      usage: usage(1),
      outputs: { call_A: '', call_B: '' },
    };
    const words = [...openMessage('m'), delta('So.')];
    const all = await heard([...first, answered, ...words, told({ z: 3 }), ...complete(1)]);
    expect(all.at(-1)).toMatchObject({ type: 'end', asides: { message: { z: 3 }, calls: new Map() } });
    expect((await heard([...first, answered, ...words, ...complete(1)])).at(-1)).not.toHaveProperty('asides');
  });

  test('of a first call that is not shown are those of the first that is', async () => {
    const made = [openCalls, ...call(0, 'A'), ...call(1, 'B'), ...call(2, 'C'), told({}, { 0: { sig: 1 } })];
    const answered: RunEvent = { type: 'tool.answered', index: 0, output: '' };
    const blocked: RunEvent = { type: 'run.blocked', at, usage: usage(1) };
    const all = await heard([queued, started, ...made, answered, blocked]);
    const last = all.at(-1);
    const asides = last?.type === 'calls' ? last.asides : undefined;
    expect(asides?.calls.get('call_B')).toEqual({ sig: 1 });
    expect(asides?.calls.has('call_C')).toBe(false);
  });

  test('of a worker that was lost are forgotten', async () => {
    const lost = [openCalls, ...call(0, 'A'), told({ x: 1 })];
    const failed: RunEvent = { type: 'step.failed', at, usage: null, error: ERROR };
    const again: readonly RunEvent[] = [{ type: 'run.released', at, reason: 'lost' }, started];
    const rest = [failed, ...again, ...openMessage('m'), delta('So.'), ...complete(1)];
    expect((await heard([queued, started, ...lost, ...rest])).at(-1)).not.toHaveProperty('asides');
  });
});

describe('an answer that its worker lost', () => {
  const lost: readonly RunEvent[] = [
    { type: 'message.incomplete', at, reason: 'run_failed', dropped: true },
    { type: 'step.cancelled', at, usage: null },
    { type: 'run.released', at, reason: 'lost' },
    started,
    ...openMessage('m2'),
    delta('Anew.'),
    ...complete(2),
  ];

  test('is told anew when nothing of it was heard', async () => {
    expect(await heard([queued, started, ...openMessage('m'), ...lost])).toMatchObject([
      { type: 'text', text: 'Anew.' },
      { type: 'end' },
    ]);
  });

  test('takes back what was heard of it, and goes on', async () => {
    const begun = [queued, started, ...openMessage('m'), delta('Hel'), delta('lo')];
    expect(await heardInTwo(begun, lost)).toMatchObject([
      { type: 'text', text: 'Hel' },
      { type: 'text', text: 'lo' },
      {
        type: 'dropped',
        text: 'Hello',
        error: { message: 'The answer was interrupted and could not be continued. Ask again.' },
      },
      { type: 'text', text: 'Anew.' },
      { type: 'end' },
    ]);
  });

  test('takes back what was said before the calls that it lost', async () => {
    const closed: readonly RunEvent[] = [
      { type: 'message.completed', at },
      { type: 'step.completed', at, usage: null, outputs: null },
    ];
    const begun = [
      queued,
      started,
      ...openMessage('m'),
      delta('Hm.'),
      ...closed,
      openCalls,
      ...call(0, 'search'),
    ];
    const dropped: RunEvent = { type: 'step.dropped', at, error: ERROR };
    const rest = [dropped, ...lost.slice(1)];
    const anew = [{ type: 'text', text: 'Anew.' }, { type: 'end' }];
    expect(await heardInTwo(begun, rest)).toMatchObject([
      { type: 'text', text: 'Hm.' },
      { type: 'dropped', text: 'Hm.' },
      ...anew,
    ]);
    expect(await heardInTwo([], [...begun, ...rest])).toMatchObject(anew);
  });

  test('keeps what was said and closed before', async () => {
    const before = [...openMessage('m0'), delta('First. '), { type: 'message.completed', at } as const];
    const step: RunEvent = { type: 'step.completed', at, usage: null, outputs: null };
    const begun = [queued, started, ...before, step, ...openMessage('m'), delta('Hel')];
    expect(await heardInTwo(begun, lost)).toMatchObject([
      { type: 'text', text: 'First. ' },
      { type: 'text', text: 'Hel' },
      { type: 'dropped', text: 'Hel' },
      { type: 'text', text: 'Anew.' },
      { type: 'end' },
    ]);
  });

  test('is not told at all to who reads the log afterwards', async () => {
    const events = [queued, started, ...openMessage('m'), delta('Hel'), ...lost];
    expect(await heardInTwo([], events)).toMatchObject([{ type: 'text', text: 'Anew.' }, { type: 'end' }]);
  });
});
