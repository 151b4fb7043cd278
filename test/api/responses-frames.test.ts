/** The frames of the Responses API over any legal history, judged by the official client's accumulator. */
import * as fc from 'fast-check';
import { accumulateResponse } from 'openai/lib/responses/ResponseAccumulator';
import type { Response, ResponseStreamEvent } from 'openai/resources/responses/responses';
import { expect, test } from 'vitest';
import { ResponsesEncoder } from '../../src/api/responses/frames.ts';
import { outputItems } from '../../src/api/responses/output.ts';
import { PLAIN_ORIGIN, type RunEvent } from '../../src/runs/event.ts';
import type { KeptThought } from '../../src/runs/thoughts.ts';
import type { Message, RunStep } from '../../src/runs/thread.ts';
import { decode, decodePart } from '../../src/store/json.ts';
import { fold } from '../../src/store/projection.ts';
import { histories } from '../runs/histories.ts';

type Frame = ResponseStreamEvent;

/** The frames of a log, for a client that has them up to a number. */
function framesOf(log: readonly RunEvent[], after = -1): readonly Frame[] {
  const encoder = new ResponsesEncoder(after, null, (_type, data) => (data === null ? '' : `${data}\n`));
  const text = log.map((event) => encoder.encode({ seq: 0, event })).join('');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => decode<Frame>(line));
}

const TERMINAL = ['response.completed', 'response.incomplete', 'response.failed'];
const OVER = ['completed', 'incomplete', 'failed', 'cancelled', 'expired'];

/** What is told of the item at each place, in order; places in the order in which their items are added. */
function livesIn(frames: readonly Frame[]): readonly (readonly string[])[] {
  const lives: string[][] = [];
  for (const frame of frames) {
    if (!('output_index' in frame)) continue;
    (lives[frame.output_index] ??= []).push(frame.type.replace('response.output_item.', ''));
  }
  return lives;
}

/** The output that the last frame shows. */
function outputIn(frames: readonly Frame[]): readonly { readonly type: string }[] {
  const end = frames.at(-1);
  return end !== undefined && 'response' in end ? end.response.output : [];
}

/** A run as the store has it once these events are written. */
function storedOutput(log: readonly RunEvent[]) {
  const { state, writes } = fold(null, log);
  const steps = new Map<string, RunStep>();
  const messages = new Map<string, Message>();
  const thoughts = new Map<string, readonly KeptThought[]>();
  for (let at = 0; at < writes.length; at += 3) {
    const [kind = '', id = '', doc = ''] = writes.slice(at, at + 3);
    if (kind === 'message.drop') messages.delete(id);
    else if (kind.startsWith('message')) messages.set(id, decodePart<Message>(doc, id, state.run.thread_id));
    else if (id.endsWith(':thoughts')) thoughts.set(id.replace(':thoughts', ''), decode(doc, id));
    else if (!id.includes(':')) steps.set(id, decodePart<RunStep>(doc, id, state.run.thread_id));
  }
  const view = { run: state.run, origin: state.origin, seal: null };
  return outputItems(view, { steps: [...steps.values()], messages, thoughts });
}

/** Random histories of runs whose calls are the client's, or the server's own. */
const logs = fc.tuple(histories, fc.boolean(), fc.boolean()).map(([history, isServers, isBackground]) => {
  const [first, ...rest] = history.events;
  if (first?.type !== 'run.queued') throw new Error('a history begins with its run');
  const response = { previous: null, in_conversation: false, background: isBackground, inputs: 0, shown: {} };
  const server_tools = isServers ? ['SEARCH'] : [];
  const tools = [{ type: 'function', function: { name: 'SEARCH', parameters: {}, strict: false } }] as const;
  const origin = { ...PLAIN_ORIGIN, ...first.origin, server_tools, response };
  return { ...history, events: [{ ...first, run: { ...first.run, tools }, origin }, ...rest] };
});

test('frames are numbered, items come and go in order, and the last frame is the only end (E1, E2, E3)', () => {
  fc.assert(
    fc.property(logs, ({ events, last }) => {
      const frames = framesOf(events);
      expect(frames.map(({ sequence_number: number }) => number)).toEqual(frames.map((_, at) => at));
      expect(frames[0]?.type).toBe('response.created');
      const isOver = OVER.includes(last.run.status);
      const ends = frames.filter(({ type }) => TERMINAL.includes(type));
      expect(ends).toEqual(isOver ? frames.slice(-1) : []);
      for (const life of livesIn(frames)) {
        expect(life.indexOf('added')).toBe(0);
        expect(life.lastIndexOf('added')).toBe(0);
        expect([-1, life.length - 1]).toContain(life.indexOf('done'));
        expect(life.includes('done') || !isOver).toBe(true);
      }
    }),
    { numRuns: 100 },
  );
});

test('the official client takes every stream, and ends with what its last frame shows', () => {
  fc.assert(
    fc.property(logs, ({ events, last }) => {
      fc.pre(OVER.includes(last.run.status));
      let snapshot: Response | undefined;
      const frames = framesOf(events);
      for (const frame of frames) snapshot = accumulateResponse(frame, snapshot);
      expect(snapshot?.output).toMatchObject(outputIn(frames));
    }),
    { numRuns: 100 },
  );
});

test('a stream that is read again from any number is the exact rest', () => {
  fc.assert(
    fc.property(logs, fc.nat(), ({ events }, from) => {
      const frames = framesOf(events);
      const after = from % (frames.length + 1);
      expect(framesOf(events, after)).toEqual(frames.slice(after + 1));
    }),
    { numRuns: 100 },
  );
});

/** Events that runs of responses do not have, or not before they are completed. */
const ELSEWHERE = new Set(['run.blocked', 'step.failed', 'step.cancelled', 'step.expired', 'step.dropped']);

test('a response that is completed ends with what is stored of it (E4)', () => {
  fc.assert(
    fc.property(logs, ({ events, last }) => {
      fc.pre(last.run.status === 'completed' && !events.some(({ type }) => ELSEWHERE.has(type)));
      // Of thoughts only those are kept that led to a call or an answer, which is not so in any history.
      const isSaid = ({ type }: { readonly type: string }): boolean => type !== 'reasoning';
      const stored = storedOutput(events).filter(isSaid);
      expect(outputIn(framesOf(events)).filter(isSaid)).toEqual(stored);
    }),
    { numRuns: 15, maxSkipsPerRun: 1_000 },
  );
});
