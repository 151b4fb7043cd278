/** When a run writes which of its times: at its creation, each start, its wait, the answer to it, and its end. */
import { describe, expect, test } from 'vitest';
import { apply, type RunState } from '../../src/runs/run.ts';
import { eventsFor, EXPIRES_AT, stateAfter, type Move } from './histories.ts';

const WAITING: readonly Move[] = ['run.started', 'step.tools', 'tool.called', 'run.blocked'];
const ANSWERED: readonly Move[] = [...WAITING, 'step.completed', 'run.resumed'];

/** The run after one more event, at a time of its own. */
function later(state: RunState, type: 'run.started', at: number): RunState {
  return apply(state, eventsFor(state, at)[type]).state;
}

describe('the times of a run', () => {
  /** Shows A-LIFE-03. */
  test('begin with its start, which is told anew when it goes on after an answer', () => {
    const queued = stateAfter([]);
    expect(queued.run.started_at).toBeNull();
    expect(later(queued, 'run.started', 1_100).run.started_at).toBe(1_100);
    const answered = stateAfter(ANSWERED);
    expect(answered.run.started_at).toBe(stateAfter(WAITING).run.started_at);
    expect(later(answered, 'run.started', 1_200).run.started_at).toBe(1_200);
  });

  /** Shows A-EXPIRY-02. */
  test('do not put off its expiry while it waits for its client', () => {
    for (const moves of [[], WAITING, ANSWERED]) expect(stateAfter(moves).run.expires_at).toBe(EXPIRES_AT);
    expect(later(stateAfter(ANSWERED), 'run.started', 1_200).run.expires_at).toBe(EXPIRES_AT);
  });

  /** Shows A-LIFE-02, A-OUT-14. */
  test('say nothing of an end while it waits, and nothing is summed up', () => {
    expect(stateAfter(WAITING).run).toMatchObject({
      status: 'requires_action',
      completed_at: null,
      cancelled_at: null,
      failed_at: null,
      usage: null,
    });
    expect(stateAfter(ANSWERED).run).toMatchObject({ status: 'queued', required_action: null, usage: null });
  });
});
