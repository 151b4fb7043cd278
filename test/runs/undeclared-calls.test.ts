/** Calls of tools that nobody has: the model is told, nobody outside is asked, and no run ends in silence. */
import { describe, expect, test } from 'vitest';
import { noHostedTools, noRemoteTools } from '../support/hosted.ts';
import type { RunEvent } from '../../src/runs/event.ts';
import { execute } from '../../src/runs/execute.ts';
import type { Model, ModelPart, ModelRequest } from '../../src/runs/model.ts';
import { applyAll, pendingCalls } from '../../src/runs/run.ts';
import { stateAfter } from './histories.ts';

type Script = readonly ModelPart[];

const say = (text: string): ModelPart => ({ type: 'text', text });
const call = (index: number, name = 'SEARCH'): ModelPart => ({
  type: 'call',
  index,
  id: `call_${index}`,
  name,
});
const args = (index: number, text: string): ModelPart => ({ type: 'arguments', index, text });
const finish = (): ModelPart => ({ type: 'finish', reason: 'stop', usage: null });

const SEARCH = {
  type: 'function' as const,
  function: { name: 'SEARCH', parameters: { type: 'object' }, strict: false },
};

/** Executes a run with the tool SEARCH; the model plays one script after the other, the last one for ever. */
async function inTurn(scripts: readonly Script[], own: readonly string[] = []) {
  const asked: ModelRequest[] = [];
  const model: Model = {
    async *stream(request) {
      asked.push(request);
      yield* scripts[Math.min(asked.length, scripts.length) - 1] ?? [];
    },
  };
  const { run, origin, ...rest } = stateAfter(['run.started']);
  const state = { ...rest, run: { ...run, tools: [SEARCH] }, origin: { ...origin, server_tools: own } };
  let ids = 0;
  const batches = await Array.fromAsync(
    execute(
      state,
      { input: [{ role: 'user', content: 'What is new?' }], items: [] },
      {
        model,
        runTool: async (name) => `answer of ${name}`,
        runHosted: noHostedTools,
        runRemote: noRemoteTools,
        secretsIn: () => ({}),
        now: () => 2_000,
        newId: (prefix) => `${prefix}_${(ids += 1)}`,
        signal: new AbortController().signal,
        contextTokens: () => 10_000,
      },
    ),
  );
  const events = batches.flat();
  return { asked, events, after: applyAll(state, events) };
}

describe('a call of a tool that nobody has declared', () => {
  const answered = (events: readonly RunEvent[]): readonly string[] =>
    events.flatMap((event) => (event.type === 'tool.answered' ? [event.output] : []));
  const NONE =
    '{"error":"There is no tool \'look_up\'. There are: \'SEARCH\'. Call one of those, or answer without."}';

  test('is answered with the tools that there are, and the model goes on', async () => {
    const { asked, after, events } = await inTurn([
      [call(0, 'look_up'), args(0, '{"a":1}'), finish()],
      [say('Without it, then.'), finish()],
    ]);
    expect(answered(events)).toEqual([NONE]);
    expect(after.run.status).toBe('completed');
    expect(asked[1]?.messages.slice(-2)).toMatchObject([
      { role: 'assistant', tool_calls: [{ function: { name: 'look_up', arguments: '{"a":1}' } }] },
      { role: 'tool', content: NONE },
    ]);
  });

  test('beside one of the client leaves that one to the client', async () => {
    const { after, events } = await inTurn([[call(0, 'look_up'), call(1), args(1, '{}'), finish()]]);
    expect(answered(events)).toEqual([NONE]);
    expect(pendingCalls(after.run).map(({ id }) => id)).toEqual(['call_1']);
  });

  test('beside one of the worker is answered with it', async () => {
    const { after, events } = await inTurn(
      [
        [call(0), args(0, '{}'), call(1, 'look_up'), finish()],
        [say('So.'), finish()],
      ],
      ['SEARCH'],
    );
    expect(answered(events).toSorted()).toEqual(['answer of SEARCH', NONE]);
    expect(after.run.status).toBe('completed');
  });

  test('that has no name for a tool gets one that model servers take', async () => {
    const { asked } = await inTurn([
      [call(0, `ns.look up(${'x'.repeat(100)}`), finish()],
      [say('So.'), finish()],
    ]);
    const [message] = asked[1]?.messages.slice(-2) ?? [];
    expect(message).toMatchObject({
      tool_calls: [{ function: { name: `ns_look_up_${'x'.repeat(53)}` } }],
    });
    expect(JSON.stringify(message).length).toBeLessThan(300);
  });

  test('over and over ends with words, after as many rounds as calls of tools may take', async () => {
    const { asked, after } = await inTurn([[call(0, 'look_up'), finish()]]);
    expect(asked).toHaveLength(9);
    expect(after.run).toMatchObject({
      status: 'failed',
      last_error: {
        message: "The model called the tool 'look_up' after 8 rounds of tool calls, in place of an answer.",
      },
    });
  });
});
