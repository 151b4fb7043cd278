/** The transition table: every status × every event, with every combination of open parts. */
import { describe, expect, test } from 'vitest';
import type { RunEvent, RunEventType } from '../../src/runs/event.ts';
import { outputOf } from '../../src/runs/calls/kinds.ts';
import { callsOf } from '../../src/runs/parts.ts';
import {
  apply,
  IllegalTransition,
  isBlocked,
  isCancelling,
  isExecuting,
  isOverdue,
  isQueued,
  isTerminal,
  pendingCalls,
  TRANSITIONS,
  type RunState,
} from '../../src/runs/run.ts';
import type { RunStatus } from '../../src/runs/thread.ts';
import { EVENT_TYPES, eventsFor, EXPIRES_AT, outcomes, stateAfter, type Move } from './histories.ts';

const all = <S extends RunStatus>(
  status: S,
  types: readonly RunEventType[],
): Partial<Record<RunEventType, S>> => Object.fromEntries(types.map((type) => [type, status]));
const END_STEP = ['step.failed', 'step.cancelled', 'step.expired'] as const;
const CLOSE_STEP = ['step.completed', ...END_STEP] as const;
const ASKING: readonly Move[] = ['run.started', 'step.tools', 'tool.called'];
const SPEAKING: readonly Move[] = ['run.started', 'step.message', 'message.created'];

const THINKING = all('in_progress', ['thought.delta', 'thought.dropped']);
/** While a step is open. */
const TELLING = { ...THINKING, ...all('in_progress', ['asides.told']) };

/** A run in a status with these parts open: how it got there, and every event that is legal for it. */
const PLACES: readonly (readonly [
  string,
  RunStatus,
  readonly Move[],
  Partial<Record<RunEventType, RunStatus>>,
])[] = [
  [
    'queued',
    'queued',
    [],
    {
      'run.started': 'in_progress',
      'run.steered': 'queued',
      'run.cancelling': 'cancelling',
      'run.failed': 'failed',
      'run.expired': 'expired',
    },
  ],
  [
    'in_progress',
    'in_progress',
    ['run.started'],
    {
      'run.released': 'queued',
      'run.steered': 'in_progress',
      'run.cancelling': 'cancelling',
      'run.completed': 'completed',
      'run.incomplete': 'incomplete',
      'run.failed': 'failed',
      'run.expired': 'expired',
      'step.created': 'in_progress',
      ...THINKING,
    },
  ],
  [
    'in_progress with an open message step',
    'in_progress',
    ['run.started', 'step.message'],
    { 'run.cancelling': 'cancelling', ...all('in_progress', [...END_STEP, 'message.created']), ...TELLING },
  ],
  [
    'in_progress with an open message',
    'in_progress',
    SPEAKING,
    {
      'run.cancelling': 'cancelling',
      ...all('in_progress', ['message.delta', 'message.completed', 'message.incomplete']),
      ...TELLING,
    },
  ],
  [
    'in_progress with an open step of no calls yet',
    'in_progress',
    ['run.started', 'step.tools'],
    { 'run.cancelling': 'cancelling', ...all('in_progress', [...CLOSE_STEP, 'tool.called']), ...TELLING },
  ],
  [
    'in_progress with an open step of calls',
    'in_progress',
    ASKING,
    {
      'run.blocked': 'requires_action',
      'run.cancelling': 'cancelling',
      ...all('in_progress', [
        ...CLOSE_STEP,
        'step.left',
        'tool.called',
        'tool.delta',
        'tool.output',
        'tool.answered',
      ]),
      ...TELLING,
    },
  ],
  [
    'in_progress with an open step of calls, after words',
    'in_progress',
    [...SPEAKING, 'message.completed', 'step.completed', 'step.tools', 'tool.called'],
    {
      'run.blocked': 'requires_action',
      'run.cancelling': 'cancelling',
      ...all('in_progress', [
        ...CLOSE_STEP,
        'step.left',
        'step.dropped',
        'tool.called',
        'tool.delta',
        'tool.output',
        'tool.answered',
      ]),
      ...TELLING,
    },
  ],
  [
    'requires_action',
    'requires_action',
    [...ASKING, 'run.blocked'],
    { 'run.cancelling': 'cancelling', ...all('requires_action', ['run.steered', ...CLOSE_STEP]) },
  ],
  [
    'requires_action with its step answered',
    'requires_action',
    [...ASKING, 'run.blocked', 'step.completed'],
    {
      'run.resumed': 'queued',
      'run.steered': 'requires_action',
      'run.cancelling': 'cancelling',
      'run.expired': 'expired',
    },
  ],
  [
    'cancelling',
    'cancelling',
    ['run.cancelling'],
    {
      'run.steered': 'cancelling',
      'run.cancelled': 'cancelled',
      'run.completed': 'completed',
      'run.incomplete': 'incomplete',
      'run.failed': 'failed',
    },
  ],
  [
    'cancelling with an open message step',
    'cancelling',
    ['run.started', 'step.message', 'run.cancelling'],
    all('cancelling', END_STEP),
  ],
  [
    'cancelling with an open message',
    'cancelling',
    [...SPEAKING, 'run.cancelling'],
    all('cancelling', ['message.completed', 'message.incomplete']),
  ],
  [
    'cancelling with an open step of calls',
    'cancelling',
    [...ASKING, 'run.blocked', 'run.cancelling'],
    all('cancelling', CLOSE_STEP),
  ],
  ['cancelled', 'cancelled', ['run.cancelling', 'run.cancelled'], {}],
  ['failed', 'failed', ['run.started', 'run.failed'], {}],
  ['completed', 'completed', ['run.started', 'run.completed'], {}],
  ['incomplete', 'incomplete', ['run.started', 'run.incomplete'], {}],
  ['expired', 'expired', ['run.expired'], {}],
];

const TERMINAL: readonly RunStatus[] = ['cancelled', 'failed', 'completed', 'incomplete', 'expired'];

describe('the transition table', () => {
  const nothing = Object.fromEntries(EVENT_TYPES.map((type) => [type, 'illegal']));

  test('the table has a row for every event, and every status is tried below', () => {
    expect(Object.keys(TRANSITIONS).toSorted()).toStrictEqual(EVENT_TYPES.toSorted());
    expect(EVENT_TYPES).toHaveLength(30);
    const tried = new Set(PLACES.map(([, status]) => status));
    expect(tried.size).toBe(9);
  });

  test('a run that does not exist can only be queued', () => {
    expect(outcomes(null)).toStrictEqual({ ...nothing, 'run.queued': 'queued' });
  });

  /** Shows A-CANCEL-08, A-LIFE-01. */
  test.each(PLACES)('a run that is %s takes these events and no others', (_, status, moves, legal) => {
    const state = stateAfter(moves);
    expect(state.run.status).toBe(status);
    expect(outcomes(state)).toStrictEqual({ ...nothing, ...legal });
  });

  test('an illegal event is named together with the status and the reason', () => {
    const state = stateAfter(SPEAKING);
    expect(() => apply(state, eventsFor(state)['run.completed'])).toThrow(
      'event run.completed is illegal on a run that is in_progress: a message is open',
    );
    expect(() => apply(null, eventsFor(null)['run.started'])).toThrow(
      'is illegal on a run that is new: only queued may',
    );
  });

  test.each([
    [
      'a message the step does not name',
      'step.message',
      { type: 'message.created', at: 1, message_id: 'other' },
    ],
    ['a call out of order', 'step.tools', { type: 'tool.called', index: 1, call_id: 'c', name: 'n' }],
    ['arguments of a call nobody made', 'step.tools', { type: 'tool.delta', index: 0, arguments: '{' }],
    [
      'a call in a step that writes a message',
      'step.message',
      { type: 'tool.called', index: 0, call_id: 'c', name: 'n' },
    ],
  ] as const)('%s is refused', (_, step, event) => {
    expect(() => apply(stateAfter(['run.started', step]), event)).toThrow(IllegalTransition);
  });

  test('a step of calls completes only when every call is answered', () => {
    const state = stateAfter([...ASKING, 'tool.called', 'run.blocked']);
    const [first, second] = pendingCalls(state.run).map(({ id }) => id);
    const answers = (outputs: Record<string, string>): RunEvent => ({
      type: 'step.completed',
      at: 2_000,
      usage: null,
      outputs,
    });
    expect(() => apply(state, answers({ [`${first}`]: 'one' }))).toThrow(`call ${second} has no output`);
    const { subject } = apply(state, answers({ [`${first}`]: 'one', [`${second}`]: '' }));
    expect(subject.object === 'thread.run.step' && callsOf(subject).map(outputOf)).toStrictEqual(['one', '']);
  });
});

describe('what the statuses mean', () => {
  test.each(PLACES)('a run that is %s', (_, status, moves) => {
    const { run } = stateAfter(moves);
    expect(isTerminal(run)).toBe(TERMINAL.includes(status));
    expect(isQueued(run)).toBe(status === 'queued');
    expect(isExecuting(run)).toBe(status === 'in_progress');
    expect(isBlocked(run)).toBe(status === 'requires_action');
    expect(isCancelling(run)).toBe(status === 'cancelling');
    expect(isOverdue(run, EXPIRES_AT - 1)).toBe(false);
    expect(isOverdue(run, EXPIRES_AT)).toBe(['queued', 'in_progress', 'requires_action'].includes(status));
  });

  test('an answer starts the next turn, a new start the next attempt of it', () => {
    const counts = ({ turn, attempts }: RunState): readonly number[] => [turn, attempts];
    expect(counts(stateAfter([]))).toStrictEqual([1, 0]);
    expect(counts(stateAfter(['run.started', 'run.released', 'run.started']))).toStrictEqual([1, 2]);
    const answered = [...ASKING, 'run.blocked', 'step.completed', 'run.resumed'] as const;
    expect(counts(stateAfter(answered))).toStrictEqual([2, 0]);
  });
});

describe('the thoughts of a completion', () => {
  const thinking: readonly Move[] = ['run.started', 'thought.delta', 'thought.delta'];
  const thought = [{ field: 'reasoning', text: 'texttext' }];

  test.each<[string, readonly Move[], boolean]>([
    [
      'stay while its words are said',
      [...thinking, ...SPEAKING.slice(1), 'message.completed', 'step.completed'],
      true,
    ],
    ['stay while its calls wait', [...thinking, ...ASKING.slice(1), 'run.blocked'], true],
    ['end with its calls', [...thinking, ...ASKING.slice(1), 'run.blocked', 'step.completed'], false],
    ['end with a step that failed', [...thinking, ...ASKING.slice(1), 'step.failed'], false],
    ['end when its server is asked again', [...thinking, 'thought.dropped'], false],
    ['end when its worker is lost', [...thinking, 'run.released'], false],
    ['end with the run', [...thinking, 'run.incomplete'], false],
  ])('%s', (_, moves, isKept) => {
    expect(stateAfter(moves).thoughts).toStrictEqual(isKept ? thought : []);
  });

  test('are one for each field, however often its server changes between them', () => {
    const fields = ['reasoning_content', 'reasoning'] as const;
    const changes = [0, 1, 0, 1, 0].map((place) => fields[place] ?? fields[0]);
    const state = changes.reduce(
      (current, field) => apply(current, { type: 'thought.delta', field, text: field }).state,
      stateAfter(['run.started']),
    );
    expect(state.thoughts).toStrictEqual([
      { field: 'reasoning_content', text: 'reasoning_content'.repeat(3) },
      { field: 'reasoning', text: 'reasoning'.repeat(2) },
    ]);
  });

  test('of a process that did not know them do not reach the next one', () => {
    const { thoughts: _, ...older } = stateAfter([...thinking, 'run.released']);
    const stale = { ...older, thoughts: [{ field: 'reasoning', text: 'stale' }] } as const;
    expect(apply(stale, { type: 'run.started', at: 1 }).state.thoughts).toStrictEqual([]);
    expect(
      apply(apply(older, { type: 'run.started', at: 1 }).state, eventsFor(null)['thought.delta']).state
        .thoughts,
    ).toHaveLength(1);
  });
});

describe('what happens once', () => {
  test('a call whose id is also the name of an inherited property has to be answered too', () => {
    const calling = apply(stateAfter(['run.started', 'step.tools']), {
      type: 'tool.called',
      index: 0,
      call_id: 'constructor',
      name: 'SEARCH',
    }).state;
    const answer: RunEvent = { type: 'step.completed', at: 2_000, usage: null, outputs: {} };
    expect(() => apply(calling, answer)).toThrow('call constructor has no output');
  });

  test('a step of calls does not complete without outputs', () => {
    const answer: RunEvent = { type: 'step.completed', at: 2_000, usage: null, outputs: null };
    expect(() => apply(stateAfter([...ASKING, 'run.blocked']), answer)).toThrow(IllegalTransition);
  });

  test('a message that was closed is not created again in its step', () => {
    const state = stateAfter([...SPEAKING, 'message.delta', 'message.completed']);
    expect(outcomes(state)['message.created']).toBe('illegal');
  });
});
