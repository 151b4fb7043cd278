/** Calls that were approved: which of them a run makes, in its first step, and what its model is told. */
import { describe, expect, test } from 'vitest';
import { noHostedTools, noRemoteTools } from '../support/hosted.ts';
import { approvedCalls } from '../../src/runs/approved.ts';
import type { RunEvent } from '../../src/runs/event.ts';
import { execute, type Execution } from '../../src/runs/execute.ts';
import type { StoredItem } from '../../src/runs/items.ts';
import type { ModelRequest } from '../../src/runs/model.ts';
import { applyAll, type RunState } from '../../src/runs/run.ts';
import type { FunctionTool, RunStep } from '../../src/runs/thread.ts';
import { stateAfter } from './histories.ts';

const REMOVE: FunctionTool = {
  type: 'function',
  function: { name: 'remove', parameters: { type: 'object' }, strict: false },
};

/** A decision about a call, as an item of a thread. */
function decision(approve: boolean, approval = 'mcpr_1'): StoredItem {
  return {
    id: `item_${approval}`,
    object: 'thread.item',
    created_at: 1,
    thread_id: 'thread_1',
    run_id: null,
    status: 'completed',
    item: { type: 'mcp_approval_response', approval_request_id: approval, approve },
    approves: { run_id: 'run_1', approval, approve, reason: null, name: 'remove', arguments: '{"q":1}' },
  };
}

/** A run that has started, with a tool whose calls wait for an approval. */
function started(): RunState {
  const state = stateAfter(['run.started']);
  const origin = { ...state.origin, server_tools: ['remove'], approvals: ['remove'] };
  return { ...state, origin, run: { ...state.run, tools: [REMOVE] } };
}

interface Played {
  readonly events: readonly RunEvent[];
  readonly after: RunState;
  readonly made: readonly string[];
  readonly asked: readonly ModelRequest[];
}

async function play(state: RunState, items: readonly (StoredItem | RunStep)[]): Promise<Played> {
  const made: string[] = [];
  const asked: ModelRequest[] = [];
  let ids = 0;
  const execution: Execution = {
    model: {
      async *stream(request) {
        asked.push(request);
        yield { type: 'text', text: 'Done.' };
        yield { type: 'finish', reason: 'stop', usage: null };
      },
    },
    runTool: async (name, written, { callId }) => {
      made.push(`${name} ${written} ${callId}`);
      return 'removed';
    },
    runHosted: noHostedTools,
    runRemote: noRemoteTools,
    secretsIn: () => ({}),
    now: () => 2_000,
    newId: (prefix) => `${prefix}_${(ids += 1)}`,
    signal: new AbortController().signal,
    contextTokens: () => 10_000,
  };
  const events = (await Array.fromAsync(execute(state, { input: [], items }, execution))).flat();
  return { events, after: applyAll(state, events), made, asked };
}

/** The step in which an approved call was made. */
function madeStep(events: readonly RunEvent[], state: RunState): RunStep {
  const from = events.findIndex(({ type }) => type === 'step.created');
  const to = events.findIndex(({ type }) => type === 'step.completed');
  const open = applyAll(state, events.slice(from, to)).step;
  if (open === null) throw new Error('no step');
  return { ...open, status: 'completed' };
}

describe('a run', () => {
  test('begins with the call that was approved, and then asks its model', async () => {
    const { events, made, asked, after } = await play(started(), [decision(true)]);
    expect(made).toEqual(['remove {"q":1} mcpr_1']);
    expect(events.map(({ type }) => type)).toEqual([
      'step.created',
      'tool.called',
      'tool.delta',
      'tool.answered',
      'step.completed',
      'step.created',
      'message.created',
      'message.delta',
      'message.completed',
      'step.completed',
      'run.completed',
    ]);
    expect(asked[0]?.messages).toMatchObject([
      { role: 'assistant', tool_calls: [{ id: 'mcpr_1', function: { name: 'remove' } }] },
      { role: 'tool', tool_call_id: 'mcpr_1', content: 'removed' },
    ]);
    expect(after.run.status).toBe('completed');
  });

  test('that is taken over makes the call again only while it has no answer', async () => {
    const state = started();
    const { events } = await play(state, [decision(true)]);
    const step = madeStep(events, state);
    expect(approvedCalls(state.run, [decision(true), step])).toEqual([]);
    expect(approvedCalls(state.run, [decision(true), { ...step, status: 'failed' }])).toHaveLength(1);
    expect(await play(state, [decision(true), step])).toMatchObject({ made: [] });
  });

  test('makes no call that was denied, and tells its model', async () => {
    const { made, asked } = await play(started(), [decision(false)]);
    expect(made).toEqual([]);
    expect(asked[0]?.messages).toMatchObject([
      { role: 'assistant', tool_calls: [{ id: 'mcpr_1' }] },
      { role: 'tool', content: 'This call was not made: the user has denied it.' },
    ]);
  });

  test('makes each call once, however often it was approved', () => {
    const { run } = started();
    expect(approvedCalls(run, [decision(true), decision(true), decision(true, 'mcpr_2')])).toMatchObject([
      { approval: 'mcpr_1' },
      { approval: 'mcpr_2' },
    ]);
  });
});
