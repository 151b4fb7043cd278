/** Documents without their usual values: what is read is what was written, and older documents read as they did. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isTerminal, type RunState } from '../../src/runs/run.ts';
import type { Message, Run, RunStep } from '../../src/runs/thread.ts';
import { encodePart, encodeRun } from '../../src/store/compact.ts';
import { decodePart, decodeRun } from '../../src/store/json.ts';
import { histories, stateAfter } from '../runs/histories.ts';
import { newMessage, refOf, THREAD } from './fixture.ts';

const ANSWERED = stateAfter([
  'run.started',
  'step.message',
  'message.created',
  'message.delta',
  'message.completed',
  'step.completed',
  'run.completed',
]);

/** Unlike the usual in every field that has a usual value. */
const UNUSUAL: Partial<Run> = {
  last_error: { code: 'server_error', message: 'no' },
  incomplete_details: { reason: 'content_filter' },
  tool_resources: { code_interpreter: { file_ids: [] } },
  metadata: { key: '' },
  temperature: 0,
  top_p: 0,
  reasoning_effort: '',
  max_completion_tokens: 0,
  max_prompt_tokens: 0,
  truncation_strategy: { type: 'auto', last_messages: 0 },
  response_format: { type: 'text' },
  tool_choice: 'none',
  parallel_tool_calls: false,
};

const partsOf = ({ step, message, preface }: RunState): readonly (RunStep | Message)[] =>
  [step, message, preface].filter((part) => part !== null);

describe('what is written is read', () => {
  test('of runs, steps and messages, at every moment of their lives', () => {
    fc.assert(
      fc.property(histories, ({ states }) => {
        for (const state of states) {
          expect(decodeRun(encodeRun(state), refOf(), null)).toEqual(state);
          for (const part of partsOf(state))
            expect(decodePart(encodePart(part), 'it', part.thread_id)).toEqual(part);
        }
      }),
      { numRuns: 30 },
    );
  });

  test('where no value is the usual one', () => {
    const state = { ...ANSWERED, run: { ...ANSWERED.run, ...UNUSUAL } };
    expect(decodeRun(encodeRun(state), refOf(), null)).toEqual(state);
    const said = {
      ...newMessage('msg_1'),
      attachments: [{ file_id: 'file_1', tools: [] }],
      metadata: { key: '' },
      incomplete_at: 0,
    };
    expect(decodePart(encodePart(said), 'it', THREAD.threadId)).toEqual(said);
  });

  test('and begins as objects of the wire do', () => {
    const [first, second] = Object.keys(decodePart(encodePart(newMessage('msg_1')), 'it', 'thread_1'));
    expect([first, second]).toStrictEqual(['id', 'object']);
  });
});

describe('older processes', () => {
  test('have written whole documents, which are read as they are', () => {
    expect(decodeRun(JSON.stringify(ANSWERED), refOf(), null)).toEqual(ANSWERED);
    const said = newMessage('msg_1');
    expect(decodePart(JSON.stringify(said), 'it', THREAD.threadId)).toEqual(said);
  });

  test('read a run that is yet to end whole', () => {
    const state = stateAfter(['run.started', 'step.message']);
    expect(JSON.parse(encodeRun(state))).toEqual(state);
  });

  test('find what they check in a run that has ended', () => {
    expect(JSON.parse(encodeRun(ANSWERED))).toMatchObject({
      run: { id: 'run_1', object: 'thread.run', status: 'completed' },
      origin: { request_id: 'req_1' },
      step: null,
      message: null,
      turn: 1,
      attempts: 1,
      spent: {},
    });
  });
});

describe('nothing is stored', () => {
  test('of an ended run but what is its own', () => {
    expect(isTerminal(ANSWERED.run)).toBe(true);
    expect(encodeRun(ANSWERED).length).toBeLessThan(500);
  });

  test('of a message but its text, and whose it is', () => {
    expect(encodePart(newMessage('msg_1'))).toBe(
      '{"id":"msg_1","object":"thread.message","created_at":1000,"status":"completed","completed_at":1000,' +
        '"role":"user","content":[{"type":"text","text":{"value":"text of msg_1","annotations":[]}}]}',
    );
  });
});
