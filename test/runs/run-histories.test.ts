/** What holds for every legal history of a run, tried on random ones. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isDelta, pushMerged, type RunEvent, type RunEventType } from '../../src/runs/event.ts';
import { calledFunction, isOpenCall } from '../../src/runs/calls/kinds.ts';
import { callsOf } from '../../src/runs/parts.ts';
import {
  apply,
  applyAll,
  isBlocked,
  isCancelling,
  isExecuting,
  isQueued,
  isTerminal,
  pendingCalls,
  type RunState,
} from '../../src/runs/run.ts';
import { ending, failedBy, release, type Ending } from '../../src/runs/ending.ts';
import {
  addUsage,
  NO_USAGE,
  textOf,
  type Message,
  type RunStatus,
  type Usage,
} from '../../src/runs/thread.ts';
import {
  ERROR,
  EVENT_TYPES,
  EXPIRES_AT,
  fold,
  histories,
  outcomes,
  stateAfter,
  usage,
  type History,
} from './histories.ts';

/** Others in each run of the tests. Made once for all of them: making them takes far longer than any check. */
const made = fc.sample(histories, 100);

/** Checks random histories. */
function always(check: (history: History) => void): void {
  try {
    for (const history of made) check(history);
  } catch (error) {
    // Says the shortest one it finds.
    fc.assert(fc.property(histories, check), { numRuns: 1_000 });
    throw error;
  }
}

/** Checks every state of random histories that is as `where` says. */
function inStates(where: (state: RunState) => boolean, check: (state: RunState) => void): void {
  always(({ states }) => {
    for (const state of states) if (where(state)) check(state);
  });
}

const anywhere = (): boolean => true;
const ended = ({ run }: RunState): boolean => isTerminal(run);
const alive = ({ run }: RunState): boolean => !isTerminal(run);

describe('random histories', () => {
  /** Shows A-RUN-22. */
  test('are worth trying: they reach every status and use every event', () => {
    const statuses = new Set<RunStatus>();
    const types = new Set<RunEventType>();
    for (const { events, states } of fc.sample(histories, { numRuns: 300, seed: 1 })) {
      for (const { type } of events) types.add(type);
      for (const { run } of states) statuses.add(run.status);
    }
    expect(statuses.size).toBe(9);
    expect(types.size).toBe(EVENT_TYPES.length);
  });
});

describe('the end of a run', () => {
  const ways: readonly Ending[] = [{ type: 'cancelled' }, { type: 'expired' }, failedBy(ERROR)];
  /** Where each way to end a run may be used. */
  const endsFrom: Readonly<Record<Ending['type'], readonly RunStatus[]>> = {
    cancelled: ['cancelling'],
    expired: ['queued', 'in_progress', 'requires_action'],
    failed: ['queued', 'in_progress', 'cancelling'],
  };

  test('no event is legal after it', () => {
    inStates(ended, (state) => {
      expect(new Set(Object.values(outcomes(state)))).toStrictEqual(new Set(['illegal']));
    });
  });

  test('every other status has a way there', () => {
    inStates(alive, ({ run }) => {
      expect(Object.values(endsFrom).some((statuses) => statuses.includes(run.status))).toBe(true);
    });
  });

  /** Shows A-INV-03. */
  test.each(ways)(
    'the events that end it as $type are legal wherever they apply, and close the parts first',
    (how) => {
      const applies = ({ run }: RunState): boolean => endsFrom[how.type].includes(run.status);
      inStates(applies, (state) => {
        const events = ending(state, how, 9_000);
        const { run, step, message } = applyAll(state, events);
        expect([run.status, step, message]).toStrictEqual([how.type, null, null]);
        expect(events.map(({ type }) => type)).toStrictEqual([
          ...(state.message === null ? [] : ['message.incomplete']),
          ...(state.step === null ? [] : [`step.${how.type}`]),
          `run.${how.type}`,
        ]);
      });
    },
  );

  test('a run that has not ended can be cancelled', () => {
    inStates(alive, (state) => {
      const asked = isCancelling(state.run)
        ? state
        : apply(state, { type: 'run.cancelling', at: 8_000 }).state;
      const { run } = applyAll(asked, ending(asked, { type: 'cancelled' }, 9_000));
      expect([run.status, run.cancelled_at]).toStrictEqual(['cancelled', 9_000]);
    });
  });

  /** Shows A-LIFE-04, A-LIFE-05, A-LIFE-07. */
  test('sets exactly the fields that belong to it', () => {
    always(({ events, last: { run } }) => {
      const end = events.at(-1);
      const endedAs = (status: RunStatus): number | null =>
        run.status === status && end !== undefined && 'at' in end ? end.at : null;
      expect(run).toMatchObject({
        completed_at: endedAs('completed'),
        failed_at: endedAs('failed'),
        cancelled_at: endedAs('cancelled'),
        last_error: run.status === 'failed' ? ERROR : null,
        incomplete_details: run.status === 'incomplete' ? { reason: 'max_completion_tokens' } : null,
      });
    });
  });

  /** Shows A-LIFE-08. */
  test('a run says when it expires as long as it lives, and when it expired', () => {
    inStates(anywhere, ({ run }) => {
      expect(run.expires_at).toBe(isTerminal(run) && run.status !== 'expired' ? null : EXPIRES_AT);
    });
  });
});

describe('giving a run back', () => {
  test('closes the parts first, drops what was half said, and lets it start again', () => {
    inStates(
      ({ run }) => isExecuting(run),
      (state) => {
        const events = release(state, 'lost', 9_000);
        const released = applyAll(state, events);
        expect([released.run.status, released.step, released.message]).toStrictEqual(['queued', null, null]);
        expect(
          events.map((event) => ('dropped' in event ? [event.type, event.dropped] : event.type)),
        ).toStrictEqual([
          ...(state.message === null ? [] : [['message.incomplete', true]]),
          ...(state.preface === null ? [] : ['step.dropped']),
          ...(state.step === null ? [] : ['step.failed']),
          'run.released',
        ]);
        expect(apply(released, { type: 'run.started', at: 9_001 }).state.run.status).toBe('in_progress');
      },
    );
  });

  test('counts as an attempt when the worker was lost, but not when it shut down', () => {
    inStates(
      ({ run }) => isExecuting(run),
      (state) => {
        expect(applyAll(state, release(state, 'lost', 9_000)).attempts).toBe(state.attempts);
        expect(applyAll(state, release(state, 'shutdown', 9_000)).attempts).toBe(state.attempts - 1);
      },
    );
  });

  test('attempts never fall below zero, and an executed run has at least one', () => {
    inStates(anywhere, ({ run, attempts }) => {
      expect(attempts).toBeGreaterThanOrEqual(isExecuting(run) ? 1 : 0);
    });
  });
});

describe('the fold', () => {
  test('gives the same state again, also from a log that was stored as JSON', () => {
    always(({ events, last }) => {
      expect(fold(events)).toStrictEqual(last);
      expect(fold(throughJson(events))).toStrictEqual(last);
    });
  });

  test('gives a state that JSON holds without loss', () => {
    inStates(anywhere, (state) => {
      expect(throughJson(state)).toStrictEqual(state);
    });
  });

  test('keeps every annotation of a message in the order it came, melted or not', () => {
    always(({ events }) => {
      const marks = (log: readonly RunEvent[]): readonly unknown[] =>
        log.flatMap((event) => (event.type === 'message.delta' ? (event.annotations ?? []) : []));
      const melted: RunEvent[] = [];
      for (const event of events) pushMerged(melted, event);
      expect(marks(melted)).toStrictEqual(marks(events));
    });
  });

  test('leaves the state before untouched', () => {
    inStates(anywhere, (state) => {
      const before = JSON.stringify(state);
      outcomes(state);
      expect(JSON.stringify(state)).toBe(before);
    });
  });

  test('of melted fragments is the fold of the fragments, and nothing else is melted', () => {
    always(({ events, last }) => {
      const melted: RunEvent[] = [];
      for (const event of events) pushMerged(melted, event);
      expect(fold(melted)).toStrictEqual(last);
      expect(melted.filter((event) => !isDelta(event))).toStrictEqual(
        events.filter((event) => !isDelta(event)),
      );
      const neighbours = melted.slice(1).map((event, index) => [melted[index]?.type, event.type].join());
      expect(neighbours).not.toContain('message.delta,message.delta');
    });
  });
});

describe('open parts', () => {
  test('a message is open only inside the step that names it', () => {
    inStates(
      ({ message }) => message !== null,
      ({ step, message }) => {
        expect(step?.step_details).toStrictEqual({
          type: 'message_creation',
          message_creation: { message_id: message?.id },
        });
      },
    );
  });

  test('a run that is queued or has ended has none', () => {
    inStates(
      ({ run }) => isQueued(run) || isTerminal(run),
      ({ step, message }) => {
        expect([step, message]).toStrictEqual([null, null]);
      },
    );
  });

  test('a run that waits for its client has none but its calls', () => {
    inStates(
      ({ run }) => isBlocked(run),
      ({ step, message }) => {
        expect([step?.type ?? 'tool_calls', message]).toStrictEqual(['tool_calls', null]);
      },
    );
  });

  /** Shows A-INV-01, A-INV-02. */
  test('one is never replaced by another without being closed', () => {
    const pairs = ({ states }: History): readonly [RunState, RunState][] =>
      states.slice(1).flatMap((after, index) => {
        const before = states[index];
        return before === undefined ? [] : [[before, after]];
      });
    always((history) => {
      for (const [before, after] of pairs(history)) {
        expect([null, undefined, before.step?.id]).toContain(before.step && after.step?.id);
        expect([null, undefined, before.message?.id]).toContain(before.message && after.message?.id);
      }
    });
  });

  /** Shows A-DELTA-08. */
  test('a closed message says what its deltas said, in one part at most', () => {
    always(({ events, states }) => {
      const closed: Message[] = [];
      const said: string[] = [];
      for (const [index, event] of events.entries()) {
        if (event.type === 'message.created') said.push('');
        if (event.type === 'message.delta') said.push(`${said.pop()}${event.text}`);
        if (event.type !== 'message.completed' && event.type !== 'message.incomplete') continue;
        const { subject } = apply(states[index - 1] ?? null, event);
        if (subject.object === 'thread.message') closed.push(subject);
      }
      if (states.at(-1)?.message) said.pop();
      expect(closed.map(textOf)).toStrictEqual(said);
      expect(closed.filter(({ content }) => content.length > 1)).toStrictEqual([]);
    });
  });
});

describe('what a run asks of its client', () => {
  /** Shows A-RUN-05. */
  test('it asks exactly while it requires action', () => {
    inStates(anywhere, ({ run }) => {
      expect(run.required_action !== null).toBe(run.status === 'requires_action');
      expect(pendingCalls(run).length > 0).toBe(run.status === 'requires_action');
    });
  });

  test('it asks for the unanswered calls of the open step', () => {
    inStates(
      ({ run, step }) => isBlocked(run) && step !== null,
      ({ run, step }) => {
        const calls = step === null ? [] : callsOf(step).filter(isOpenCall);
        expect(pendingCalls(run)).toStrictEqual(
          calls.map((call) => {
            const { name, arguments: text } = calledFunction(call);
            const asked = { id: call.id, type: 'function', function: { name, arguments: text } };
            return call.type === 'approval' ? { ...asked, requires_approval: true } : asked;
          }),
        );
      },
    );
  });
});

describe('usage', () => {
  /** Shows A-RUN-14. */
  test('is unknown until the run has ended', () => {
    inStates(alive, ({ run }) => {
      expect(run.usage).toBeNull();
    });
  });

  /** Shows A-RUN-14. */
  test('is then the sum of what its steps say', () => {
    always(({ events, last: { run, spent } }) => {
      const sum = events
        .filter((event) => event.type.startsWith('step.') && 'usage' in event)
        .reduce(
          (total: Usage, event) => addUsage(total, ('usage' in event && event.usage) || NO_USAGE),
          NO_USAGE,
        );
      expect(spent).toStrictEqual(sum);
      expect(run.usage).toStrictEqual(isTerminal(run) ? sum : null);
    });
  });

  test('holds the tokens of the turn that called tools when the run ends before they are answered', () => {
    const state = stateAfter(['run.started', 'step.tools', 'tool.called', 'run.blocked']);
    const { run } = applyAll(state, ending(state, { type: 'expired' }, 9_000));
    expect(run.usage).toStrictEqual(usage(1));
  });
});

/** The value as it is after it was stored and read. */
function throughJson<T>(value: T): T {
  // oxlint-disable-next-line typescript/no-unsafe-return -- that the types survive is what is tested
  return JSON.parse(JSON.stringify(value));
}
