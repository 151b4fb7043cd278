/** Where the time before the first word is said to have gone. */
import { describe, expect, test } from 'vitest';
import { ServerTiming } from '../../src/turns/server-timing.ts';
import type { RunEvent } from '../../src/runs/event.ts';
import { eventsFor } from '../runs/histories.ts';

const EVENTS = eventsFor(null);

/** The header after these events, each that many milliseconds after the one before. */
function headerOf(...heard: readonly (readonly [ms: number, event: RunEvent])[]): string {
  let nowMs = 5_000;
  const overhead = new ServerTiming(undefined, () => nowMs);
  for (const [ms, event] of heard) {
    nowMs += ms;
    overhead.hear(event);
  }
  nowMs += 1_000;
  return overhead.header;
}

describe('the time before the first word', () => {
  test('is nothing before anything was heard', () => {
    expect(headerOf()).toBe('queue;dur=0.0, tools;dur=0.0, upstream;dur=0.0');
  });

  test('is the queue’s until a worker has begun, and the upstream’s until it speaks', () => {
    expect(
      headerOf(
        [1.25, EVENTS['run.queued']],
        [10, EVENTS['run.started']],
        [400, EVENTS['step.created']],
        [0.5, EVENTS['message.created']],
        [0, EVENTS['message.delta']],
        [9_000, EVENTS['message.delta']],
        [1, EVENTS['run.completed']],
      ),
    ).toBe('queue;dur=11.3, tools;dur=0.0, upstream;dur=400.5');
  });

  test('is the tools’ between a call and its answer, in every pass', () => {
    const pass = (toolMs: number): (readonly [number, RunEvent])[] => [
      [100, EVENTS['tool.called']],
      [20, EVENTS['tool.delta']],
      [toolMs, EVENTS['tool.answered']],
      [0, EVENTS['step.completed']],
    ];
    expect(headerOf([0, EVENTS['run.started']], ...pass(30), ...pass(5), [50, EVENTS['message.delta']])).toBe(
      'queue;dur=0.0, tools;dur=35.0, upstream;dur=290.0',
    );
  });

  test('goes on over a word that is empty', () => {
    const silence: RunEvent = { type: 'message.delta', text: '' };
    expect(headerOf([10, silence], [10, EVENTS['message.delta']])).toContain('upstream;dur=20.0');
  });

  test('is the queue’s again for a run that lost its worker, or was answered', () => {
    for (const type of ['run.released', 'run.resumed'] as const)
      expect(headerOf([7, EVENTS[type]], [8, EVENTS['run.started']])).toContain('queue;dur=15.0');
  });
});
