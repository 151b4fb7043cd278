/** Calls by kind: what the fold, the prompt and the wire make of a call is what its kind says, and functions are the default. */
import { PLAIN_VIEW } from '../../src/runs/step-view.ts';
import { describe, expect, test } from 'vitest';
import {
  answerCall,
  answerDelta,
  answererOf,
  answerMessage,
  askedCall,
  beginCall,
  calledFunction,
  growCall,
  growthDelta,
  isOpenCall,
  offeredTools,
  requiredCall,
  shownCall,
  typeOfCalls,
} from '../../src/runs/calls/kinds.ts';
import { callsOf } from '../../src/runs/parts.ts';
import { apply } from '../../src/runs/run.ts';
import type { CustomTool, FunctionTool, Run } from '../../src/runs/thread.ts';
import { stateAfter } from './histories.ts';

const SEARCH: FunctionTool = {
  type: 'function',
  function: { name: 'SEARCH', parameters: { type: 'object' }, strict: false },
};
const PATCH: CustomTool = { type: 'custom', custom: { name: 'patch' } };
const called = { name: 'SEARCH', arguments: '{"q":1}' };
const begun = beginCall('function', 'call_1', 'SEARCH');
const whole = growCall(growCall(begun, '{"q"'), ':1}');

describe('a call of a function', () => {
  test('begins without arguments and open, and grows', () => {
    expect(begun).toStrictEqual({
      id: 'call_1',
      type: 'function',
      function: { name: 'SEARCH', arguments: '', output: null },
    });
    expect(calledFunction(whole)).toStrictEqual(called);
    expect(isOpenCall(whole)).toBe(true);
  });

  test('is told to the model with its answer', () => {
    const answered = answerCall(whole, 'news');
    expect(isOpenCall(answered)).toBe(false);
    expect(askedCall(answered)).toStrictEqual({ id: 'call_1', type: 'function', function: called });
    expect(answerMessage(answered)).toStrictEqual({ role: 'tool', tool_call_id: 'call_1', content: 'news' });
  });

  test('is shown to the client as the hosted API did', () => {
    expect(requiredCall(whole)).toStrictEqual({ id: 'call_1', type: 'function', function: called });
    expect(calledFunction(requiredCall(whole))).toStrictEqual(called);
    expect(shownCall(whole, PLAIN_VIEW)).toStrictEqual(whole);
    expect(growthDelta(begun, 2, '{')).toStrictEqual({
      index: 2,
      type: 'function',
      function: { arguments: '{' },
    });
    expect(answerDelta(whole, 2, 'news')).toBeNull();
  });

  test.each<[string, readonly FunctionTool[], readonly string[], 'worker' | 'client']>([
    ['the client’s own', [SEARCH], [], 'client'],
    ['the server’s own', [SEARCH], ['SEARCH'], 'worker'],
    ['nobody’s', [], [], 'worker'],
  ])('of a tool that is %s is answered by whoever can', (_, tools, server_tools, answerer) => {
    expect(answererOf(whole, { run: { tools }, origin: { server_tools } })).toBe(answerer);
  });
});

describe('a call of a custom tool', () => {
  const custom = growCall(growCall(beginCall('custom', 'call_1', 'patch'), '*** Begin'), ' Patch');
  const input = '*** Begin Patch';

  test('grows by its input, and is told to the model and to the client in its own words', () => {
    const asked = { id: 'call_1', type: 'custom', custom: { name: 'patch', input } };
    expect(isOpenCall(custom)).toBe(true);
    expect(requiredCall(custom)).toStrictEqual(asked);
    const answered = answerCall(custom, 'done');
    expect(isOpenCall(answered)).toBe(false);
    expect(askedCall(answered)).toStrictEqual(asked);
    expect(answerMessage(answered)).toStrictEqual({ role: 'tool', tool_call_id: 'call_1', content: 'done' });
    expect(shownCall(answered, PLAIN_VIEW)).toStrictEqual({
      ...asked,
      custom: { name: 'patch', input, output: 'done' },
    });
    expect(growthDelta(custom, 2, '{')).toStrictEqual({ index: 2, type: 'custom', custom: { input: '{' } });
  });

  test('is answered by the client, whatever tools the server has', () => {
    const by = { run: { tools: [PATCH] }, origin: { server_tools: ['patch'] } };
    expect(answererOf(custom, by)).toBe('client');
    expect(typeOfCalls('patch', { run: { tools: [SEARCH, PATCH] }, origin: {} })).toBe('custom');
    expect(offeredTools([SEARCH, PATCH])).toStrictEqual([SEARCH, PATCH]);
  });
});

describe('a run', () => {
  test.each<[number, Pick<Run, 'tools' | 'tool_choice'>]>([
    [1, { tools: [SEARCH], tool_choice: 'required' }],
    [1, { tools: [SEARCH], tool_choice: { type: 'function', function: { name: 'SEARCH' } } }],
    [2, { tools: [SEARCH, PATCH], tool_choice: 'auto' }],
    [
      2,
      { tools: [SEARCH], tool_choice: { type: 'allowed_tools', allowed_tools: { mode: 'auto', tools: [] } } },
    ],
  ])('has format %i with %j, and says so where that is not the first', (format, { tools, tool_choice }) => {
    const { run, origin } = stateAfter([]);
    const { state } = apply(null, { type: 'run.queued', at: 1, run: { ...run, tools, tool_choice }, origin });
    expect(state.v).toBe(format === 1 ? undefined : format);
  });
});

describe('a log', () => {
  const step = stateAfter(['run.started', 'step.tools']);
  const event = { type: 'tool.called', index: 0, call_id: 'call_1', name: 'SEARCH' } as const;

  test('that does not name the kind of a call means a function', () => {
    const { state } = apply(step, event);
    expect(state.step && callsOf(state.step)).toStrictEqual([begun]);
    expect(apply(step, { ...event, kind: 'function' }).state).toStrictEqual(state);
  });
});

describe('tools', () => {
  test('are offered as functions, and name the kind of their calls', () => {
    expect(offeredTools([SEARCH])).toStrictEqual([SEARCH]);
    expect(typeOfCalls('SEARCH', { run: { tools: [SEARCH] }, origin: {} })).toBe('function');
    expect(typeOfCalls('look_up', { run: { tools: [SEARCH] }, origin: {} })).toBe('function');
  });
});
